package app_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
)

// unusual is a response of an engine that it does not usually make.
type unusual struct {
	status int
	body   string
}

// reportTables are the tables of what engines respond with, by the test that has them.
var reportTables = []struct{ file, test string }{
	{"../../compat/reports_test.go", "TestPublicReports"},
	{"../../compat/dialect/reports_test.go", "TestPublicReports"},
	{"../session/diagnose_rules_test.go", ""}, // texts of errors
}

// emptyBodies are bodies without words.
var emptyBodies = []string{
	"", "<html><head><title>502 Bad Gateway</title></head></html>", `{"success":fal`, "{}", "[]", "null", "ok",
	`{"success":false}`, `{"success":true,"qr":null}`, `{"success":true,"qr":""}`, `{"success":true,"qr":false}`,
	`{"success":true,"qr":{}}`, `{"success":true,"data":null}`, `{"success":true,"data":{}}`,
	`{"success":true,"data":{"qrCode":null}}`, `{"success":false,"data":{"status":"qr_code","hasQR":true}}`,
}

// unusualBodies returns the bodies of the tables, and a body in a usual form for each of their texts.
func unusualBodies(t *testing.T) []string {
	t.Helper()
	bodies := slices.Clone(emptyBodies)
	for i, table := range reportTables {
		file, err := parser.ParseFile(token.NewFileSet(), table.file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		before := len(bodies)
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && (table.test == "" || f.Name.Name == table.test) {
				bodies = append(bodies, bodiesOf(f, i == 2)...)
			}
		}
		if len(bodies)-before < 20 {
			t.Errorf("%s has %d texts", table.file, len(bodies)-before)
		}
	}
	slices.Sort(bodies)
	return slices.Compact(bodies)
}

// bodiesOf returns the bodies in a table of a test, or a body for each text that is the key of a row.
func bodiesOf(f *ast.FuncDecl, isKeyed bool) (bodies []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		row, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		name, _ := row.Key.(*ast.Ident)
		call, isCall := row.Value.(*ast.CallExpr)
		switch {
		case isKeyed && literal(row.Key) != "":
			bodies = append(bodies, asError(literal(row.Key), len(bodies)))
		case isKeyed || name == nil || name.Name != "body":
		case isCall && literal(call.Args[len(call.Args)-1]) != "" && len(call.Args) == 2:
			if text := literal(call.Args[1]); !strings.Contains(literal(call.Args[0]), "%") {
				bodies = append(bodies, asError(text, len(bodies)))
			}
		case literal(row.Value) != "":
			bodies = append(bodies, literal(row.Value))
		}
		return true
	})
	return bodies
}

// literal is the value of a string literal, "" for any other expression.
func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(l.Value)
	return text
}

// asError is a text in one of the forms in which engines send errors.
func asError(text string, form int) string {
	body := []map[string]any{
		{"success": false, "error": text}, {"success": false, "message": text, "code": "QR_GENERATION_ERROR"},
		{"statusCode": 500, "message": text, "error": "Internal Server Error"}, {"status": "error", "error": map[string]any{"message": text}},
	}[form%4]
	out, _ := json.Marshal(body)
	return string(out)
}

var (
	saysPaired   = regexp.MustCompile(`(?i)already|\b(?:connected|authenticated|authorized|open|working)"|logged_?in":true|is authenticated`)
	saysUnknown  = regexp.MustCompile(`(?i)not found|no session|does ?n.t exist|does not exist|no existe|no encontrad|no es_`)
	saysLimit    = regexp.MustCompile(`(?i)rate.?limit|too many requests|request limit`)
	statesPaired = regexp.MustCompile(`(?i)"(?:status|state\w*)":"(?:connected|authenticated|authorized|open)"`)
	saysError    = regexp.MustCompile(`"success":false|"error":["{t]|"statusCode":[45]|"status":"error"`)
	saysUpstream = regexp.MustCompile(`(?i)upstream|bad gateway|failed to respond|cloudflare|no server|no backend`)
	saysRefused  = regexp.MustCompile(`(?i)key_refused|invalid.api.key`)
)

// isInFront reports whether a server in front of the engine may have sent it, which did not reach the engine.
func (u unusual) isInFront() bool {
	return u.status >= 502 && u.status <= 503 && (!strings.HasPrefix(u.body, "{") || saysUpstream.MatchString(u.body))
}

// maySay reports whether a diagnosis is allowed for the response: it may name the engine, or what the words name by
// the table of the diagnosis, or what the status means by itself.
func (u unusual) maySay(code diagnosis.Code) bool {
	part := code.Part()
	switch {
	case part == diagnosis.NoPart, part == diagnosis.Engine:
		return true
	case code == diagnosis.KeyRefused:
		return u.status == http.StatusUnauthorized || u.status == http.StatusForbidden || saysRefused.MatchString(u.body)
	case code == diagnosis.RateLimited:
		_, err := compat.Parse([]byte(u.body))
		isPage := u.status == http.StatusServiceUnavailable && err != nil // a proxy's limit of one route
		return u.status == http.StatusTooManyRequests || isPage || saysLimit.MatchString(u.body)
	case code == diagnosis.SessionNotFound:
		return u.status == http.StatusNotFound || saysUnknown.MatchString(u.body)
	}
	body, _ := compat.Parse([]byte(u.body))
	number := strconv.Itoa(u.status)
	for _, text := range []string{u.body, number + " " + u.body, compat.ErrorText(body), number + " " + compat.ErrorText(body), compat.ReasonOf(compat.SessionOf(body))} {
		for _, match := range []func(string) (diagnosis.Pattern, bool){diagnosis.MatchCause, diagnosis.MatchError} {
			if p, ok := match(text); ok && p.Code.Part() == part {
				return true
			}
		}
	}
	return false
}
