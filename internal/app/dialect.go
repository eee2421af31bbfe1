package app

import (
	"net/http"
	"net/url"
	"time"

	"qrgate/compat/dialect"
	"qrgate/compat/evolution"
	"qrgate/compat/gowa"
	"qrgate/compat/inboxhub"
	"qrgate/compat/waha"
	"qrgate/compat/wuzapi"
	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/proxy"
)

// Dialects are the engines of another API that qrgate knows, in alphabetical order.
func Dialects() []*dialect.Dialect {
	return []*dialect.Dialect{evolution.Dialect, gowa.Dialect, waha.Dialect, wuzapi.Dialect}
}

// documentedEngine is the engine as the documented API: its own, or that of a dialect.
type documentedEngine struct {
	base      *url.URL
	transport http.RoundTripper
	codeTTL   time.Duration
	subscribe acquire.Subscribe // nil: the engine reports no change by itself
}

func (e documentedEngine) engine() session.Engine {
	return inboxhub.New(e.base, e.transport).WithCodeTTL(e.codeTTL)
}

// translate puts the documented API before an engine of another one. Clients speak the documented API too, or with the
// native front the engine's own.
func (b *backend) translate(config *proxy.Config) {
	translator := dialect.NewTransport(b.engine.Dialect, config.Engine, b.documented.transport)
	b.translator = translator
	b.documented = documentedEngine{
		base:      &url.URL{Scheme: "http", Host: b.engine.Dialect.Kind + ".engine"},
		transport: translator, codeTTL: b.engine.Dialect.Traits.CodeTTL(),
	}
	if b.engine.Dialect.Push != nil {
		b.documented.subscribe = translator.Subscribe
	}
	if b.app.cfg.NativeFront {
		config.Native = proxy.NewNativeFront(b.engine.Dialect, translator, b.app.cfg.QRWaitInitial)
		return
	}
	config.Engine, config.Transport = b.documented.base, translator
}
