package confusion_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/embedded"
	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
	"qrgate/proxy"
)

// key is the key of the client; each engine accepts its length.
const key = "key-of-the-tests-0001"

// gateway is qrgate in front of an engine, and a client of it.
type gateway struct {
	*testing.T
	http *http.Client
	key  string
	stop func()
}

// newGateway starts a gateway in front of the engine at base; d is its API, nil for the documented one.
func newGateway(t *testing.T, base *url.URL, transport http.RoundTripper, d *dialect.Dialect) *gateway {
	t.Helper()
	sealer, err := seal.New(secret.NewSecret("a secret of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(memory.Config{})
	config := acquire.Config{Sealer: sealer, Store: store}
	codeTTL := time.Duration(0)
	if d != nil {
		translator := dialect.NewTransport(d, base, transport)
		base, transport, codeTTL = &url.URL{Scheme: "http", Host: "dialect.engine"}, translator, d.Traits.CodeTTL()
		if d.Push != nil {
			config.Subscribe = translator.Subscribe
		}
	}
	config.Engine = inboxhub.New(base, transport).WithCodeTTL(codeTTL)
	manager, err := acquire.New(config)
	if err != nil {
		t.Fatal(err)
	}
	handler := proxy.New(proxy.Config{Engine: base, Transport: transport, Acquirer: manager, Sealer: sealer})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	go func() { done <- manager.Run(ctx) }()
	go func() { done <- store.Run(ctx) }()
	return &gateway{T: t, key: key, http: &http.Client{Transport: embedded.Transport(handler)}, stop: sync.OnceFunc(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})}
}

// call sends a request as a client does, and reads the cause in the response.
func (g *gateway) call(method, path, body string) (compat.Object, diagnosis.Code) {
	g.Helper()
	return g.callIn(context.WithoutCancel(g.Context()), method, path, body)
}

// callIn is call with a client that disconnects when ctx ends.
func (g *gateway) callIn(ctx context.Context, method, path, body string) (compat.Object, diagnosis.Code) {
	g.Helper()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://gateway.test"+path, strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	req.Header.Set("X-API-Key", g.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := g.http.Do(req)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, "" // the client gave up
	}
	if err != nil {
		g.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	d := json.NewDecoder(res.Body)
	d.UseNumber()
	var o compat.Object
	if err := d.Decode(&o); err != nil {
		g.Fatalf("%s %s: %d, no JSON: %v", method, path, res.StatusCode, err)
	}
	return o, causeIn(res.StatusCode, o)
}

// refusals are the error codes, of qrgate or passed on from the engine, that are causes.
var refusals = map[string]diagnosis.Code{
	compat.CodeInvalidAPIKey: diagnosis.KeyRefused, compat.CodeMissingAPIKey: diagnosis.KeyRefused, "FORBIDDEN": diagnosis.KeyRefused,
	compat.CodeSessionNotFound:   diagnosis.SessionNotFound,
	compat.CodeEngineUnreachable: diagnosis.EngineUnreachable, compat.CodeEngineTimeout: diagnosis.EngineTimeout,
	compat.CodeEngineBadAnswer: diagnosis.EngineBadResponse, compat.CodeRateLimitExceeded: diagnosis.RateLimited,
}

// causeIn returns the diagnosis in a status response, or the code of an error.
func causeIn(status int, body compat.Object) diagnosis.Code {
	if status >= 400 {
		code := compat.StringOf(body["code"])
		if known, ok := refusals[code]; ok {
			return known
		}
		return diagnosis.Code(code)
	}
	if compat.Data(body)["state"] == string(session.Connected) {
		return diagnosis.AlreadyPaired // a success has no diagnosis
	}
	said, _ := compat.Data(body)["diagnosis"].(compat.Object)
	if said == nil {
		return diagnosis.None
	}
	return diagnosis.Code(compat.StringOf(said["code"]))
}

// create creates a session and returns its integer id.
func (g *gateway) create(name string) string {
	g.Helper()
	body, _ := g.call(http.MethodPost, "/api/sessions", `{"sessionId":"`+name+`","sessionName":"Test"}`)
	id := compat.Int(compat.SessionOf(body)["id"])
	if id == 0 {
		g.Fatalf("create: %v", body)
	}
	return strconv.FormatInt(id, 10)
}

func (g *gateway) connect(id string) { g.call(http.MethodPost, "/api/sessions/"+id+"/connect", "{}") }

// reading is a diagnosis and since when it applies.
type reading struct {
	at       time.Duration
	code     diagnosis.Code
	evidence string
}

// watch requests the diagnosis until the horizon, and returns its changes. A client requests the QR and the state
// meanwhile, as clients do.
func (g *gateway) watch(id string, step, horizon time.Duration) []reading {
	g.Helper()
	began := time.Now()
	stay, leave := context.WithCancel(context.WithoutCancel(g.Context()))
	var client sync.WaitGroup
	client.Go(func() { g.wait(stay, id) })
	defer client.Wait()
	defer leave()
	tick := time.NewTicker(step)
	defer tick.Stop()
	out := []reading{{code: diagnosis.None}}
	for time.Since(began) < horizon {
		<-tick.C
		body, code := g.call(http.MethodGet, "/api/sessions/"+id+"/qr/status", "")
		if code != "" && code != out[len(out)-1].code {
			said, _ := compat.Data(body)["diagnosis"].(compat.Object)
			out = append(out, reading{time.Since(began), code, fmt.Sprint(said["evidence"])})
		}
	}
	return out
}

// wait is a client that requests the QR and the state until stay ends.
func (g *gateway) wait(stay context.Context, id string) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stay.Done():
			return
		case <-tick.C:
			g.callIn(stay, http.MethodGet, "/api/sessions/"+id+"/qr", "")
			g.callIn(stay, http.MethodGet, "/api/sessions/"+id+"/status", "")
		}
	}
}
