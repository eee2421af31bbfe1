package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/probes/doctor"
	"qrgate/probes/whatsapp"
	"qrgate/proxy"
)

// Exit codes of doctor, one for each kind of cause; exitOK means healthy and nothing else.
const (
	exitUnknown  = 10 // something is wrong or was not checked, and the cause is not known
	exitEngine   = 11
	exitKey      = 12
	exitNetwork  = 13
	exitOutdated = 14
	exitWhatsApp = 15
	exitSession  = 16
	exitMachine  = 17
)

// doctorCommand checks an engine and the connection to WhatsApp.
type doctorCommand struct {
	APIKey    string `name:"api-key" env:"QRGATE_PROBE_API_KEY" placeholder:"KEY"`
	Engine    string `placeholder:"NAME"`
	Deep      bool
	JSON      bool          `name:"json"`
	Lang      string        `default:"en" enum:"en,es"`
	QRTimeout time.Duration `default:"30s"`
}

// partExits are the exit codes by the part where the cause lies.
var partExits = map[diagnosis.Part]int{
	diagnosis.Engine: exitEngine, diagnosis.ThisMachine: exitMachine, diagnosis.Network: exitNetwork,
	diagnosis.WhatsApp: exitWhatsApp, diagnosis.Account: exitSession, diagnosis.Caller: exitSession,
}

// exitCode is the exit code for a diagnosis.
func exitCode(c diagnosis.Code) int {
	switch c {
	case diagnosis.None:
		return exitOK
	case diagnosis.KeyRefused:
		return exitKey
	case diagnosis.ClientOutdated:
		return exitOutdated
	case diagnosis.QRNotEmitted:
		return exitEngine
	case diagnosis.SessionStuck, diagnosis.SessionLimit, diagnosis.PairingFailed:
		return exitSession
	}
	return cmp.Or(partExits[c.Part()], exitUnknown)
}

// run checks the engine, or each of several, and returns the first exit code that is not exitOK.
func (d doctorCommand) run(ctx context.Context, c cli, s settings) int {
	engines, err := s.namedEngines(d.Engine)
	if err != nil {
		fmt.Fprintf(c.err, "qrgate doctor: %v\n", err)
		return exitUsage
	}
	code := exitOK
	for i, e := range engines {
		if len(engines) > 1 && !d.JSON {
			fmt.Fprintf(c.out, "%sEngine %s at %s\n", strings.Repeat("\n", min(i, 1)), e.name, e.settings.EngineURL)
		}
		code = cmp.Or(code, d.check(ctx, c, e.settings))
	}
	return code
}

// check runs the checks of one engine and returns the exit code.
func (d doctorCommand) check(ctx context.Context, c cli, s settings) int {
	cfg, err := d.config(ctx, c, s)
	if err != nil {
		fmt.Fprintf(c.err, "qrgate doctor: %v\n", err)
		return exitUsage
	}
	if !d.JSON {
		cfg.Progress = func(check doctor.Check) { _, _ = io.WriteString(c.out, formatCheck(check)) }
	}
	report := doctor.Run(ctx, cfg)
	if d.JSON {
		printJSON(c.out, report)
	} else {
		_, _ = io.WriteString(c.out, "\n"+formatDiagnosis(report.Diagnosis, d.Lang))
		if report.LeftBehind {
			_, _ = io.WriteString(c.out, d.formatLeftover(report.Session, cfg.Target, s.DataDir))
		}
	}
	if report.Stopped {
		return exitFailed
	}
	return exitCode(report.Diagnosis.Code)
}

// config wires the engine and the connection to WhatsApp.
func (d doctorCommand) config(ctx context.Context, c cli, s settings) (doctor.Config, error) {
	base, err := parseEngineURL(s.EngineURL)
	switch {
	case err != nil:
		return doctor.Config{}, fmt.Errorf("--engine-url (QRGATE_ENGINE_URL) %w", err)
	case base == nil && d.Deep:
		return doctor.Config{}, errors.New("--deep needs --engine-url (QRGATE_ENGINE_URL)")
	case d.QRTimeout <= 0:
		return doctor.Config{}, errors.New("--qr-timeout must be more than 0s")
	}
	client := c.whatsapp
	if client == nil {
		if client, err = embedded.SimulatorClient(); err != nil {
			return doctor.Config{}, err
		}
	}
	cfg := doctor.Config{
		Key: secret.NewSecret(d.APIKey), Deep: d.Deep, QRTimeout: d.QRTimeout, Language: d.Lang,
		CheckWhatsApp: checkWhatsApp(client),
	}
	if base == nil {
		cfg.Version, _ = embedded.DescribeVersion(time.Now())
		return cfg, nil
	}
	cfg.Engine = &compat.Client{BaseURL: base, Transport: proxy.Transport(), UserAgent: "qrgate-doctor"}
	if cfg.Kind, err = d.setDialect(ctx, cfg.Engine, s); err != nil {
		return doctor.Config{}, err
	}
	cfg.Intents, cfg.Target = intentStore(s.DataDir), canonicalURL(base).String()
	return cfg, nil
}

