package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/app"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/probes"
	"qrgate/proxy"
)

// exitProber means that the prober itself failed and learned nothing about the target.
const exitProber = 3

// probeCommand runs one probe.
type probeCommand struct {
	Once    bool
	Engine  string `placeholder:"NAME"`
	Target  string `default:"http://localhost:8080" placeholder:"URL"`
	APIKey  string `name:"api-key" env:"QRGATE_PROBE_API_KEY" placeholder:"KEY"`
	Probe   string `name:"probe" default:"create_connect_qr" placeholder:"NAME"`
	JSON    bool   `name:"json"`
	Timeout time.Duration
}

// run runs the probe and returns the exit code.
func (p probeCommand) run(ctx context.Context, c cli, s settings) int {
	target, err := p.target(s)
	if err != nil {
		fmt.Fprintf(c.err, "qrgate probe: %v\n", err)
		return exitUsage
	}
	progress := func(probes.Step) {}
	if !p.JSON {
		fmt.Fprintf(c.out, "%s at %s\n", p.Probe, target.Name)
		progress = func(s probes.Step) { _, _ = io.WriteString(c.out, formatStep(s)) }
	}
	prober, err := probes.New(probes.Config{
		Target: target, Every: map[string]time.Duration{}, Timeout: p.Timeout, Progress: progress,
		Intents: intentStore(s.DataDir), Shared: true,
	})
	if err != nil {
		fmt.Fprintf(c.err, "qrgate probe: %v\n", err)
		return exitUsage
	}
	result := prober.Once(ctx, p.Probe)
	if result.TargetUnreachable {
		result.Diagnosis = targetUnreachable(result)
	}
	if p.JSON {
		printJSON(c.out, result)
	} else {
		_, _ = io.WriteString(c.out, formatResult(result))
	}
	switch result.Outcome {
	case session.Success:
		return exitOK
	case session.Failure:
		return exitFailed
	}
	return exitProber
}

// target validates the arguments. The target's name is its canonical URL, so that a run never searches one target for
// the sessions of another. With QRGATE_FRONT=native the probe speaks the engine's own API, as the target's clients do.
func (p probeCommand) target(s settings) (probes.Target, error) {
	if p.Engine != "" {
		engines, err := s.namedEngines(p.Engine)
		if err != nil {
			return probes.Target{}, err
		}
		s = engines[0].settings
		if p.Target = s.EngineURL; p.Target == "" {
			return probes.Target{}, errors.New("--engine names the embedded engine, which has no address: " +
				"use --target with qrgate's")
		}
	}
	u, err := parseTarget(p.Target)
	switch {
	case !slices.Contains(probes.Names(), p.Probe):
		names := strings.Join(probes.Names(), ", ")
		return probes.Target{}, fmt.Errorf("unknown probe %q; the probes are %s", p.Probe, names)
	case err != nil:
		return probes.Target{}, err
	case p.APIKey == "" && p.Probe != probes.EngineHealth:
		return probes.Target{}, fmt.Errorf("%s needs --api-key or QRGATE_PROBE_API_KEY", p.Probe)
	case p.Timeout < 0:
		return probes.Target{}, errors.New("--timeout must not be negative")
	}
	if p.Engine == "" && s.Engines != "" && s.Front == nativeFront { // all engines are of one kind
		engines, err := s.namedEngines("")
		if err != nil {
			return probes.Target{}, err
		}
		s.EngineKind = engines[0].settings.EngineKind
	}
	target := probes.Target{Name: u.String(), URL: u, Key: secret.NewSecret(p.APIKey)}
	cfg := app.Config{EngineURL: u}
	if err := s.setDialect(&cfg); err != nil {
		return probes.Target{}, err
	}
	if cfg.NativeFront || p.Engine != "" && cfg.Dialect != nil {
		client := translate(cfg.Dialect, &compat.Client{BaseURL: u, Transport: proxy.Transport()})
		target.URL, target.Client = client.BaseURL, &http.Client{Transport: client.Transport}
	}
	return target, nil
}

// parseTarget returns the canonical form of --target.
func parseTarget(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("--target must be like http://localhost:8080 or https://qrgate.example")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("--target must have no user, query or fragment; pass the key with --api-key")
	}
	return canonicalURL(u), nil
}

// targetUnreachable is the diagnosis when the target itself cannot be reached. The target may be qrgate, so the advice
// must not be about the engine behind it.
func targetUnreachable(r probes.Result) *diagnosis.Diagnosis {
	d := *r.Diagnosis
	d.Title = "Nothing responds at " + r.Target
	d.Help = "Start the service that should listen there, or correct --target or the network in between."
	return &d
}

// formatStep is one step as a line for a person.
func formatStep(s probes.Step) string {
	return formatLine(s.Name, 8, s.Outcome == session.Success, s.Seconds, s.Detail)
}

// formatResult is the end of a run for a person: what is wrong, who must do what, and the evidence.
func formatResult(r probes.Result) string {
	var b strings.Builder
	switch {
	case r.SkipReason != "":
		fmt.Fprintf(&b, "The prober failed (%s): %s\n", r.SkipReason, r.Problem)
	case r.Diagnosis != nil:
		b.WriteString("FAILED: " + formatDiagnosis(*r.Diagnosis, "en"))
	default:
		fmt.Fprintf(&b, "OK after %.1f s.\n", r.Seconds)
	}
	last := len(r.Steps) - 1
	if last >= 0 && r.Steps[last].Name == probes.StepCleanup && r.Steps[last].Outcome != session.Success {
		fmt.Fprintf(&b, "The session %s could not be deleted. The next run tries again.\n", r.Session)
	}
	return b.String()
}

func formatLine(name string, width int, ok bool, seconds float64, detail string) string {
	mark := "✓"
	if !ok {
		mark = "✗"
	}
	return strings.TrimRight(fmt.Sprintf("%s %-*s %7.3f s  %s", mark, width, name, seconds, detail), " ") + "\n"
}

func formatDiagnosis(d diagnosis.Diagnosis, language string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s).\n%s: %s\n", d.Title, d.Code, formatActor(d.Who, language), d.Help)
	for _, e := range d.Evidence {
		fmt.Fprintf(&b, "  · %s\n", e)
	}
	return b.String()
}

func formatActor(a diagnosis.Actor, language string) string {
	english, spanish := "No action needed", "No hace falta ninguna acción"
	switch a {
	case diagnosis.Customer:
		english, spanish = "Customer", "Cliente"
	case diagnosis.Developer:
		english, spanish = "Developer", "Desarrollo"
	case diagnosis.Operator:
		english, spanish = "Operator", "Operación"
	}
	if language == "es" {
		return spanish
	}
	return english
}

func printJSON(w io.Writer, v any) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // fails only when the reader has closed the pipe
}

// intentStore holds the sessions that a command is about to create, so that a later command deletes what is left. Its
// location is absolute because commands print it.
func intentStore(dataDir string) probes.Intents {
	dir := filepath.Join(dataDir, "probe-intents")
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	return probes.NewFileIntents(dir)
}

// canonicalURL is the one form of a target's URL, however it was written: probe finds what doctor left there.
func canonicalURL(u *url.URL) *url.URL {
	out := *u
	out.Host = strings.ToLower(out.Host)
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
		if out.Scheme == scheme {
			out.Host = strings.TrimSuffix(out.Host, port)
		}
	}
	for _, path := range []*string{&out.Path, &out.RawPath} {
		*path = strings.TrimSuffix(strings.TrimRight(*path, "/"), "/api")
	}
	return &out
}
