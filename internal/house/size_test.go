package house_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// Bounds on what one reader can hold in mind.
const (
	maxFile       = 400 // lines, tests included
	maxFunc       = 60  // lines, from func to the closing brace
	maxMethods    = 4   // of an interface, without those it embeds
	maxParameters = 4   // of a function, without its receiver and its context

	medianFile = 120 // lines; half of the files that ship are no longer
	ninthFunc  = 30  // lines; nine of ten functions that ship are no longer
)

func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	hold(t, "files", fmt.Sprintf("A file has %d lines at most and one idea; split it by ideas.", maxFile), shortFiles)
}

func shortFiles(s source) []finding {
	if s.lines > maxFile {
		return []finding{{s.path, "is too long", s.lines}}
	}
	return nil
}

func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	hold(t, "functions", fmt.Sprintf("A function has %d lines at most; give its parts names.", maxFunc), shortFunctions)
}

func shortFunctions(s source) []finding {
	var out []finding
	if s.test() {
		return nil // a table is long and easy to read
	}
	for _, f := range functions(s) {
		if s.span(f) > maxFunc {
			out = append(out, finding{s.path, nameOf(f) + " is too long", s.line(f)})
		}
	}
	return out
}

func TestInterfacesAreSmall(t *testing.T) {
	t.Parallel()
	hold(t, "interfaces", fmt.Sprintf("An interface has %d methods at most; compose larger ones of parts that somebody needs alone.", maxMethods), smallInterfaces)
}

func smallInterfaces(s source) []finding {
	var out []finding
	ast.Inspect(s.file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		face, ok := spec.Type.(*ast.InterfaceType)
		if !ok {
			return true
		}
		methods := 0
		for _, m := range face.Methods.List {
			methods += len(m.Names)
		}
		if methods > maxMethods {
			out = append(out, finding{s.path, spec.Name.Name + " has too many methods", s.line(spec)})
		}
		return true
	})
	return out
}

func TestParametersAreFew(t *testing.T) {
	t.Parallel()
	hold(t, "parameters", fmt.Sprintf("A function takes %d parameters at most; more of them are a struct without a name.", maxParameters), fewParameters)
}

func fewParameters(s source) []finding {
	var out []finding
	for _, f := range functions(s) {
		n := 0
		for _, p := range f.Type.Params.List {
			if sel, ok := p.Type.(*ast.SelectorExpr); !ok || !isName(sel.X, "context") {
				n += max(len(p.Names), 1)
			}
		}
		if n > maxParameters && !s.test() {
			out = append(out, finding{s.path, nameOf(f) + " takes too many parameters", s.line(f)})
		}
	}
	return out
}

func TestUsualSizes(t *testing.T) {
	t.Parallel()
	var files, funcs []int
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		files = append(files, s.lines)
		for _, f := range functions(s) {
			funcs = append(funcs, s.span(f))
		}
	}
	slices.Sort(files)
	slices.Sort(funcs)
	if got := files[len(files)/2]; got > medianFile {
		t.Errorf("half of the files have more than %d lines; that should be %d at most", got, medianFile)
	}
	if got := funcs[len(funcs)*9/10]; got > ninthFunc {
		t.Errorf("one function in ten has more than %d lines; that should be %d at most", got, ninthFunc)
	}
}

// functions are the declared functions of a file.
func functions(s source) []*ast.FuncDecl {
	var out []*ast.FuncDecl
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			out = append(out, f)
		}
	}
	return out
}

// nameOf is a function's name, "type.method" for a method.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	return receiver(f) + "." + f.Name.Name
}

// receiver is the name of a method's type, without its star and its type parameters.
func receiver(f *ast.FuncDecl) string {
	e := f.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return strings.TrimSpace(fmt.Sprint(e))
		}
	}
}
