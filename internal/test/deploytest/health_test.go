package deploytest_test

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	gates "qrgate/internal/app"
	"qrgate/internal/test/enginesim"
)

// The health check of the compose file succeeds for a healthy qrgate and fails for one without its engine.
func TestHealthCheck(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{}
	defer engine.Close()
	server := httptest.NewServer(engine)
	defer server.Close()
	base, _ := url.Parse(server.URL)
	g, err := gates.New(gates.Config{Listen: "127.0.0.1:0", EngineURL: base, Logger: slog.New(slog.DiscardHandler), Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	defer func() { stop(); <-done }()

	test := load(t, read(t, "docker-compose.yml")).Services[gate].HealthCheck.Test
	if test[0] != "CMD" || test[1] != "/qrgate" || !strings.Contains(read(t, "Dockerfile"), "COPY --from=build /out/qrgate /qrgate") {
		t.Fatalf("the image has no shell and one program, and the check is %q", test)
	}
	check := func() error {
		args := strings.Split(strings.ReplaceAll(strings.Join(test[2:], "\n"), "http://127.0.0.1:8080", g.URL()), "\n")
		cmd := exec.CommandContext(t.Context(), built(t), args...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if err := check(); err != nil {
		t.Errorf("the check of a healthy qrgate fails: %v", err)
	}
	server.CloseClientConnections()
	server.Close()
	if err := check(); err == nil {
		t.Error("the check of a qrgate without its engine succeeds")
	}
}
