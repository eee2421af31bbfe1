package metrics

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
)

// Every attribute that a span of the gate may have. There is no url.full and no url.path: both would hold
// session ids. The first group is OpenTelemetry's semantic conventions 1.44, the second the gate's own.
const (
	attrMethod    = attribute.Key("http.request.method")
	attrStatus    = attribute.Key("http.response.status_code")
	attrRoute     = attribute.Key("http.route")
	attrTemplate  = attribute.Key("url.template")
	attrServer    = attribute.Key("server.address")
	attrPort      = attribute.Key("server.port")
	attrError     = attribute.Key("error.type")
	attrSynthetic = attribute.Key("user_agent.synthetic.type")

	attrOrigin    = attribute.Key("qrgate.origin")
	attrRequestID = attribute.Key("qrgate.request_id")
	attrSession   = attribute.Key("qrgate.session.ref")
	attrOperation = attribute.Key("qrgate.operation")
	attrFault     = attribute.Key("qrgate.fault")
	attrOutcome   = attribute.Key("qrgate.outcome")
	attrDiagnosis = attribute.Key("qrgate.diagnosis")
	attrLooks     = attribute.Key("qrgate.looks")
	attrSequence  = attribute.Key("qr.sequence")
	attrLink      = attribute.Key("qrgate.link")
)

func linkTo(what string) []attribute.KeyValue { return []attribute.KeyValue{attrLink.String(what)} }

// ofOrigin says who asks. The sampler keeps what is marked synthetic, so this must be there at the start.
func ofOrigin(o session.TrafficClass) []attribute.KeyValue {
	if originOf(o) == session.SyntheticTraffic {
		return []attribute.KeyValue{attrOrigin.String(string(session.SyntheticTraffic)), attrSynthetic.String("test")}
	}
	return []attribute.KeyValue{attrOrigin.String(string(session.UserTraffic))}
}

// serverSpan is how the span of a request begins.
func serverSpan(o session.TrafficClass) []trace.SpanStartOption {
	return []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(ofOrigin(o)...)}
}

// methodOf bounds the methods that a span can tell.
func methodOf(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE":
		return method
	}
	return otherMethod
}

// spanName is "GET /api/sessions/{id}/qr", or the bare method where no template is known.
func spanName(method, template string) string {
	name := methodOf(method)
	if name == otherMethod {
		name = "HTTP"
	}
	if template == "" {
		return name
	}
	return name + " " + template
}

func statusType(status int) attribute.KeyValue { return attrError.String(strconv.Itoa(status)) }