// setDialect translates for an engine with an API of its own. The engine's responses identify it; a setting that names
// another one is an error.
func (d doctorCommand) setDialect(ctx context.Context, engine *compat.Client, s settings) (doctor.Check, error) {
	var cfg app.Config
	cfg.EngineURL = engine.BaseURL
	if err := s.setDialect(&cfg); err != nil {
		return doctor.Check{}, err
	}
	kind := doctor.Check{Name: doctor.CheckKind, OK: true}
	found := dialect.Detect(ctx, app.Dialects(), engine.BaseURL, engine.Transport, dialect.Credential{Key: d.APIKey})
	switch configured := cfg.Dialect; {
	case found == nil && configured == nil:
		return doctor.Check{}, nil
	case found == nil && d.APIKey == "": // some engines respond to nothing without a key
		kind.Detail = configured.Kind + ", as QRGATE_ENGINE_KIND says"
	case found == nil:
		kind.OK, kind.Detail = false, "GET "+configured.Sign.Path+" does not respond as "+configured.Kind+" does"
	case configured == nil:
		kind.Detail = found.Kind + ": start qrgate with QRGATE_ENGINE_KIND=" + found.Kind
	case found != configured:
		return kind, fmt.Errorf("QRGATE_ENGINE_KIND is %s, and %s responds as %s does: set QRGATE_ENGINE_KIND=%s",
			configured.Kind, canonicalURL(engine.BaseURL), found.Kind, found.Kind)
	default:
		kind.Detail = found.Kind
	}
	*engine = *translate(cmp.Or(cfg.Dialect, found), engine)
	return kind, nil
}

// translate is a client of the documented API at a server that speaks another one.
func translate(d *dialect.Dialect, c *compat.Client) *compat.Client {
	translated := *c
	translated.Transport = dialect.NewTransport(d, c.BaseURL, c.Transport)
	translated.BaseURL = &url.URL{Scheme: "http", Host: d.Kind + ".engine"}
	return &translated
}

// checkWhatsApp is the connectivity check from this host through client; nil is the real network.
func checkWhatsApp(client *http.Client) func(context.Context, func(doctor.Check)) session.ConnectivityResult {
	return func(ctx context.Context, progress func(doctor.Check)) session.ConnectivityResult {
		return whatsapp.Check(ctx, whatsapp.Config{
			Client:    client,
			Handshake: func(ctx context.Context) (diagnosis.Code, string) { return embedded.Handshake(ctx, client) },
			Progress: func(s compat.DialStep) {
				seconds := s.Took.Round(time.Millisecond).Seconds()
				progress(doctor.Check{Name: string(s.Name), OK: s.OK, Seconds: seconds, Detail: s.Detail})
			},
		})
	}
}

// formatCheck is one check as a line for a person.
func formatCheck(c doctor.Check) string { return formatLine(c.Name, 9, c.OK, c.Seconds, c.Detail) }

// formatLeftover names the session that could not be deleted, and the command that deletes it.
func (d doctorCommand) formatLeftover(session, target, dataDir string) string {
	text := "The session %s could not be deleted. It is recorded in %s.\n" +
		"Run this with the same key to try again:\n  qrgate probe --target %s --data-dir %s\n"
	if d.Lang == "es" {
		text = "No se pudo borrar la sesión %s. Está anotada en %s.\n" +
			"Para intentarlo de nuevo, ejecute con la misma clave:\n  qrgate probe --target %s --data-dir %s\n"
	}
	return fmt.Sprintf(text, session, intentStore(dataDir).Location(), target, dataDir)
}
