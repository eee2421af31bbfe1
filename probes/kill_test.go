package probes_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// The variables that turn the test binary into a prober that kills itself.
const (
	killAt  = "PROBES_TEST_KILL_AT"
	killURL = "PROBES_TEST_URL"
	killDir = "PROBES_TEST_DIR"
)

// moments are the times between two steps of a run.
var moments = []string{"before the intent", "intent", "create", "connect", "qr", "validate", "deleted", "cleanup"}

// killed runs one probe in this process and ends it at a moment, without a chance to clean up.
func killed(moment string) int {
	base, _ := url.Parse(os.Getenv(killURL))
	die := func(at string) {
		if at == moment {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	p, err := probes.New(probes.Config{
		Target:   probes.Target{URL: base, Key: secret.NewSecret("key-probe")},
		Intents:  deadly{probes.NewFileIntents(os.Getenv(killDir)), die},
		Progress: func(s probes.Step) { die(s.Name) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	run := p.Once(context.Background(), probes.CreateConnectQR)
	fmt.Fprintf(os.Stderr, "it was not killed at %q: %+v\n", moment, run)
	return 1
}

// deadly are intents during which a process is killed.
type deadly struct {
	probes.Intents
	die func(string)
}

func (d deadly) Record(ctx context.Context, i probes.Intent) error {
	d.die("before the intent")
	err := d.Intents.Record(ctx, i)
	d.die("intent")
	return err
}

func (d deadly) Done(ctx context.Context, session string) error {
	d.die("deleted")
	return d.Intents.Done(ctx, session)
}

// A process killed between any two steps leaves a session that the next process deletes, and no other.
func TestKill_NextProcessDeletesSession(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, moment := range moments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			engine := &enginesim.Engine{}
			defer engine.Close()
			server := httptest.NewServer(engine)
			defer server.Close()
			dir := t.TempDir()
			base, _ := url.Parse(server.URL)
			r := &rig{T: t, engine: engine, dir: dir, seen: newTally(), target: probes.Target{URL: base, Key: secret.NewSecret("key-probe"), Client: server.Client()}}
			r.make("syn-of-another-client")
			victim := exec.CommandContext(t.Context(), self)
			victim.Env = append(os.Environ(), killAt+"="+moment, killURL+"="+server.URL, killDir+"="+dir)
			out, err := victim.CombinedOutput()
			if status, ok := victim.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed: %v %s", err, out)
			}
			left := len(r.leftovers()) - 1
			if want := 1; (moment == "create" || moment == "connect" || moment == "qr" || moment == "validate") != (left == want) {
				t.Fatalf("the killed prober left %d sessions: the moment was missed", left)
			}
			swept := make(chan struct{}, 100)
			stop := r.start(r.prober(only(probes.EngineHealth, time.Hour), func(c *probes.Config) { c.Observer = sweeps{c.Observer, swept} }))
			defer stop()
			for patience := time.After(time.Minute); strings.Join(r.leftovers(), " ") != "syn-of-another-client"; {
				select {
				case <-swept:
				case <-patience:
					t.Fatalf("after a minute the engine still has %v", r.leftovers())
				}
			}
		})
	}
}

// sweeps reports every sweep.
type sweeps struct {
	probes.Observer
	reached chan struct{}
}

func (s sweeps) SetLeader(leader bool, orphans int) {
	s.Observer.SetLeader(leader, orphans)
	s.reached <- struct{}{}
}
