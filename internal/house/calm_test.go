package house_test

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

func TestNoInit(t *testing.T) {
	t.Parallel()
	hold(t, "init", "What runs before main cannot be configured, ordered or tested; call it from where it is needed.", noInit)
}

func noInit(s source) []finding {
	var out []finding
	for _, f := range functions(s) {
		if f.Recv == nil && f.Name.Name == "init" {
			out = append(out, finding{s.path, "has an init", s.line(f)})
		}
	}
	return out
}

func TestNoMutableGlobals(t *testing.T) {
	t.Parallel()
	hold(t, "globals", "A package's variable is a table, a pattern or an error, and nothing writes to it. "+
		"Whatever changes belongs to a value that somebody made and can make twice.", mutableGlobals)
}

// mutableGlobals finds package variables that are written to, or whose value may be anything.
func mutableGlobals(s source) []finding {
	if s.test() {
		return nil
	}
	var out []finding
	for _, d := range s.file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.VAR {
			continue
		}
		for _, spec := range decl.Specs {
			out = append(out, unfixed(s, decl, spec.(*ast.ValueSpec))...)
		}
	}
	return out
}

func unfixed(s source, decl *ast.GenDecl, spec *ast.ValueSpec) []finding {
	var out []finding
	for i, name := range spec.Names {
		embeds := decl.Doc != nil && slices.ContainsFunc(decl.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
		fixed := embeds || i < len(spec.Values) && fixedValue(spec.Values[i])
		if name.Name != "_" && (!fixed || written(s.file, name.Name)) {
			out = append(out, finding{s.path, "variable " + name.Name, s.line(name)})
		}
	}
	return out
}

// fixedValue reports whether a variable that begins so is a table, a pattern, an error or a plain value.
func fixedValue(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.CompositeLit, *ast.Ident, *ast.SelectorExpr, *ast.FuncLit:
		return true
	case *ast.UnaryExpr:
		return fixedValue(e.X)
	case *ast.BinaryExpr:
		return fixedValue(e.X) && fixedValue(e.Y)
	case *ast.ArrayType:
		return true
	case *ast.CallExpr:
		return fixedCall(e)
	}
	return false
}

// fixedCall knows the few calls that make a value nobody writes to, and conversions of literals.
func fixedCall(e *ast.CallExpr) bool {
	switch f := e.Fun.(type) {
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "netip.MustParsePrefix", "netip.MustParseAddr"}, x.Name+"."+f.Sel.Name)
	case *ast.ArrayType, *ast.Ident:
		return len(e.Args) == 1 && fixedValue(e.Args[0])
	}
	return false
}

// written reports whether a function of the file writes to a name: x = , x[k] = , x.f = , x++, &x,
// delete(x, …), clear(x). Writes from the package's other files are not seen; they would be the next reader's.
func written(file *ast.File, name string) bool {
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			return !declares(n, name)
		case *ast.AssignStmt:
			found = found || n.Tok != token.DEFINE && slices.ContainsFunc(n.Lhs, func(e ast.Expr) bool { return isName(base(e), name) })
		case *ast.IncDecStmt:
			found = found || isName(base(n.X), name)
		case *ast.UnaryExpr:
			found = found || n.Op == token.AND && isName(n.X, name)
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.Ident)
			found = found || ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 && isName(base(n.Args[0]), name)
		}
		return true
	})
	return found
}

// declares reports whether a function has a variable or parameter of its own with the name.
func declares(f *ast.FuncDecl, name string) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			found = found || slices.ContainsFunc(n.Names, func(id *ast.Ident) bool { return id.Name == name })
		case *ast.ValueSpec:
			found = found || slices.ContainsFunc(n.Names, func(id *ast.Ident) bool { return id.Name == name })
		case *ast.AssignStmt:
			found = found || n.Tok == token.DEFINE && slices.ContainsFunc(n.Lhs, func(e ast.Expr) bool { return isName(e, name) })
		case *ast.RangeStmt:
			found = found || n.Tok == token.DEFINE && (isName(n.Key, name) || isName(n.Value, name))
		}
		return !found
	})
	return found
}

// base is what an expression writes to: x of x[k].f.
func base(e ast.Expr) ast.Expr {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return e
		}
	}
}

func TestNoPanics(t *testing.T) {
	t.Parallel()
	hold(t, "panics", "A panic ends every session of the process. Return an error, and say at the door what is wrong. "+
		"panic(http.ErrAbortHandler) is net/http's own word for \"cut this answer\", and may stay.", noPanics)
}

func noPanics(s source) []finding {
	if s.test() {
		return nil
	}
	var out []finding
	for _, f := range functions(s) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if name := deadly(call, s); name != "" {
				out = append(out, finding{s.path, nameOf(f) + " calls " + name, s.line(call)})
			}
			return true
		})
	}
	return out
}

// deadly names a call that ends the process; "" for every other.
func deadly(call *ast.CallExpr, s source) string {
	if isName(call.Fun, "panic") && len(call.Args) == 1 {
		if abort, ok := call.Args[0].(*ast.SelectorExpr); ok && isName(abort.X, "http") && abort.Sel.Name == "ErrAbortHandler" {
			return ""
		}
		return "panic"
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	switch {
	case !ok:
		return ""
	case isName(f.X, "log") && (strings.HasPrefix(f.Sel.Name, "Fatal") || strings.HasPrefix(f.Sel.Name, "Panic")):
		return "log." + f.Sel.Name
	case isName(f.X, "os") && f.Sel.Name == "Exit" && !s.program():
		return "os.Exit"
	}
	return ""
}

func TestSkipsAreLoudInCI(t *testing.T) {
	t.Parallel()
	hold(t, "skips", "A test that skips for want of a program must fail where QRGATE_REQUIRE_ALL is 1, or nobody "+
		"notices that it never runs.", quietSkips)
}

func quietSkips(s source) []finding {
	var out []finding
	for _, f := range functions(s) {
		skips, asked := 0, false
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) && !isName(sel.X, "filepath") {
					skips = s.line(n)
				}
			case *ast.BasicLit:
				asked = asked || strings.Contains(n.Value, "QRGATE_REQUIRE_ALL")
			}
			return true
		})
		if skips > 0 && !asked {
			out = append(out, finding{s.path, nameOf(f) + " skips quietly", skips})
		}
	}
	return out
}
