package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"go.mau.fi/whatsmeow"
	"golang.org/x/sync/errgroup"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/whatsappsim"
)

// demoKey is the API key of the rehearsal. It opens nothing anywhere else.
const demoKey = "demo-key"

// environment is everything that takes part, ready to run.
type environment struct {
	whatsapp     *whatsappsim.Server
	whatsappPort net.Listener
	library      *embedded.Engine // whatsmeow, which makes the engine's codes
	engine       *enginesim.Engine
	enginePort   net.Listener
	gate         *app.App
	dir          string
}

// build makes all parts and binds their ports. Nothing runs yet.
func build(s settings) (*environment, error) {
	delay, err := time.ParseDuration(s.Delay)
	if err != nil || delay < 0 || delay > 30*time.Second {
		return nil, errors.New("--delay must be between 0s and 30s")
	}
	st := &environment{whatsapp: &whatsappsim.Server{}}
	if st.whatsappPort, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	whatsmeow.WACertPubKey = st.whatsapp.RootPub() // before any client connects: the library's variable is global
	if st.dir, err = os.MkdirTemp("", "qrgate-demo-"); err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	st.library, err = embedded.New(embedded.Config{
		DataDir: st.dir, Keys: []embedded.Key{{Name: "demo", Key: secret.NewSecret(libraryKey)}}, Logger: quiet,
		HTTPClient: st.whatsapp.HTTPClient(st.whatsappPort.Addr().String()),
	})
	if err != nil {
		return nil, err
	}
	st.engine = enginesim.Incident()
	st.engine.QRDelay = delay
	st.engine.Begin = codes{http.Client{Transport: embedded.Transport(st.library)}}.begin
	if st.enginePort, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	st.gate, err = openGate(s.Listen, st.engineURL(), quiet)
	return st, err
}

// openGate puts the gate before the engine, on another port if the wanted one is in use.
func openGate(listen, engine string, quiet *slog.Logger) (*app.App, error) {
	base, err := url.Parse(engine)
	if err != nil {
		return nil, err
	}
	cfg := app.Config{Listen: listen, EngineURL: base, Logger: quiet, Out: io.Discard, Version: "demo"}
	g, err := app.New(cfg)
	if err != nil {
		cfg.Listen = "127.0.0.1:0"
		return app.New(cfg)
	}
	return g, nil
}

func (st *environment) engineURL() string { return "http://" + st.enginePort.Addr().String() }

// run serves all parts until ctx ends.
func (st *environment) run(ctx context.Context) error {
	defer os.RemoveAll(st.dir)
	server := &http.Server{Handler: st.engine, ReadHeaderTimeout: 5 * time.Second}
	libraryCtx, stopLibrary := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLibrary()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return normal(st.whatsapp.Serve(st.whatsappPort)) })
	group.Go(func() error { return st.library.Run(libraryCtx) })
	group.Go(func() error { return normal(server.Serve(st.enginePort)) })
	group.Go(func() error { return st.gate.Run(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		err := server.Close()
		st.engine.Close()
		stopLibrary()
		return errors.Join(err, st.whatsapp.Close())
	})
	return group.Wait()
}

// normal drops the errors that a closed listener is.
func normal(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// invite says what can be tried by hand.
func (st *environment) invite(out io.Writer) {
	base := st.gate.URL()
	fmt.Fprintf(out, `
 Try it by hand (every /qr is answered by the engine with 500 for the first seconds)

   curl -s -H 'X-API-Key: %[2]s' -H 'Content-Type: application/json' -d '{"sessionId":"mine","sessionName":"mine"}' %[1]s/api/sessions
   curl -s -H 'X-API-Key: %[2]s' -X POST %[1]s/api/sessions/mine/connect
   curl -s -H 'X-API-Key: %[2]s' %[1]s/api/sessions/mine/qr
   curl -s -H 'X-API-Key: %[2]s' %[1]s/api/sessions/mine/qr/status
   curl -sN -H 'X-API-Key: %[2]s' -H 'Accept: text/event-stream' %[1]s/api/sessions/mine/qr/status

 The same against the engine itself, which is at %[3]s
 Ctrl-C ends the demo.
`, base, demoKey, st.engineURL())
}
