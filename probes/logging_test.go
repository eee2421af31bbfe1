package probes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// spans notes every span as "name (parent): code".
type spans struct {
	mu    sync.Mutex
	ended []string
	said  strings.Builder
}

type spanKey struct{}

func (s *spans) begin(ctx context.Context, name string, attributes ...slog.Attr) (context.Context, func(diagnosis.Code)) {
	parent, _ := ctx.Value(spanKey{}).(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.said, name, attributes)
	return context.WithValue(ctx, spanKey{}, name), func(code diagnosis.Code) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, fmt.Sprintf("%s (%s): %s", name, parent, code))
	}
}

// A run is one trace with a span per step, the cleanup included.
func TestSpans_OnePerStep(t *testing.T) {
	bubble(t, &enginesim.Engine{ConnectFailures: -1}, func(r *rig) {
		s := &spans{}
		r.prober(func(c *probes.Config) { c.Span = s.begin }).Once(r.Context(), probes.CreateConnectQR)
		want := []string{
			"probe.step create (probe.run create_connect_qr): none",
			"probe.step connect (probe.run create_connect_qr): connect_failing",
			"probe.step cleanup (probe.run create_connect_qr): none",
			"probe.run create_connect_qr (): connect_failing",
		}
		if diff := cmp.Diff(want, s.ended); diff != "" {
			t.Error(diff)
		}
		for _, attribute := range []string{"user_agent.synthetic.type=test", "qrgate.probe.name=create_connect_qr", "qrgate.probe.run_id=", "qrgate.lease.epoch="} {
			if !strings.Contains(s.said.String(), attribute) {
				t.Errorf("no span has %s: %s", attribute, s.said.String())
			}
		}
	})
}

// Only changes are logged; keys and codes are in no output.
func TestLog_OnlyChangesAndNoSecrets(t *testing.T) {
	const canary = "2@CANARY-CANARY-CANARY,CANARY=,CANARY="
	engine := &enginesim.Engine{Codes: func(_ string, n int) string { return fmt.Sprint(canary, n, ",", time.Now().UnixNano()) }}
	bubble(t, engine, func(r *rig) {
		r.target.Key = secret.NewSecret("key-canary")
		var log bytes.Buffer
		s := &spans{}
		p := r.prober(only(probes.CreateConnectQR, time.Minute), func(c *probes.Config) {
			c.Span, c.Logger = s.begin, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		stop := r.start(p)
		time.Sleep(5*time.Minute - time.Second)
		quiet := log.Len()
		r.engine.Change(func(e *enginesim.Engine) { e.RawCode = true })
		time.Sleep(5 * time.Minute)
		r.engine.Change(func(e *enginesim.Engine) { e.RawCode = false })
		time.Sleep(5 * time.Minute)
		stop()
		if lines := strings.Count(log.String(), "\n"); quiet > 0 || lines != 2 || !strings.Contains(log.String(), "qr_invalid") || !strings.Contains(log.String(), "probe recovered") {
			t.Errorf("%d bytes while all was well, then %d lines:\n%s", quiet, lines, log.String())
		}
		history, err := json.Marshal(p.History())
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"log": log.String(), "spans": s.said.String(), "history": string(history)} {
			if strings.Contains(text, "canary") || strings.Contains(text, "CANARY") || strings.Contains(text, "iVBOR") {
				t.Errorf("a secret is in the %s: %s", what, text)
			}
		}
	})
}
