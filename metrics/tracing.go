package metrics

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// FlushTime is how long Tracing.Run takes at its end, at most, to send the spans that are left.
const FlushTime = 5 * time.Second

// TracingConfig says what Tracing needs. The zero value is usable.
type TracingConfig struct {
	Build  Build
	RefKey secret.Secret                                // keys the hashes of session names; random if empty, so that replicas differ
	Origin func(key secret.Secret) session.TrafficClass // as proxy's; nil: everybody is a user
	Failed func()                                       // told of every batch that could not be exported; may be nil
	Logger *slog.Logger                                 // may be nil
}

// Tracing makes spans and sends them to an OTLP receiver. Where no receiver is configured, every method
// hands back what it was given, and tracing costs nothing.
type Tracing struct {
	cfg      TracingConfig
	exporter sdktrace.SpanExporter // nil when off
	provider *sdktrace.TracerProvider
	early    *bufferedProcessor
	tracer   trace.Tracer
	wire     propagation.TextMapPropagator
	refKey   []byte
	flights  *flights

	userBegins, probeBegins []trace.SpanStartOption // of the spans of requests; made once, for they are made for every request
}

// NewTracing reads the OTEL_* environment variables. It starts nothing: spans are sent while Run runs, and
// the first 512 are kept until then. The error names the variable that is wrong.
func NewTracing(ctx context.Context, cfg TracingConfig) (*Tracing, error) {
	t := &Tracing{cfg: cfg.withDefaults(), tracer: noop.NewTracerProvider().Tracer(""), wire: propagation.TraceContext{},
		userBegins: serverSpan(session.UserTraffic), probeBegins: serverSpan(session.SyntheticTraffic)}
	p, err := planFrom(os.Getenv)
	if err != nil || !p.export {
		return t, err
	}
	if t.refKey, err = t.cfg.refKey(); err != nil {
		return t, err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return t, fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
	}
	about, err := t.cfg.resource(ctx)
	if err != nil {
		return t, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t.exporter = &countingExporter{SpanExporter: exporter, failed: t.cfg.Failed, log: t.cfg.Logger}
	t.early = &bufferedProcessor{}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler(p.sampler)), sdktrace.WithResource(about), sdktrace.WithSpanProcessor(t.early))
	t.tracer = t.provider.Tracer("qrgate")
	t.flights = newFlights(t)
	return t, nil
}

// Enabled reports whether spans are exported.
func (t *Tracing) Enabled() bool { return t.provider != nil }

// Tracer makes spans for those that need their own, as the probes do.
func (t *Tracing) Tracer() trace.Tracer { return t.tracer }

// Run exports spans until ctx ends, then sends what is left, within FlushTime. It returns an error when
// some of it could not be sent. Let it end last.
func (t *Tracing) Run(ctx context.Context) error {
	if !t.Enabled() {
		<-ctx.Done()
		return nil
	}
	t.early.start(sdktrace.NewBatchSpanProcessor(t.exporter))
	<-ctx.Done()
	t.flights.close(time.Now())
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), FlushTime)
	defer cancel()
	if err := t.provider.Shutdown(last); err != nil {
		return fmt.Errorf("tracing: the last spans were not sent: %w", err)
	}
	return nil
}

// ref is how spans name a session: a keyed digest of its name, the same within one trace and from one
// trace to the next, from which nobody without the key can tell the name.
func (t *Tracing) ref(session string) attribute.KeyValue {
	m := hmac.New(sha256.New, t.refKey)
	m.Write([]byte(session))
	return attrSession.String(hex.EncodeToString(m.Sum(nil)[:8]))
}

func (c TracingConfig) withDefaults() TracingConfig {
	if c.Origin == nil {
		c.Origin = func(secret.Secret) session.TrafficClass { return session.UserTraffic }
	}
	if c.Failed == nil {
		c.Failed = func() {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c TracingConfig) refKey() ([]byte, error) {
	if !c.RefKey.Empty() {
		return []byte(c.RefKey.Reveal()), nil
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return key, nil
}

// resource is what all spans are about. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
func (c TracingConfig) resource(ctx context.Context) (*resource.Resource, error) {
	build := c.Build.filled()
	return resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "qrgate"), attribute.String("service.version", build.Version)), resource.WithFromEnv())
}
