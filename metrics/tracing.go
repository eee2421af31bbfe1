package metrics

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// FlushTimeout bounds how long Tracing.Run sends the remaining spans at its end.
const FlushTimeout = 5 * time.Second

// TracingConfig configures Tracing.
type TracingConfig struct {
	Version  string        // of qrgate
	RefKey   secret.Secret // keys the digests of session names; random if empty, so that replicas differ
	Origin   func(key secret.Secret) session.TrafficClass
	OnFailed func() // called for every batch that could not be exported
	Logger   *slog.Logger
}

// Tracing makes spans and sends them to an OTLP receiver. If no receiver is configured, its wrappers return what they
// were given, so that tracing costs nothing.
type Tracing struct {
	cfg          TracingConfig
	exporter     sdktrace.SpanExporter
	provider     *sdktrace.TracerProvider // nil if tracing is off
	tracer       trace.Tracer
	refKey       []byte
	acquisitions *acquisitionSpans
	running      chan struct{} // closed by Run once spans are exported

	userStart, probeStart []trace.SpanStartOption // of server spans, made once instead of for every request
}

// NewTracing reads the OTEL_* environment variables. It starts nothing: spans that end before Run are lost. An error
// names the variable that is invalid.
func NewTracing(ctx context.Context, cfg TracingConfig) (*Tracing, error) {
	t := &Tracing{
		cfg: cfg, tracer: noop.NewTracerProvider().Tracer(""), running: make(chan struct{}),
		userStart: serverSpan(session.UserTraffic), probeStart: serverSpan(session.SyntheticTraffic),
	}
	sampler, err := parseTraceEnv(os.Getenv)
	if err != nil || sampler == nil {
		return t, err
	}
	t.refKey = []byte(t.cfg.RefKey.Reveal())
	if len(t.refKey) == 0 {
		t.refKey = make([]byte, 32)
		_, _ = rand.Read(t.refKey) // never fails
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return t, fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
	}
	version, _ := buildVersion(cfg.Version)
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have precedence.
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "qrgate"), attribute.String("service.version", version),
	), resource.WithFromEnv())
	if err != nil {
		return t, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t.exporter = &countingExporter{SpanExporter: exporter, onFailed: t.cfg.OnFailed, log: t.cfg.Logger}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithSampler(newSampler(sampler)), sdktrace.WithResource(about))
	t.tracer = t.provider.Tracer("qrgate")
	t.acquisitions = &acquisitionSpans{t: t, spans: map[acquisitionKey]acquisitionSpan{}}
	return t, nil
}

// Enabled reports whether spans are exported.
func (t *Tracing) Enabled() bool { return t.provider != nil }

// Run exports spans until ctx ends, then sends the remaining ones within FlushTimeout. It returns an error if it could
// not send them. It must end after everything that makes spans.
func (t *Tracing) Run(ctx context.Context) error {
	if t.Enabled() {
		t.provider.RegisterSpanProcessor(sdktrace.NewBatchSpanProcessor(t.exporter))
	}
	close(t.running)
	<-ctx.Done()
	if !t.Enabled() {
		return nil
	}
	t.acquisitions.endAll(time.Now())
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), FlushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(flush); err != nil {
		return fmt.Errorf("tracing: the remaining spans were not sent: %w", err)
	}
	return nil
}

// parseTraceEnv reads the variables of the OpenTelemetry specification that decide whether and how much is traced. It
// returns the sampler of users' traces, nil if tracing is off. The exporter and the batch processor read theirs
// (headers, timeouts, certificates, queue sizes) themselves. Errors name the variable and never contain its value.
func parseTraceEnv(env func(string) string) (sdktrace.Sampler, error) {
	name := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	if env(name) == "" {
		name = "OTEL_EXPORTER_OTLP_ENDPOINT"
	}
	exporter := env("OTEL_TRACES_EXPORTER")
	if env(name) == "" || strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || exporter == "none" {
		return nil, nil
	}
	if exporter != "" && exporter != "otlp" {
		return nil, errors.New("OTEL_TRACES_EXPORTER must be otlp or none")
	}
	if u, err := url.Parse(env(name)); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s must be a URL that begins with http:// or https://", name)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if p := env(name); p != "" && p != "http/protobuf" {
			return nil, fmt.Errorf("%s must be http/protobuf", name)
		}
	}
	return parseSampler(env("OTEL_TRACES_SAMPLER"), env("OTEL_TRACES_SAMPLER_ARG"))
}

