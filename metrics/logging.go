package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// LogHandler returns a handler in front of next. It counts every message by level, adds trace_id and span_id if the
// context has a span, and redacts. It is the last safeguard: secrets should be a [secret.Secret].
//
//   - An attribute whose key mentions a key, token, password, phone or the like becomes "[redacted]"; one that mentions
//     a code or a QR does unless it is empty, a number, a duration, a diagnosis or None.
//   - [redact.Text] is applied to every text, the message and errors included.
func (m *Metrics) LogHandler(next slog.Handler) slog.Handler {
	return &logHandler{next, m.logMessages}
}

type logHandler struct {
	next   slog.Handler
	counts *prometheus.CounterVec
}

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements [slog.Handler].
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.counts.WithLabelValues(levelLabel(r.Level)).Inc()
	if clean, isChanged := redactRecord(r); isChanged {
		r = clean
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.next.Handle(ctx, r)
}

// redactRecord returns a redacted copy of a record, if redaction changes it. Most need no copy.
func redactRecord(r slog.Record) (clean slog.Record, isChanged bool) {
	message := redact.Text(r.Message)
	isChanged = message != r.Message
	attrs := make([]slog.Attr, 0, 16)
	for a := range r.Attrs {
		attrs = append(attrs, redactAttr(a))
		isChanged = isChanged || !attrs[len(attrs)-1].Equal(a)
	}
	if !isChanged {
		return r, false
	}
	clean = slog.NewRecord(r.Time, r.Level, message, r.PC)
	clean.AddAttrs(attrs...)
	return clean, true
}

// WithAttrs implements [slog.Handler].
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.next.WithAttrs(redactAttrs(attrs)), h.counts}
}

// WithGroup implements [slog.Handler].
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.next.WithGroup(name), h.counts}
}

const redacted = "[redacted]"

// redactAttr redacts an attribute, groups included.
func redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	class := classOf(a.Key)
	switch {
	case v.Kind() == slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(redactAttrs(v.Group())...)}
	case class.secret, class.code && !isDiagnosis(v):
		return slog.String(a.Key, redacted)
	case v.Kind() == slog.KindString:
		if a.Key == "session" && session.ValidID(v.String()) {
			return a // operators search logs by the client's own id; no secret has its form and this key
		}
		return slog.String(a.Key, redact.Text(v.String()))
	case v.Kind() == slog.KindAny && v.Any() != nil:
		if b, ok := v.Any().([]byte); ok {
			return slog.String(a.Key, fmt.Sprintf("[%d bytes]", len(b))) // no pattern matches it printed as numbers
		}
		return slog.String(a.Key, redact.Text(fmt.Sprint(v.Any())))
	}
	return slog.Attr{Key: a.Key, Value: v}
}

func redactAttrs(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = redactAttr(a)
	}
	return out
}

var (
	secretWords = []string{
		"key", "apikey", "keys", "token", "tokens", "secret", "password",
		"authorization", "bearer", "cookie", "phone", "jid",
	}
	codeWords = []string{"code", "qr", "image", "qrcode"}
)

// keyClass is what follows from the key of an attribute for its value.
type keyClass struct {
	secret bool // it is secret
	code   bool // it may be a QR code, an image of one, or just an error's code
}

// keyClasses caches the class of every key. Keys are constants of the program; the size guards against others.
var keyClasses, _ = lru.New[string, keyClass](1000)

func classOf(key string) keyClass {
	class, ok := keyClasses.Get(key)
	if ok {
		return class
	}
	for _, w := range words(key) {
		class.secret = class.secret || slices.Contains(secretWords, w)
		class.code = class.code || slices.Contains(codeWords, w)
	}
	keyClasses.Add(key, class)
	return class
}

// isDiagnosis reports whether a value cannot be a QR code: it is no text, or a diagnosis, or empty.
func isDiagnosis(v slog.Value) bool {
	code, ok := v.Any().(diagnosis.Code)
	switch v.Kind() {
	case slog.KindString:
		code = diagnosis.Code(v.String())
	case slog.KindAny:
		if !ok {
			return false
		}
	default:
		return true
	}
	return code == "" || code == diagnosis.None || slices.Contains(diagnosis.Codes(), code)
}

// wordEnd matches where a word inside a key ends.
var wordEnd = regexp.MustCompile(`(\p{Ll})(\p{Lu})|[^\p{L}\p{Nd}]`)

// words splits api_key, api-key, apiKey and X-API-Key into small letters.
func words(key string) []string {
	return strings.Fields(strings.ToLower(wordEnd.ReplaceAllString(key, "$1 $2")))
}
