package proxy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every text of qrgate has its Spanish.
func TestSpanish_EveryText(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "texts.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "text") {
			constants[join(t, spec.Values[0])] = true
		}
		return true
	})
	if len(constants) == 0 {
		t.Error("no texts")
	}
	for text := range constants {
		if translation := spanish.Texts[text]; translation == "" || translation == text {
			t.Errorf("%q has no Spanish", text)
		}
	}
	for text := range spanish.Texts {
		if !constants[text] {
			t.Errorf("%q is no text of qrgate", text)
		}
	}
}

// join is the value of a constant text that is written in several parts.
func join(t *testing.T, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return join(t, e.X) + join(t, e.Y)
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	t.Fatalf("%T in a text", e)
	return ""
}
