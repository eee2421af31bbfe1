// Package gate puts the rooms together into a gateway that runs. It decides nothing: it makes the parts,
// gives each what it needs, and starts and ends them in order. Commands use it; no room may.
package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/secret"
	"qrgate/probes"
)

// Config is everything that can be set, typed. cmd/qrgate reads it from the environment.
type Config struct {
	Listen      string // address of the clients' port
	AdminListen string // address of the operators' port; empty for none

	EngineURL      *url.URL       // nil: the embedded engine
	TrustedProxies []netip.Prefix // whose X-Forwarded-* are believed
	QRWaitInitial  time.Duration
	QRWait         time.Duration
	RecoveryForce  bool

	RedisURL secret.Secret // empty: memory
	Secret   secret.Secret // empty: random, good for one process

	APIKeys     []embedded.Key // of the embedded engine; empty: one is generated and kept in DataDir
	DataDir     string
	DatabaseURL secret.Secret
	WhatsApp    *http.Client // how the embedded engine dials; nil: the real WhatsApp

	ProbeKey      secret.Secret   // whose traffic is synthetic; empty: nobody's, and no probe makes sessions
	ProbeInterval time.Duration   // between two walks to a QR; 0: 300 s
	ProbePauses   []probes.Window // maintenance windows

	WhatsAppCheck bool // on suspicion the gate looks at WhatsApp itself, at most once in five minutes

	PProf   bool // profiles on the operators' port
	Version string
	Logger  *slog.Logger // required
	Out     io.Writer    // for what a person must see once, such as a generated key; required
}
