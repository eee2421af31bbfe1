package metrics_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
)

// logged is one message as it is written, without its time.
func logged(t testing.TB, write func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	text := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})
	write(slog.New(full(t).LogHandler(text)))
	return strings.TrimSuffix(out.String(), "\n")
}

func TestLogHandler_Redacts(t *testing.T) {
	t.Parallel()
	code := "2@" + strings.Repeat("Ab1/", 30) + ",x=="
	for name, x := range map[string]struct {
		write func(*slog.Logger)
		want  string
	}{
		"what is harmless": {func(l *slog.Logger) {
			l.Info("a request", "route", "/api/sessions/{id}/qr", "status", 503, "took", time.Second, "request_id", "r-1", "monkey", "x")
		}, `msg="a request" route=/api/sessions/{id}/qr status=503 took=1s request_id=r-1 monkey=x`},
		"keys by name": {func(l *slog.Logger) {
			l.Info("m", "api_key", "a", "X-API-Key", "b", "authToken", "c", "phone", 5550100)
		},
			`msg=m api_key=[redacted] X-API-Key=[redacted] authToken=[redacted] phone=[redacted]`},
		"codes by name": {func(l *slog.Logger) { l.Info("m", "code", "ABCD1234", "qr", code, "qrCode", "x", "status_code", 200) },
			`msg=m code=[redacted] qr=[redacted] qrCode=[redacted] status_code=200`},
		"a diagnosis": {func(l *slog.Logger) { l.Info("m", "code", "qr_expired", "why", diagnosis.QRExpired) }, `msg=m code=qr_expired why=qr_expired`},
		"no cause": {func(l *slog.Logger) {
			l.Info("m", "code", diagnosis.None, "why_code", diagnosis.Code(""), "last_code", "", "qr", "none")
		},
			`msg=m code=none why_code="" last_code="" qr=none`},
		"a foreign word": {func(l *slog.Logger) { l.Info("m", "code", diagnosis.Code("ABCD1234")) }, `msg=m code=[redacted]`},
		"in the message": {func(l *slog.Logger) { l.Info("emitting " + code + " now") }, `msg="emitting [code] now"`},
		"in an error": {func(l *slog.Logger) {
			l.Info("m", "err", fmt.Errorf("get: %w", errors.New("data:image/png;base64,AAAA1")))
		}, `msg=m err="get: [image]"`},
		"a long session":   {func(l *slog.Logger) { l.Info("m", "session", "syn-create-connect-qr-0123456789-0123456789") }, `msg=m session=syn-create-connect-qr-0123456789-0123456789`},
		"no session":       {func(l *slog.Logger) { l.Info("m", "session", code) }, `msg=m session=[code]`},
		"in a group":       {func(l *slog.Logger) { l.Info("m", slog.Group("g", "token", "x", "text", code)) }, `msg=m g.token=[redacted] g.text=[code]`},
		"given beforehand": {func(l *slog.Logger) { l.With("key", "x", "text", code).WithGroup("g").Info("m", "secret", "y") }, `msg=m key=[redacted] text=[code] g.secret=[redacted]`},
		"a struct":         {func(l *slog.Logger) { l.Info("m", "what", struct{ Link string }{code}) }, `msg=m what={[code]}`},
		"raw bytes":        {func(l *slog.Logger) { l.Info("m", "body", []byte("xyz")) }, `msg=m body="[3 bytes]"`},
		"nothing at all":   {func(l *slog.Logger) { l.Info("m", "what", nil) }, `msg=m what=<nil>`},
		"a secret":         {func(l *slog.Logger) { l.Info("m", "what", secret.NewSecret("x")) }, `msg=m what=[redacted]`},
	} {
		if diff := cmp.Diff(x.want, logged(t, x.write)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLogHandler_AddsTraceID(t *testing.T) {
	t.Parallel()
	in := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xaa}, SpanID: trace.SpanID{0xbb}})
	got := logged(t, func(l *slog.Logger) { l.WarnContext(trace.ContextWithSpanContext(t.Context(), in), "m", "a", 1) })
	if want := "msg=m a=1 trace_id=aa000000000000000000000000000000 span_id=bb00000000000000"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestLogHandler_CountsWrittenMessages(t *testing.T) {
	t.Parallel()
	m := full(t)
	l := slog.New(m.LogHandler(slog.DiscardHandler))
	if got := changed(t, m, func() { l.Error("m") }); len(got) != 0 {
		t.Errorf("what is not written is counted: %v", got)
	}
	l = slog.New(m.LogHandler(slog.NewTextHandler(new(bytes.Buffer), nil))).With("a", 1).WithGroup("g")
	got := changed(t, m, func() {
		l.Debug("m") // not enabled
		l.Info("m")
		l.Log(t.Context(), slog.LevelInfo+1, "m")
		l.Warn("m")
		l.Log(t.Context(), slog.LevelError+4, "m")
	})
	want := map[string]float64{"qrgate_log_messages_total{info}": 2, "qrgate_log_messages_total{warn}": 1, "qrgate_log_messages_total{error}": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
