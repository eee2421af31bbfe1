package house_test

import (
	"strings"
	"testing"
)

// Every rule on code that breaks it, and on code that does not: a rule that cannot fail guards nothing.
func TestRulesFindWhatTheyForbid(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\n", 61)
	for name, tt := range map[string]struct {
		rule rule
		path string
		code string
		want int
	}{
		"a room in a room":             {walls, "proxy/x.go", `import "qrgate/internal/pairing"`, 1},
		"the words in a room":          {walls, "proxy/x.go", `import ("qrgate"; "qrgate/compat")`, 0},
		"a room in the root":           {walls, "x.go", `import "qrgate/proxy"`, 1},
		"a dialect in compat":          {walls, "compat/x.go", `import "qrgate/compat/inboxhub"`, 1},
		"a command wires":              {walls, "cmd/qrgate/x.go", `import "qrgate/proxy"`, 0},
		"a room's own parent":          {walls, "internal/wasim/wasimtest/x.go", `import "qrgate/internal/wasim"`, 0},
		"a test uses a simulator":      {walls, "proxy/x_test.go", `import "qrgate/internal/enginesim"`, 0},
		"a simulator ships":            {helpersShip, "cmd/qrgate/x.go", `import "qrgate/internal/enginesim"`, 1},
		"a simulator in the demo":      {helpersShip, "cmd/qrgate-demo/x.go", `import "qrgate/internal/enginesim"`, 0},
		"the root dials":               {rootIsPure, "x.go", `import "net/http"`, 1},
		"the root has a library":       {rootIsPure, "x.go", `import "rsc.io/qr"`, 1},
		"the root reads the clock":     {rootIsPure, "x.go", "import \"time\"\nvar x = time.Now()", 1},
		"the root starts something":    {rootIsPure, "x.go", "func f() { go f() }", 1},
		"the root computes":            {rootIsPure, "x.go", "import (\"time\"; \"log/slog\")\nvar x = time.Second\nvar y = slog.LevelInfo", 0},
		"gin in the heart":             {partsInPlace, "internal/pairing/x.go", `import "github.com/gin-gonic/gin"`, 1},
		"gin in the front":             {partsInPlace, "proxy/x.go", `import "github.com/gin-gonic/gin"`, 0},
		"an unknown part":              {partsInPlace, "proxy/x.go", `import "github.com/spf13/viper"`, 1},
		"an exporter outside metrics":  {partsInPlace, "proxy/x.go", `import "go.opentelemetry.io/otel/exporters/otlp/otlptrace"`, 1},
		"the tracing seam":             {partsInPlace, "proxy/x.go", `import "go.opentelemetry.io/otel/trace"`, 0},
		"a part only for tests":        {partsInPlace, "proxy/x.go", `import "github.com/google/go-cmp/cmp"`, 1},
		"a part in a test":             {partsInPlace, "proxy/x_test.go", `import "github.com/google/go-cmp/cmp"`, 0},
		"a long file":                  {shortFiles, "x.go", strings.Repeat("\n", 400), 1},
		"a long function":              {shortFunctions, "x.go", "func f() {" + long + "}", 1},
		"a long test":                  {shortFunctions, "x_test.go", "func f() {" + long + "}", 0},
		"a wide interface":             {smallInterfaces, "x.go", "type i interface { a(); b(); c(); d(); e() }", 1},
		"a composed interface":         {smallInterfaces, "x.go", "type i interface { j; k; a(); b(); c(); d() }", 0},
		"many parameters":              {fewParameters, "x.go", "func f(a, b, c, d, e int) {}", 1},
		"context and four":             {fewParameters, "x.go", "import \"context\"\nfunc f(ctx context.Context, a, b, c, d int) {}", 0},
		"an undocumented function":     {documented, "x.go", "func F() {}", 1},
		"an undocumented method":       {documented, "x.go", "// T is.\ntype T int\nfunc (t *T) M() {}", 1},
		"a method of a private type":   {documented, "x.go", "type t int\nfunc (t) M() {}", 0},
		"an undocumented type":         {documented, "x.go", "type T int", 1},
		"an undocumented constant":     {documented, "x.go", "const (\n\tA = 1\n)", 1},
		"a documented group":           {documented, "x.go", "// The letters.\nconst (\n\tA = 1\n)", 0},
		"an init":                      {noInit, "x.go", "func init() {}", 1},
		"a method called init":         {noInit, "x.go", "type t int\nfunc (t) init() {}", 0},
		"a counter":                    {mutableGlobals, "x.go", "var n = 0\nfunc f() { n++ }", 1},
		"a map that is written":        {mutableGlobals, "x.go", "var m = map[int]int{}\nfunc f() { m[1] = 1 }", 1},
		"a map that is emptied":        {mutableGlobals, "x.go", "var m = map[int]int{}\nfunc f() { clear(m) }", 1},
		"a lock":                       {mutableGlobals, "x.go", "import \"sync\"\nvar mu sync.Mutex", 1},
		"a table, an error, a pattern": {mutableGlobals, "x.go", "import (\"errors\"; \"regexp\")\nvar m = map[int]int{1: 2}\nvar errX = errors.New(\"x\")\nvar re = regexp.MustCompile(`x`)\nvar _ = m", 0},
		"a namesake that is written":   {mutableGlobals, "x.go", "var m = map[int]int{}\nfunc f(m map[int]int) { m[1] = 1 }", 0},
		"a panic":                      {noPanics, "x.go", "func f() { panic(1) }", 1},
		"an abort":                     {noPanics, "x.go", "import \"net/http\"\nfunc f() { panic(http.ErrAbortHandler) }", 0},
		"an exit":                      {noPanics, "proxy/x.go", "import \"os\"\nfunc f() { os.Exit(1) }", 1},
		"a command's exit":             {noPanics, "cmd/qrgate/x.go", "import \"os\"\nfunc f() { os.Exit(1) }", 0},
		"a quiet skip":                 {quietSkips, "x_test.go", "import \"testing\"\nfunc f(t *testing.T) { t.Skip() }", 1},
		"a loud skip":                  {quietSkips, "x_test.go", "import (\"os\"; \"testing\")\nfunc f(t *testing.T) { if os.Getenv(\"QRGATE_REQUIRE_ALL\") == \"1\" { t.Fatal() }; t.Skip() }", 0},
	} {
		s := snippet(t, tt.path, tt.code)
		if got := tt.rule(s); len(got) != tt.want {
			t.Errorf("%s: %d findings, want %d: %v", name, len(got), tt.want, got)
		}
	}
}

