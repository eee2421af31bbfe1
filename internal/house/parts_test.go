package house_test

import (
	"slices"
	"strings"
	"testing"
)

// part is a third party: where it may be used, and why only there.
type part struct {
	path  string   // the module, or a part of it
	rooms []string // with everything below them; "*" is every room but the root
	why   string
}

// parts are for what ships. The longest path that fits an import decides.
var parts = []part{
	{"github.com/gin-gonic/gin", []string{"proxy"}, "one room knows the router, so that it can be replaced"},
	{"go.mau.fi/whatsmeow", []string{"compat/embedded", "internal/wasim"}, "its API breaks weekly, and its licence binds: one room and the simulator of its other end"},
	{"google.golang.org/protobuf", []string{"compat/embedded", "internal/wasim", "metrics/otlptest"}, "WhatsApp's messages, and OTLP's in tests"},
	{"filippo.io/edwards25519", []string{"internal/wasim"}, "the simulated phone signs as a phone does"},
	{"github.com/coder/websocket", []string{"compat/embedded", "internal/wasim", "internal/enginesim"}, "the wire of WhatsApp, and of engines that push"},
	{"github.com/redis/go-redis", []string{"internal/redisstore"}, "one room knows that the store is Redis"},
	{"github.com/jackc/pgx", []string{"compat/embedded"}, "device keys live in the embedded engine's database"},
	{"modernc.org/sqlite", []string{"compat/embedded"}, "device keys live in the embedded engine's database"},
	{"rsc.io/qr", []string{"compat", "internal/enginesim"}, "codes are drawn where bodies are made"},
	{"github.com/makiuchi-d/gozxing", []string{"probes", "internal/wasim/wasimtest", "cmd/qrgate-demo", "cmd/qrgate-bench", "cmd/qrgate-drill"}, "whoever claims to have got a QR reads it"},
	{"golang.org/x/text/language", []string{"proxy"}, "what language a client likes best is asked where it is answered"},
	{"github.com/sony/gobreaker", []string{"internal/breaker"}, "one room turns its states and errors into ours"},
	{"golang.org/x/time/rate", []string{"*"}, "a token bucket, nothing more"},
	{"golang.org/x/sync", []string{"*"}, "errgroup, nothing more"},
	{"github.com/alecthomas/kong", []string{"cmd", "internal/gate"}, "settings are read once, at the door"},
	{"github.com/prometheus/client_golang", []string{"metrics"}, "every metric's name stands in one room"},
	{"github.com/prometheus/common", []string{"metrics"}, "every metric's name stands in one room"},
	{"go.opentelemetry.io/otel", []string{"metrics", "proxy", "probes", "compat/inboxhub", "internal/pairing", "cmd", "internal/gate"}, "rooms may begin spans; the API alone, which does nothing until somebody sets it up"},
	{"go.opentelemetry.io/otel/sdk", []string{"metrics"}, "tracing is set up in one room"},
	{"go.opentelemetry.io/otel/exporters", []string{"metrics"}, "tracing is set up in one room"},
	{"go.opentelemetry.io/proto/otlp", []string{"metrics/otlptest"}, "tests receive what was exported"},
	{"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin", []string{"proxy", "metrics"}, "it belongs to the router"},
	{"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", []string{"metrics", "proxy", "compat/inboxhub", "cmd", "internal/gate"}, "it wraps transports and handlers where they are made"},
	{"github.com/grafana/grafana-foundation-sdk", []string{"dashboards"}, "dashboards are generated from Go"},
	{"github.com/google/go-cmp", []string{"internal/suite", "internal/openapi"}, "for tests"},
	{"pgregory.net/rapid", []string{"internal/suite"}, "for tests"},
	{"github.com/alicebob/miniredis", []string{"internal/suite"}, "for tests"},
	{"github.com/getkin/kin-openapi", []string{"internal/openapi"}, "for tests"},
	{"github.com/prometheus/prometheus", []string{"dashboards"}, "rules are parsed by what will run them"},
	{"go.yaml.in/yaml", []string{"dashboards"}, "rules are YAML"},
}

// testParts may be used by any test, beside whatever the room itself may use.
var testParts = []string{
	"github.com/google/go-cmp", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/rogpeppe/go-internal",
	"github.com/alicebob/miniredis", "github.com/redis/go-redis", "github.com/makiuchi-d/gozxing", "github.com/coder/websocket",
	"github.com/chromedp", "github.com/getkin/kin-openapi", "github.com/prometheus", "github.com/compose-spec/compose-go",
	"go.opentelemetry.io", "go.mau.fi/whatsmeow/types", "github.com/gin-gonic/gin", "go.yaml.in/yaml", "google.golang.org/protobuf",
	"rsc.io/qr", "modernc.org/sqlite", "github.com/jackc/pgx", "golang.org/x/sync",
}

func TestParts(t *testing.T) {
	t.Parallel()
	hold(t, "parts", "Every third party has its rooms in parts_test.go, with the reason. A new one needs a line there, "+
		"and one that comes into a second room makes two rooms change when it changes.", partsInPlace)
}

func partsInPlace(s source) []finding {
	var out []finding
	for i, imported := range s.imports() {
		if !strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
			continue // the standard library, or ours
		}
		if !mayUse(s, imported) {
			out = append(out, finding{s.path, "imports " + imported, s.line(s.file.Imports[i])})
		}
	}
	return out
}

func mayUse(s source, imported string) bool {
	if s.test() && slices.ContainsFunc(testParts, func(p string) bool { return within(imported, p) }) {
		return true
	}
	var best part
	for _, p := range parts {
		if within(imported, p.path) && len(p.path) > len(best.path) {
			best = p
		}
	}
	return slices.ContainsFunc(best.rooms, func(r string) bool {
		return r == "*" && s.room() != "" || within(s.room(), r)
	})
}

// within reports whether a path is base or lies below it.
func within(path, base string) bool { return path == base || strings.HasPrefix(path, base+"/") }

func TestPartsHaveReasons(t *testing.T) {
	t.Parallel()
	for _, p := range parts {
		if p.why == "" || len(p.rooms) == 0 {
			t.Errorf("%s has no room or no reason", p.path)
		}
	}
}
