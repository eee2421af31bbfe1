package proxy

import (
	"go/ast"
	"go/parser"
	"go/token"
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
	constants := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "text") {
			constants++
		}
		return true
	})
	if constants == 0 || constants != len(spanish) {
		t.Errorf("%d texts, %d of them in Spanish", constants, len(spanish))
	}
	for text, translation := range spanish {
		if translation == "" || translation == text {
			t.Errorf("%q has no Spanish", text)
		}
	}
}
