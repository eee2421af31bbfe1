package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"qrgate/compat/embedded"
	"qrgate/compat/inboxhub"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/probes"
	"qrgate/probes/doctor"
	"qrgate/probes/whatsapp"
	"qrgate/proxy"
)

// Exit codes of doctor, one for each kind of cause; 0 is healthy and nothing else is.
const (
	exitUnknown  = 10 // something is wrong, or not all was looked at, and nobody can say what
	exitEngine   = 11
	exitKey      = 12
	exitNetwork  = 13
	exitOutdated = 14
	exitWhatsApp = 15
	exitSession  = 16
)

// doctorCommand examines an engine and the way to WhatsApp.
type doctorCommand struct {
	APIKey    string        `name:"api-key" env:"QRGATE_PROBE_API_KEY" placeholder:"KEY" help:"The key to examine the engine with. The variable does not show in the list of processes."`
	Deep      bool          `help:"Try a session even without a key, for engines that ask for none."`
	JSON      bool          `name:"json" help:"Print the result as one JSON object."`
	Lang      string        `default:"en" enum:"en,es" help:"Language of the verdict: en or es; checks and evidence quote what was seen, and stay English. Default: ${default}."`
	QRTimeout time.Duration `default:"30s" help:"How long to wait for a QR once the engine has accepted the connect; engines may take 8 s. Default: ${default}."`
}

// Help is what qrgate doctor --help says beside the flags.
func (doctorCommand) Help() string {
	return `Examines the engine at --engine-url, then the way from here to WhatsApp, and says what is wrong and who must do what.
No gate has to run. Without --engine-url only the way to WhatsApp is examined, with the library of the embedded engine.

With a key, a session called doctor-… is created, connected and always deleted again. Nothing is paired, and no other session is touched.
The look at WhatsApp opens a registration there each time: do not run it in a loop.

Exit status:
   0 healthy, and nothing else is
   1 it was interrupted, 2 it was called wrongly
  10 the cause is not known, or not all was examined
  11 the engine: unreachable, slow, failing, without a QR, or not the engine
  12 the key
  13 the network: DNS, port 443, TLS, proxy
  14 WhatsApp refuses the version of a library
  15 WhatsApp is silent or down
  16 the session, its account or a limit

  QRGATE_PROBE_API_KEY=KEY qrgate doctor --engine-url http://engine:8084 --json | jq -r .diagnosis.help`
}

// exitOf is the exit code of a diagnosis.
func exitOf(c diagnosis.Code) int {
	switch c {
	case diagnosis.None:
		return exitOK
	case diagnosis.EngineUnreachable, diagnosis.EngineTimeout, diagnosis.Engine5xx, diagnosis.EngineBadResponse, diagnosis.EngineRestarted,
		diagnosis.EngineOverloaded, diagnosis.ConnectFailing, diagnosis.QRNotEmitted, diagnosis.QRInvalid:
		return exitEngine
	case diagnosis.KeyRefused:
		return exitKey
	case diagnosis.DNSFailed, diagnosis.NetworkBlocked, diagnosis.TLSIntercepted, diagnosis.ProxyRefused:
		return exitNetwork
	case diagnosis.ClientOutdated:
		return exitOutdated
	case diagnosis.WhatsAppSilent, diagnosis.WhatsAppUnavailable:
		return exitWhatsApp
	case diagnosis.SessionStuck, diagnosis.SessionNotFound, diagnosis.SessionConflict, diagnosis.SessionLimit, diagnosis.AlreadyPaired, diagnosis.AccountBanned,
		diagnosis.LoggedOut, diagnosis.PairingFailed, diagnosis.PasskeyRequired, diagnosis.QRExpired, diagnosis.RateLimited:
		return exitSession
	}
	return exitUnknown
}

// run examines once and returns the exit code.
func (c doctorCommand) run(ctx context.Context, w cli, f settings) int {
	cfg, err := c.config(w, f)
	if err != nil {
		fmt.Fprintf(w.err, "qrgate doctor: %v\n", err)
		return exitUsage
	}
	if !c.JSON {
		cfg.Progress = func(check doctor.Check) { _, _ = io.WriteString(w.out, checked(check)) }
	}
	report := doctor.Run(ctx, cfg)
	if c.JSON {
		printer := json.NewEncoder(w.out)
		printer.SetEscapeHTML(false)
		_ = printer.Encode(report) // whoever closed the pipe knows
	} else {
		_, _ = io.WriteString(w.out, c.formatReport(report))
		if report.LeftBehind {
			_, _ = io.WriteString(w.out, c.formatLeftover(report.Session, cfg.Base, f.DataDir))
		}
	}
	if report.Stopped {
		return exitFailed
	}
	return exitOf(report.Diagnosis.Code)
}

