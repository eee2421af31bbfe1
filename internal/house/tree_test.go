package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// root is the repository, from here.
const root = "../.."

// module is its name in import paths.
const module = "qrgate"

// source is one Go file.
type source struct {
	path  string // from the repository's root, with slashes
	lines int
	file  *ast.File
	fset  *token.FileSet
}

// room is the directory of the file's package, "" for the root package.
func (s source) room() string {
	if dir := path.Dir(s.path); dir != "." {
		return dir
	}
	return ""
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// program reports whether the file belongs to a command: commands wire, exit and print.
func (s source) program() bool {
	return s.file.Name.Name == "main" || strings.HasPrefix(s.path, "cmd/")
}

// line is where a node begins.
func (s source) line(n ast.Node) int { return s.fset.Position(n.Pos()).Line }

// span is how many lines a node covers.
func (s source) span(n ast.Node) int { return s.fset.Position(n.End()).Line - s.line(n) + 1 }

// imports are the import paths of the file.
func (s source) imports() []string {
	out := make([]string, len(s.file.Imports))
	for i, spec := range s.file.Imports {
		out[i], _ = strconv.Unquote(spec.Path.Value) // the parser has read it already
	}
	return out
}

// parse reads one Go file.
func parse(name, text string) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path: name, lines: strings.Count(text, "\n"), file: file, fset: fset}, err
}

// document is one text file, Go or not.
type document struct{ path, text string }

// elsewhere are directories that are not the repository's own: libraries, builds, data.
var elsewhere = map[string]bool{".git": true, "node_modules": true, "bin": true, "qrgate-data": true}

// readTree reads every text file of the repository once.
var readTree = sync.OnceValues(func() ([]document, error) {
	var out []document
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if elsewhere[d.Name()] {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil || len(text) > 4<<20 || !utf8.Valid(text) || strings.Contains(string(text[:min(len(text), 512)]), "\x00") {
			return err
		}
		out = append(out, document{filepath.ToSlash(strings.TrimPrefix(name, root+string(filepath.Separator))), string(text)})
		return nil
	})
	return out, err
})

// documents are all text files of the repository.
func documents(t *testing.T) []document {
	t.Helper()
	all, err := readTree()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sources are all Go files of the repository, whatever their build tags.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	for _, d := range documents(t) {
		if !strings.HasSuffix(d.path, ".go") {
			continue
		}
		s, err := parse(d.path, d.text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}
