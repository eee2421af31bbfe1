package metrics

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// keepSynthetic samples every root that is marked synthetic, and leaves the others to rest. A parent
// decides for its children: the only parents from outside that are believed are the probes' (server.go).
type keepSynthetic struct{ rest sdktrace.Sampler }

func sampler(rest sdktrace.Sampler) sdktrace.Sampler {
	return sdktrace.ParentBased(keepSynthetic{rest})
}

// ShouldSample implements [sdktrace.Sampler].
func (s keepSynthetic) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	for _, a := range p.Attributes {
		if a.Key == attrSynthetic {
			return sdktrace.AlwaysSample().ShouldSample(p)
		}
	}
	return s.rest.ShouldSample(p)
}

// Description implements [sdktrace.Sampler].
func (s keepSynthetic) Description() string { return "KeepSynthetic{" + s.rest.Description() + "}" }
