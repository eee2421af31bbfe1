package main

import (
	"time"

	"github.com/alecthomas/kong"
)

// flags is the command line.
type flags struct {
	settings

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version, as the command of that name."`

	Serve   struct{} `cmd:"" default:"1" help:"Run the gateway (default)."`
	Version struct{} `cmd:"" help:"Print the version."`

	Probe  probeCommand  `cmd:"" help:"Walk the way of a client to a QR once, and say whether it leads there."`
	Doctor doctorCommand `cmd:"" help:"Examine the engine and the way to WhatsApp, and say what is wrong and who must do what."`
}

// settings is every setting as a person writes it. Each has an environment variable of the same name.
type settings struct {
	Listen      string `env:"QRGATE_LISTEN" default:":8080" help:"Address that clients call."`
	AdminListen string `env:"QRGATE_ADMIN_LISTEN" default:"127.0.0.1:8081" help:"Address for operators: /livez /readyz /metrics /status. \"off\" closes it."`

	EngineURL      string        `env:"QRGATE_ENGINE_URL" placeholder:"URL" help:"The engine to stand before, as http://engine:8084. Without one the gate is an engine itself, on whatsmeow."`
	TrustedProxies string        `env:"QRGATE_TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Networks of the proxies before the gate, whose X-Forwarded-* are believed."`
	QRWaitInitial  time.Duration `env:"QRGATE_QR_WAIT_INITIAL" default:"9s" help:"How long a request for the QR is held while its connect is younger than 5 s."`
	QRWait         time.Duration `env:"QRGATE_QR_WAIT" default:"4.5s" help:"How long a request for the QR is held afterwards."`
	RecoveryForce  bool          `env:"QRGATE_RECOVERY_FORCE" help:"Recovery may connect with force when a QR does not come."`

	RedisURL string `env:"QRGATE_REDIS_URL" placeholder:"URL" help:"Redis for several replicas, as redis://:password@host:6379/0 or rediss://…; without one, memory."`
	Secret   string `env:"QRGATE_SECRET" placeholder:"TEXT" help:"Seals what is stored; the same on all replicas, at least 16 characters. Required with Redis."`

	APIKeys     string `env:"QRGATE_API_KEYS" placeholder:"NAME:KEY,…" help:"Keys of the embedded engine. The name owns the sessions. Without any, one is generated and shown once."`
	DataDir     string `env:"QRGATE_DATA_DIR" default:"./qrgate-data" help:"Where the embedded engine keeps its device keys (SQLite)."`
	DatabaseURL string `env:"QRGATE_DATABASE_URL" placeholder:"URL" help:"Postgres for the device keys, instead of SQLite."`

	ProbeAPIKey string `env:"QRGATE_PROBE_API_KEY" placeholder:"KEY" help:"Key of the gate's own probes; its traffic counts as synthetic."`

	ProbeInterval    time.Duration `env:"QRGATE_PROBE_INTERVAL" default:"300s" help:"Time between two synthetic walks to a QR; each makes one unpaired handshake at WhatsApp."`
	ProbeMaintenance string        `env:"QRGATE_PROBE_MAINTENANCE" placeholder:"TIMES" help:"When not to probe, in UTC, as \"sat,sun 22:00-02:30; daily 03:00-03:15\"."`

	WhatsAppCheck bool `name:"whatsapp-check" env:"QRGATE_WHATSAPP_CHECK" default:"true" negatable:"" help:"When a QR does not come, look at WhatsApp from here too, at most every five minutes, or each minute while that look fails."`

	LogLevel  string `env:"QRGATE_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
	LogFormat string `env:"QRGATE_LOG_FORMAT" default:"json" enum:"json,text" help:"json or text."`
	PProf     bool   `env:"QRGATE_PPROF" name:"pprof" help:"Serve profiles under /debug/pprof on the operators' address."`
}