// config wires the engine and the way to WhatsApp.
func (c doctorCommand) config(w cli, f settings) (doctor.Config, error) {
	base, err := engineURL(f.EngineURL)
	switch {
	case err != nil:
		return doctor.Config{}, err
	case base == nil && c.Deep:
		return doctor.Config{}, errors.New("--deep needs --engine-url (QRGATE_ENGINE_URL): there is no engine to examine")
	case c.QRTimeout <= 0:
		return doctor.Config{}, errors.New("--qr-timeout must be more than 0s")
	}
	way := w.whatsapp
	if way == nil {
		if way, err = embedded.SimulatorClient(); err != nil {
			return doctor.Config{}, err
		}
	}
	cfg := doctor.Config{Base: base, Key: secret.NewSecret(c.APIKey), Deep: c.Deep, Patience: c.QRTimeout, Language: c.Lang, CheckWhatsApp: lookFrom(way), Legible: probes.CheckQRImage}
	if base == nil {
		return cfg, nil
	}
	cfg.Transport = noWait{proxy.Transport(proxy.TransportOptions{})}
	cfg.Engine = inboxhub.New(base, cfg.Transport)
	wireIntents(&cfg, intentStore(f.DataDir), canonicalURL(base).String())
	return cfg, nil
}

// wireIntents notes the session of an examination where and as qrgate probe notes its own, so that the next one tidies
// up after a doctor that was killed, or could not.
func wireIntents(cfg *doctor.Config, place *probes.FileIntents, target string) {
	i := probes.Intent{Target: target, Owner: "doctor"}
	limit := cfg.Patience + 2*time.Minute
	cfg.RecordIntent = func(ctx context.Context, session string) error {
		i.Session, i.At = session, time.Now()
		i.Until = i.At.Add(limit)
		return place.Record(ctx, i)
	}
	cfg.Left = func(ctx context.Context, _ string) error {
		i.Until = time.Now()
		return place.Record(ctx, i)
	}
	cfg.Done = place.Done
}

// lookFrom is the gate's own look at WhatsApp, by the given way; nil is the real one.
func lookFrom(way *http.Client) func(context.Context, func(doctor.Check)) session.ConnectivityResult {
	return func(ctx context.Context, progress func(doctor.Check)) session.ConnectivityResult {
		return whatsapp.Check(ctx, whatsapp.Config{
			Client:    way,
			Handshake: func(ctx context.Context) (diagnosis.Code, string) { return embedded.Handshake(ctx, way) },
			Progress: func(s whatsapp.Step) {
				progress(doctor.Check{Name: string(s.Name), OK: s.OK, Seconds: s.Took.Round(time.Millisecond).Seconds(), Detail: s.Detail})
			},
		})
	}
}

// noWait asks a gate not to hold: the doctor waits by itself, and an engine does not mind.
type noWait struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t noWait) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Prefer", "wait=0")
	return t.next.RoundTrip(r)
}

// checked is one check for a person.
func checked(c doctor.Check) string {
	mark := "✓"
	if !c.OK {
		mark = "✗"
	}
	return strings.TrimRight(fmt.Sprintf("%s %-9s %7.3f s  %s", mark, c.Name, c.Seconds, c.Detail), " ") + "\n"
}

// formatReport is the end for a person: what is wrong, who must do what, and from what one can tell.
func (c doctorCommand) formatReport(r doctor.Report) string {
	var b strings.Builder
	d := r.Diagnosis
	fmt.Fprintf(&b, "\n%s (%s).\n%s: %s\n", d.Title, d.Code, actor(d.Who, c.Lang), d.Help)
	for _, e := range d.Evidence {
		fmt.Fprintf(&b, "  · %s\n", e)
	}
	return b.String()
}

// formatLeftover says where a session that could not be deleted is noted, and who tries again.
func (c doctorCommand) formatLeftover(session string, base *url.URL, dataDir string) string {
	text := "The session %s could not be deleted. It is noted in %s, and the next\n  qrgate probe --target %s --data-dir %s\nwith the same key tries again.\n"
	if c.Lang == "es" {
		text = "No se pudo borrar la sesión %s. Está anotada en %s, y el siguiente\n  qrgate probe --target %s --data-dir %s\ncon la misma clave lo intenta de nuevo.\n"
	}
	return fmt.Sprintf(text, session, intentStore(dataDir).Location(), canonicalURL(base), dataDir)
}