func snippet(t *testing.T, path, code string) source {
	t.Helper()
	s, err := parse(path, "package x\n"+code)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSleepsAreFound(t *testing.T) {
	t.Parallel()
	const imports = "import (\"testing\"; \"testing/synctest\"; \"time\")\n"
	for name, tt := range map[string]struct {
		path, code string
		want       int
	}{
		"in a test":              {"x_test.go", "func TestX(t *testing.T) { time.Sleep(1) }", 1},
		"in what ships":          {"x.go", "func f() { time.Sleep(1) }", 1},
		"in a bubble":            {"x_test.go", "func TestX(t *testing.T) { synctest.Test(t, func(*testing.T) { time.Sleep(1) }) }", 0},
		"in a helper's bubble":   {"x_test.go", "func bubble(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }\nfunc TestX(t *testing.T) { bubble(t, func(*testing.T) { time.Sleep(1) }) }", 0},
		"in a helper of bubbles": {"x_test.go", "func nap() { time.Sleep(1) }\nfunc TestX(t *testing.T) { synctest.Test(t, func(*testing.T) { nap() }) }", 0},
		"in a helper of both":    {"x_test.go", "func nap() { time.Sleep(1) }\nfunc TestY(t *testing.T) { nap() }\nfunc TestX(t *testing.T) { synctest.Test(t, func(*testing.T) { nap() }) }", 1},
	} {
		if got := sleeps([]source{snippet(t, tt.path, imports+tt.code)}); len(got) != tt.want {
			t.Errorf("%s: %d findings, want %d: %v", name, len(got), tt.want, got)
		}
	}
}

func TestPackagesWithoutACommentAreFound(t *testing.T) {
	t.Parallel()
	bare := snippet(t, "a/x.go", "")
	told, err := parse("b/x.go", "// Package x is.\npackage x\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := undocumentedPackages([]source{bare, told}); len(got) != 1 || got[0].where != "package qrgate/a" {
		t.Error(got)
	}
}

func TestForbiddenWordsAreFound(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"private key": "-----BEGIN EC PRIV" + "ATE KEY-----", "api key": "prod_shop_" + "api_0123456789abcdef",
		"token": "gh" + "p_0123456789012345678901", "signed token": "ey" + "JhbGciOiJIUzI1.ey" + "JzdWIiOiIxMjM0",
		"machine's path": "see /ro" + "ot/x", "how it was written": "asked chat" + "GPT", "issue number": "see iss" + "ue #12",
	} {
		for _, p := range forbidden() {
			if got := p.in(document{"x.md", text}); (len(got) == 1) != (p.name == name) {
				t.Errorf("%s in %q: %v", p.name, text, got)
			}
		}
	}
}

func TestAddressesAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"write to somebody" + "@gmail.com":  1,
		"write to a@example.com":            0,
		"mailto:somebody" + "@gmail.com":    1,
		"redis://:PASSWORD@redis.redis.svc": 0,
		"5550100@s.whatsapp.net":            0,
		`"phone": "34` + `600123456"`:       1,
		"call +34" + "600123456":            1,
		"call 5550100":                      0,
		`"at": "1762410778123"`:             0,
		"go run x/staticcheck@v0.8.2 ./...": 0,
	} {
		if got := addresses(document{"x.md", text}); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestExceptionsHaveReasons(t *testing.T) {
	t.Parallel()
	for rule, list := range allowed {
		for key, why := range list {
			if len(why) < 20 {
				t.Errorf("%s: the exception %q has no reason", rule, key)
			}
		}
	}
}
