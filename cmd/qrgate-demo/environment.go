package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"golang.org/x/sync/errgroup"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/whatsappsim"
)

// Keys that are valid only inside this process.
const (
	demoKey    = "demo-key"                // of the engine that clients see
	libraryKey = "the-demo-runs-whatsmeow" // of the embedded engine that supplies its codes
)

// environment is the simulated WhatsApp, the engine and qrgate.
type environment struct {
	whatsapp     *whatsappsim.Server
	whatsappPort net.Listener
	library      *embedded.Engine // whatsmeow, which makes the engine's codes
	engine       *enginesim.Engine
	dialect      *dialect.Dialect // the engine's API; nil: the documented one
	handler      http.Handler     // the engine in that API
	enginePort   net.Listener
	gateway      *app.App
	names        libraryNames
	dir          string
}

// newEnvironment builds all parts and binds their ports. It starts nothing.
func newEnvironment(s settings) (*environment, error) {
	delay, err := time.ParseDuration(s.Delay)
	if err != nil || delay < 0 || delay > 30*time.Second {
		return nil, errors.New("--delay must be between 0s and 30s")
	}
	env := &environment{whatsapp: &whatsappsim.Server{}}
	if env.whatsappPort, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	whatsmeow.WACertPubKey = env.whatsapp.RootPub() // a global of the library, so before any client connects
	if env.dir, err = os.MkdirTemp("", "qrgate-demo-"); err != nil {
		return nil, err
	}
	logger := slog.New(slog.DiscardHandler)
	env.library, err = embedded.New(embedded.Config{
		DataDir: env.dir, Keys: []embedded.Key{{Name: "demo", Key: secret.NewSecret(libraryKey)}}, Logger: logger,
		HTTPClient: env.whatsapp.HTTPClient(env.whatsappPort.Addr().String()),
	})
	if err != nil {
		return nil, err
	}
	env.engine = enginesim.Incident()
	env.engine.QRDelay = delay
	env.engine.Begin = library{http.Client{Transport: embedded.Transport(env.library)}, &env.names}.begin
	if env.enginePort, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	env.dialect, env.handler = dialectOf(s.Kind), env.withPairingCodes(env.engine)
	if env.dialect != nil {
		env.engine.ConnectLatency, env.engine.Limits = 0, enginesim.Limits{}
		env.handler = enginesim.Faces()[s.Kind](env.engine)
	}
	env.gateway, err = newGateway(s.Listen, env, logger)
	return env, err
}

// newGateway puts qrgate in front of the engine, on a free port if the requested one is in use.
func newGateway(listen string, env *environment, logger *slog.Logger) (*app.App, error) {
	base, err := url.Parse(env.engineURL())
	if err != nil {
		return nil, err
	}
	cfg := app.Config{
		Listen: listen, AdminListen: "127.0.0.1:0", EngineURL: base, Dialect: env.dialect, NativeFront: env.dialect != nil,
		QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond, Logger: logger, Out: io.Discard, Version: version,
	}
	gateway, err := app.New(cfg)
	if err != nil {
		cfg.Listen = "127.0.0.1:0"
		return app.New(cfg)
	}
	return gateway, nil
}

func (env *environment) engineURL() string { return "http://" + env.enginePort.Addr().String() }

// run serves all parts until ctx ends.
func (env *environment) run(ctx context.Context) error {
	defer func() { _ = os.RemoveAll(env.dir) }()
	server := &http.Server{Handler: env.handler, ReadHeaderTimeout: 5 * time.Second}
	libraryCtx, stopLibrary := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLibrary()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ignoreClosed(env.whatsapp.Serve(env.whatsappPort)) })
	group.Go(func() error { return env.library.Run(libraryCtx) })
	group.Go(func() error { return ignoreClosed(server.Serve(env.enginePort)) })
	group.Go(func() error { return env.gateway.Run(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		err := server.Close()
		env.engine.Close()
		stopLibrary()
		return errors.Join(err, env.whatsapp.Close())
	})
	return group.Wait()
}

// ignoreClosed drops the errors of a closed listener.
func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// printUsage prints requests to try.
func (env *environment) printUsage(out io.Writer) {
	fmt.Fprintf(out, `
 Try it yourself (for the first seconds after a connect, the engine returns 500 to every /qr):

   curl -s -H 'X-API-Key: %[2]s' -H 'Content-Type: application/json' \
     -d '{"sessionId":"mine","sessionName":"mine"}' %[1]s/api/sessions
   curl -s -H 'X-API-Key: %[2]s' -X POST %[1]s/api/sessions/mine/connect
   curl -s -H 'X-API-Key: %[2]s' %[1]s/api/sessions/mine/qr
   curl -s -H 'X-API-Key: %[2]s' %[1]s/api/sessions/mine/qr/status
   curl -sN -H 'X-API-Key: %[2]s' -H 'Accept: text/event-stream' %[1]s/api/sessions/mine/qr/status

 Or, after the connect, pair by phone number; the simulated phone enters the code after %[5]s:

   curl -s -H 'X-API-Key: %[2]s' -H 'Content-Type: application/json' \
     -d '{"phoneNumber":"5550123456"}' %[1]s/api/sessions/mine/pairing-code

 The same requests to the engine itself: %[3]s
 Status page: %[4]s/status
 Ctrl-C ends the demo.
`, env.gateway.URL(), demoKey, env.engineURL(), env.gateway.AdminURL(), enterDelay)
}

// library gets codes from whatsmeow, through the API of the embedded engine.
type library struct {
	http  http.Client
	names *libraryNames
}

// libraryPollInterval is the time between two polls of the library.
const libraryPollInterval = 50 * time.Millisecond

// begin runs one connect of a session: it shows the codes that whatsmeow receives, until a phone scans one.
func (l library) begin(ctx context.Context, session string, socket *enginesim.Socket) {
	name := fmt.Sprintf("%s-%d", session, time.Now().UnixNano()) // a new device for each connect
	create := fmt.Sprintf(`{"sessionId":%q,"sessionName":"demo"}`, name)
	if l.call(ctx, http.MethodPost, "", create, nil) != nil ||
		l.call(ctx, http.MethodPost, "/"+name+"/connect", "{}", nil) != nil {
		socket.Failed()
		return
	}
	l.names.set(session, name)
	ticker := time.NewTicker(libraryPollInterval)
	defer ticker.Stop()
	shown := ""
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		var status struct{ Data struct{ IsConnected bool } }
		if l.call(ctx, http.MethodGet, "/"+name+"/status", "", &status) == nil && status.Data.IsConnected {
			socket.Linked(phone)
			continue
		}
		var qr struct {
			Data struct{ QRCode string }
		}
		if l.call(ctx, http.MethodGet, "/"+name+"/qr", "", &qr) != nil || qr.Data.QRCode == shown {
			continue
		}
		if text, err := compat.ReadQR(secret.NewSecret(qr.Data.QRCode)); err == nil {
			socket.Show(text.Reveal())
			shown = qr.Data.QRCode
		}
	}
}

// call sends a request to the embedded engine. A status other than 2xx is an error.
func (l library) call(ctx context.Context, method, path, body string, into any) error {
	url := "http://library.demo/api/sessions" + path
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", libraryKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := l.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: HTTP %d", method, path, res.StatusCode)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}
