package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/probes"
)

// exitProber says that the prober itself failed: nothing was learned about the target.
const exitProber = 3

// probeCommand runs one probe from the command line.
type probeCommand struct {
	Once    bool          `help:"Run once and exit, as this command always does; on a schedule the gate probes itself."`
	Target  string        `default:"http://localhost:8080" placeholder:"URL" help:"What to probe: a gate, or an engine of the documented API. Default: ${default}."`
	APIKey  string        `name:"api-key" env:"QRGATE_PROBE_API_KEY" placeholder:"KEY" help:"The key to probe with. The variable does not show in the list of processes."`
	Probe   string        `name:"probe" default:"create_connect_qr" placeholder:"NAME" help:"engine_health (no session), create_delete, or create_connect_qr (the whole way to a QR; nothing is paired). Default: ${default}."`
	JSON    bool          `name:"json" help:"Print the result as one JSON object."`
	Timeout time.Duration `help:"Give up after this long; the cleanup has five seconds more. Default: the probe's own limit, 5 to 45 s."`
}

// Help is what qrgate probe --help says beside the flags.
func (probeCommand) Help() string {
	return `Walks the way of a client once and says whether it leads where it should.

A session called syn-… is made and deleted again. What is about to be made is noted under --data-dir first, so that the next run
deletes what a killed one left.

Exit status: 0 it works, 1 it does not, 2 called wrongly, 3 the prober itself failed.

  qrgate probe --once --target https://gate.example --api-key KEY --json | jq -r .diagnosis.help`
}

// run probes once and returns the exit code.
func (c probeCommand) run(ctx context.Context, w cli, dataDir string) int {
	target, err := c.target()
	if err != nil {
		fmt.Fprintf(w.err, "qrgate probe: %v\n", err)
		return exitUsage
	}
	progress := func(probes.Step) {}
	if !c.JSON {
		fmt.Fprintf(w.out, "%s at %s\n", c.Probe, target.Name)
		progress = func(s probes.Step) { _, _ = io.WriteString(w.out, line(s)) }
	}
	prober, err := probes.New(probes.Config{
		Target: target, Every: map[string]time.Duration{}, Timeout: c.Timeout, Progress: progress,
		Intents: intentStore(dataDir), Shared: true,
	})
	if err != nil {
		fmt.Fprintf(w.err, "qrgate probe: %v\n", err)
		return exitUsage
	}
	run := prober.Once(ctx, c.Probe)
	if run.TargetUnreachable {
		run.Diagnosis = targetUnreachable(run)
	}
	if c.JSON {
		printer := json.NewEncoder(w.out)
		printer.SetEscapeHTML(false)
		_ = printer.Encode(run) // whoever closed the pipe knows
	} else {
		_, _ = io.WriteString(w.out, verdict(run))
	}
	switch run.Outcome {
	case session.Success:
		return exitOK
	case session.Failure:
		return exitFailed
	}
	return exitProber
}

// targetUnreachable is the diagnosis where the target itself cannot be reached: it may be a gate, and then its engine is
// not the next thing to look at.
func targetUnreachable(r probes.Result) *diagnosis.Diagnosis {
	d := *r.Diagnosis
	d.Title = "Nobody answers at " + r.Target
	d.Help = "Start what should listen there, or correct --target and the network between."
	return &d
}

// target checks what was asked for. The target's name is its URL, so that what an earlier run left at one
// target is never looked for at another.
func (c probeCommand) target() (probes.Target, error) {
	u, err := url.Parse(c.Target)
	switch {
	case !slices.Contains(probes.Names(), c.Probe):
		return probes.Target{}, fmt.Errorf("there is no probe %q; there are %s", c.Probe, strings.Join(probes.Names(), ", "))
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return probes.Target{}, errors.New("--target must be like http://localhost:8080 or https://gate.example")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return probes.Target{}, errors.New("--target must have no user, query or fragment; the key goes to --api-key")
	case c.APIKey == "" && c.Probe != probes.EngineHealth:
		return probes.Target{}, fmt.Errorf("%s needs --api-key, or QRGATE_PROBE_API_KEY", c.Probe)
	case c.Timeout < 0:
		return probes.Target{}, errors.New("--timeout must not be negative")
	}
	u = canonicalURL(u)
	return probes.Target{Name: u.String(), URL: u, Key: secret.NewSecret(c.APIKey)}, nil
}

// line is one step for a person.
func line(s probes.Step) string {
	mark := "✓"
	if s.Outcome != session.Success {
		mark = "✗"
	}
	return strings.TrimRight(fmt.Sprintf("%s %-8s %7.3f s  %s", mark, s.Name, s.Seconds, s.Detail), " ") + "\n"
}

// verdict is the end of a run for a person: what is wrong, who must do what, and from what one can tell.
func verdict(r probes.Result) string {
	var b strings.Builder
	switch {
	case r.SkipReason != "":
		fmt.Fprintf(&b, "The prober failed (%s): %s\n", r.SkipReason, r.Problem)
	case r.Diagnosis != nil:
		fmt.Fprintf(&b, "FAILED: %s (%s).\n%s: %s\n", r.Diagnosis.Title, r.Diagnosis.Code, actor(r.Diagnosis.Who, "en"), r.Diagnosis.Help)
		for _, e := range r.Diagnosis.Evidence {
			fmt.Fprintf(&b, "  · %s\n", e)
		}
	default:
		fmt.Fprintf(&b, "OK after %.1f s.\n", r.Seconds)
	}
	if last := len(r.Steps) - 1; last >= 0 && r.Steps[last].Name == probes.StepCleanup && r.Steps[last].Outcome != session.Success {
		fmt.Fprintf(&b, "The session %s could not be deleted. The next run tries again.\n", r.Session)
	}
	return b.String()
}