// parseSampler reads OTEL_TRACES_SAMPLER and its argument. Without a sampler, the argument alone is the share of traces
// that are sampled, from 0 to 1; without both, all are.
func parseSampler(name, arg string) (sdktrace.Sampler, error) {
	switch strings.TrimPrefix(name, "parentbased_") {
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "", "traceidratio":
	default:
		return nil, errors.New("OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, " +
			"with or without parentbased_")
	}
	if arg == "" {
		return sdktrace.AlwaysSample(), nil
	}
	ratio, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return nil, errors.New("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")
	}
	return sdktrace.TraceIDRatioBased(ratio), nil
}

// keepSynthetic samples every root span of a probe, and asks rest for the others. A parent decides for its children;
// the only parents from outside that are followed are those of probes.
type keepSynthetic struct{ rest sdktrace.Sampler }

func newSampler(rest sdktrace.Sampler) sdktrace.Sampler {
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

// countingExporter counts failed exports and logs the first and the last of a series. Without it they would go to
// OpenTelemetry's global error handler, with the endpoint's URL in their text.
type countingExporter struct {
	sdktrace.SpanExporter
	onFailed  func()
	log       *slog.Logger
	isFailing atomic.Bool
}

// ExportSpans implements [sdktrace.SpanExporter]. It always returns nil.
func (c *countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.onFailed()
	}
	switch wasFailing := c.isFailing.Swap(err != nil); {
	case err != nil && !wasFailing:
		c.log.Warn("cannot export spans", "err", withoutURL(err))
	case err == nil && wasFailing:
		c.log.Info("spans exported again")
	}
	return nil
}

// withoutURL removes the address, which may contain a token.
func withoutURL(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err.Error()
	}
	return "the receiver rejected them"
}

// The attributes that qrgate's spans may have. There is no url.full and no url.path: both would contain session ids.
// The first group is from OpenTelemetry's semantic conventions 1.44, the second is qrgate's own.
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
	attrErrorKind = attribute.Key("qrgate.error_type")
	attrOutcome   = attribute.Key("qrgate.outcome")
	attrDiagnosis = attribute.Key("qrgate.diagnosis")
	attrSequence  = attribute.Key("qr.sequence")
	attrLink      = attribute.Key("qrgate.link")
)

// originAttributes must be there when a span starts: the sampler keeps synthetic ones.
func originAttributes(t session.TrafficClass) []attribute.KeyValue {
	if t == session.SyntheticTraffic {
		return []attribute.KeyValue{attrOrigin.String(string(t)), attrSynthetic.String("test")}
	}
	return []attribute.KeyValue{attrOrigin.String(string(session.UserTraffic))}
}

// sessionRef names a session in spans: a keyed digest of its name, from which the name cannot be computed without the
// key.
func (t *Tracing) sessionRef(name string) attribute.KeyValue {
	m := hmac.New(sha256.New, t.refKey)
	m.Write([]byte(name))
	return attrSession.String(hex.EncodeToString(m.Sum(nil)[:8]))
}

func setFailed(span trace.Span, errorType string) {
	span.SetAttributes(attrError.String(errorType))
	span.SetStatus(codes.Error, "")
}

// Span starts a span of a probe, which is always sampled, and returns the function that ends it with the cause of a
// failure, [diagnosis.None] for success. Attributes are redacted like those of a log; "session" becomes a digest.
func (t *Tracing) Span(
	ctx context.Context, name string, attributes ...slog.Attr,
) (context.Context, func(diagnosis.Code)) {
	if !t.Enabled() {
		return ctx, func(diagnosis.Code) {}
	}
	attrs := originAttributes(session.SyntheticTraffic)
	for _, a := range attributes {
		attrs = append(attrs, t.spanAttribute(a))
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithAttributes(attrs...))
	return ctx, func(cause diagnosis.Code) {
		defer span.End()
		outcome, cause := probeOutcome("", cause)
		span.SetAttributes(attrOutcome.String(string(outcome)))
		if outcome == session.Failure {
			setFailed(span, string(cause))
		}
	}
}

// spanAttribute converts an attribute of a log. Names without a dot get qrgate's prefix.
func (t *Tracing) spanAttribute(a slog.Attr) attribute.KeyValue {
	if a.Key == "session" {
		return t.sessionRef(a.Value.Resolve().String())
	}
	a, key := redactAttr(a), a.Key
	if !strings.Contains(key, ".") {
		key = "qrgate.probe." + key
	}
	if a.Value.Kind() == slog.KindInt64 {
		return attribute.Int64(key, a.Value.Int64())
	}
	return attribute.String(key, a.Value.String())
}
