package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../../.."
	module = "qrgate/"
)

// layers orders the packages: a package imports only packages of lower layers, and its own subpackages and parents.
// Packages of one layer meet in internal/app.
var layers = []struct {
	prefix string
	layer  int
}{
	{"internal/diagnosis", 0},
	{"internal/secret", 0},
	{"api", 0},
	{"internal/apidocs", 1},
	{"internal/redact", 1},
	{"internal/session", 2},
	{"internal/seal", 3},
	{"internal/store", 3},
	{"compat/embedded", 6},
	{"compat/evolution", 6},
	{"compat/gowa", 6},
	{"compat/waha", 6},
	{"compat/wuzapi", 6},
	{"compat/dialect", 5},
	{"internal/webhook", 5},
	{"compat", 4},
	{"internal/pairpage", 6},
	{"dashboards", 7},
	{"internal/acquire", 7},
	{"internal/breaker", 7},
	{"internal/fleet", 7},
	{"internal/notify", 7},
	{"metrics", 7},
	{"probes", 7},
	{"internal/statuspage", 8},
	{"proxy", 8},
	{"internal/app", 9},
	{"cmd", 10},
}

// owners names the one package that may import a library.
var owners = map[string]string{
	"github.com/gin-gonic/gin":                  "proxy",
	"go.mau.fi/whatsmeow":                       "compat/embedded",
	"github.com/redis/go-redis/v9":              "internal/store/redis",
	"github.com/prometheus/client_golang":       "metrics",
	"go.opentelemetry.io/otel/sdk":              "metrics",
	"go.opentelemetry.io/otel/exporters":        "metrics",
	"go.opentelemetry.io/contrib":               "metrics",
	"github.com/jackc/pgx/v5":                   "compat/embedded",
	"modernc.org/sqlite":                        "compat/embedded",
	"github.com/coder/websocket":                "compat/dialect",
	"github.com/nicholas-fedor/shoutrrr":        "internal/notify",
	"github.com/swaggest/swgui":                 "internal/apidocs",
	"github.com/grafana/grafana-foundation-sdk": "dashboards",
}

// demo is the one program that may import test kits: it shows qrgate with a simulated engine and a simulated WhatsApp.
const demo = "cmd/qrgate-demo"

func TestImports(t *testing.T) {
	walk(t, func(file string) {
		dir := path.Dir(file)
		if path.Ext(file) != ".go" || strings.HasPrefix(file, "tools/") {
			return
		}
		if dir == "." {
			t.Errorf("%s: no Go file in the root", file)
		}
		if strings.HasSuffix(file, "_test.go") || isTestKit(dir) {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if reason := forbidden(dir, imported); reason != "" {
				t.Errorf("%s imports %s: %s", file, imported, reason)
			}
		}
	})
}

// forbidden returns why product code in dir must not import a package, or "".
func forbidden(dir, imported string) string {
	for library, owner := range owners {
		if within(imported, library) && !within(dir, owner) && dir != demo {
			return "only " + owner + " may"
		}
	}
	target, ours := strings.CutPrefix(imported, module)
	switch {
	case imported == "testing" || ours && isTestKit(target):
		if dir != demo {
			return "product code imports no test kit"
		}
	case ours:
		from, fromLayer := component(dir)
		to, toLayer := component(target)
		switch {
		case from == "" || to == "":
			return "the package has no layer; add it to the table"
		case fromLayer < toLayer, fromLayer == toLayer && !within(dir, target) && !within(target, dir):
			return from + " is not above " + to
		}
	}
	return ""
}

func component(dir string) (prefix string, layer int) {
	for _, c := range layers {
		if within(dir, c.prefix) {
			return c.prefix, c.layer
		}
	}
	return "", 0
}

func within(dir, prefix string) bool { return dir == prefix || strings.HasPrefix(dir, prefix+"/") }

// isTestKit reports whether a package exists for tests.
func isTestKit(dir string) bool { return within(dir, "internal/test") }

// walk calls visit with the slash-separated path of every file of the repository that a person wrote.
func walk(t *testing.T, visit func(file string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains([]string{".git", "node_modules", "bin", "qrgate-data", "testdata"}, entry.Name()) && entry.IsDir() {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			visit(file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
