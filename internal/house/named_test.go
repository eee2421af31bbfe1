package house_test

import (
	"go/ast"
	"strings"
	"testing"
)

func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	hold(t, "documented", "An exported name has a comment: what it is, its unit, its bounds, the errors it returns.", documented)
}

func documented(s source) []finding {
	if s.test() {
		return nil
	}
	var out []finding
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) && blank(d.Doc) {
				out = append(out, finding{s.path, nameOf(d) + " has no comment", s.line(d)})
			}
		case *ast.GenDecl:
			out = append(out, undocumentedSpecs(s, d)...)
		}
	}
	return out
}

// undocumentedSpecs looks at types, constants and variables; a comment on the group or at the line's end
// counts for constants and variables.
func undocumentedSpecs(s source, d *ast.GenDecl) []finding {
	var out []finding
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && blank(spec.Doc) && (d.Lparen.IsValid() || blank(d.Doc)) {
				out = append(out, finding{s.path, spec.Name.Name + " has no comment", s.line(spec)})
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && blank(spec.Doc) && blank(spec.Comment) && blank(d.Doc) {
					out = append(out, finding{s.path, name.Name + " has no comment", s.line(spec)})
				}
			}
		}
	}
	return out
}

func blank(c *ast.CommentGroup) bool { return c == nil || strings.TrimSpace(c.Text()) == "" }

func TestPackagesAreDocumented(t *testing.T) {
	t.Parallel()
	judge(t, "packages", "A package says in one place what it is for: // Package x … above its package clause.", undocumentedPackages(sources(t)))
}

func undocumentedPackages(all []source) []finding {
	rooms := map[string]bool{}
	for _, s := range all {
		if s.test() {
			continue
		}
		text := ""
		if s.file.Doc != nil {
			text = s.file.Doc.Text()
		}
		name := s.file.Name.Name
		rooms[s.room()] = rooms[s.room()] || strings.HasPrefix(text, "Package "+name) || name == "main" && text != ""
	}
	var out []finding
	for room, ok := range rooms {
		if !ok {
			out = append(out, finding{where: "package " + module + "/" + room, what: "has no comment"})
		}
	}
	return out
}
