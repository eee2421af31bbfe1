package house_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// words are the packages that every room may import: what all speak, and what goes over the wire.
var words = []string{"", "compat"}

// helpers are rooms made for tests. Tests everywhere may use them; what ships may not.
var helpers = []string{"internal/suite", "internal/enginesim", "internal/wasim", "internal/clients", "internal/openapi", "internal/house", "metrics/otlptest"}

// wired are rooms whose whole purpose is to put others together, beside cmd/.
var wired = []string{"internal/gate"}

func TestWalls(t *testing.T) {
	t.Parallel()
	hold(t, "walls", "A room imports the root, compat and what lies below itself; only cmd wires rooms together. "+
		"So every room can be read, tested and replaced alone.", walls)
}

func walls(s source) []finding {
	var out []finding
	for i, imported := range s.imports() {
		room, ours := strings.CutPrefix(imported, module+"/")
		if imported == module {
			room, ours = "", true
		}
		if ours && !mayEnter(s, room) {
			out = append(out, finding{s.path, "imports " + imported, s.line(s.file.Imports[i])})
		}
	}
	return out
}

func mayEnter(s source, room string) bool {
	from := s.room()
	switch {
	case from == room:
		return true // an external test package
	case s.program(), slices.Contains(wired, from):
		return true
	case s.test():
		return from != "" || isHelper(room) || slices.Contains(words, room)
	case from == "":
		return false // the root imports nobody
	case from == "compat":
		return room == ""
	}
	return slices.Contains(words, room) || strings.HasPrefix(from, room+"/")
}

func isHelper(room string) bool {
	return slices.ContainsFunc(helpers, func(h string) bool { return room == h || strings.HasPrefix(room, h+"/") })
}

func TestHelpersDoNotShip(t *testing.T) {
	t.Parallel()
	hold(t, "helpers", "Simulators and suites are for tests; a gateway that can pretend is a gateway that might.", helpersShip)
}

// helpersShip finds test rooms in what ships: everything but tests, the helpers themselves and the
// commands that exist to show or measure a simulated engine.
func helpersShip(s source) []finding {
	show := []string{"cmd/qrgate-demo", "cmd/qrgate-bench", "cmd/qrgate-drill", "cmd/wasimd"}
	if s.test() || isHelper(s.room()) || slices.ContainsFunc(show, func(c string) bool { return strings.HasPrefix(s.path, c+"/") }) {
		return nil
	}
	var out []finding
	for i, imported := range s.imports() {
		if isHelper(strings.TrimPrefix(imported, module+"/")) {
			out = append(out, finding{s.path, "imports " + imported, s.line(s.file.Imports[i])})
		}
	}
	return out
}

func TestRootIsPure(t *testing.T) {
	t.Parallel()
	hold(t, "root", "The root holds words and decisions. Whoever calls it passes the time in, so that a table test "+
		"can ask what happens in a minute; what waits, dials or reads lives in a room.", rootIsPure)
}

// impure are parts of the standard library that do I/O, start something or read the world.
var impure = []string{"net", "os", "syscall", "unsafe", "io/fs", "path/filepath", "log", "database", "testing", "runtime", "math/rand", "sync"}

// clocks are functions of package time that read it or wait for it.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

func rootIsPure(s source) []finding {
	if s.room() != "" || s.test() {
		return nil
	}
	var out []finding
	for i, imported := range s.imports() {
		library := strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
		if library || imported != "log/slog" && slices.ContainsFunc(impure, func(p string) bool { return imported == p || strings.HasPrefix(imported, p+"/") }) {
			out = append(out, finding{s.path, "imports " + imported, s.line(s.file.Imports[i])})
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, finding{s.path, "starts a goroutine", s.line(n)})
		case *ast.SelectorExpr:
			if isName(n.X, "time") && slices.Contains(clocks, n.Sel.Name) {
				out = append(out, finding{s.path, "calls time." + n.Sel.Name, s.line(n)})
			}
		}
		return true
	})
	return out
}

// isName reports whether an expression is the given identifier.
func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
