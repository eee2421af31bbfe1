package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fence   = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```")
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*$`)
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	marks   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	setting = regexp.MustCompile(`\bQRGATE_[A-Z]+(?:_[A-Z]+)*\b`)

	imports = regexp.MustCompile(`(?m)^(?:import \((?s:.*?)^\)|(?:import|from) .*)$`)
	code    = regexp.MustCompile(`(?m)^ *\t*(?:[^\s/*})\]"]|"[^"]).*$`)

	// contractCitation matches "contract 4.2", "contract C7" and "(C22)", adrCitation "ADR 0003".
	contractCitation = regexp.MustCompile(`(?i)\bcontract(?:\.md)? (C?[0-9]+(?:\.[0-9]+)?)|[( ,](C[0-9]{1,2})[),.]`)
	adrCitation      = regexp.MustCompile(`\bADR ([0-9]{4})\b`)
)

// A relative link in a document leads to a file and a heading of the repository.
func TestDocs_LinksResolve(t *testing.T) {
	walk(t, func(file string) {
		if path.Ext(file) != ".md" {
			return
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(readFile(t, file), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := file
			name, anchor, _ := strings.Cut(m[1], "#")
			if name != "" {
				target = path.Join(path.Dir(file), name)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: link to %s: %v", file, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(readFile(t, target)), anchor) {
				t.Errorf("%s: link to %s: no such heading", file, m[1])
			}
		}
	})
}

// Both documents for developers of clients contain every example client as it is, and no client has more than 40 lines of
// code: imports, comments, blank lines and closing brackets do not count.
func TestDocs_IntegrateHasClients(t *testing.T) {
	const dir = "examples/clients"
	files, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d clients, %v", len(files), err)
	}
	for _, file := range files {
		client := readFile(t, path.Join(dir, file.Name()))
		for _, document := range []string{"docs/INTEGRATE.md", "docs/INTEGRATE.es.md"} {
			if !strings.Contains(readFile(t, document), "\n"+client+"```\n") {
				t.Errorf("%s does not contain %s as it is", document, file.Name())
			}
		}
		if n := len(code.FindAllString(imports.ReplaceAllString(client, ""), -1)); n > 40 {
			t.Errorf("%s has %d lines of code", file.Name(), n)
		}
	}
}

// anchors are the headings of a document in the form that links use.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.ReplaceAll(marks.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// A comment cites sections of docs/CONTRACT.md and decision records that exist.
func TestDocs_CitationsResolve(t *testing.T) {
	contract := readFile(t, "docs/CONTRACT.md")
	walk(t, func(file string) {
		if path.Ext(file) != ".go" {
			return
		}
		for line := range strings.Lines(readFile(t, file)) {
			_, comment, _ := strings.Cut(line, "//")
			for _, m := range contractCitation.FindAllStringSubmatch(comment, -1) {
				section := strings.ToUpper(m[1] + m[2])
				pattern := `(?m)^#+ ` + regexp.QuoteMeta(section) + `\.? `
				if section[0] == 'C' {
					pattern = `(?m)^\| ` + section + ` \|`
				}
				if !regexp.MustCompile(pattern).MatchString(contract) {
					t.Errorf("%s cites section %s, which docs/CONTRACT.md does not have", file, section)
				}
			}
			for _, m := range adrCitation.FindAllStringSubmatch(comment, -1) {
				if pages, _ := filepath.Glob(filepath.Join(root, "docs/adr", m[1]+"-*.md")); len(pages) != 1 {
					t.Errorf("%s cites ADR %s, which docs/adr does not have", file, m[1])
				}
			}
		}
	})
}

// Both READMEs list exactly the settings of qrgate --help; code and documents name no other setting.
func TestDocs_SettingsAreDocumented(t *testing.T) {
	settings := settingsIn(readFile(t, "cmd/qrgate/testdata/help.txt"))
	for _, readme := range []string{"README.md", "README.es.md"} {
		for _, name := range settings {
			if !strings.Contains(readFile(t, readme), "| `"+name+"` |") {
				t.Errorf("%s does not list %s", readme, name)
			}
		}
	}
	settings = append(settings, "QRGATE_REQUIRE_ALL", "QRGATE_TEST_DATABASE_URL", // read by tests
		"QRGATE_WHATSAPPSIM_ROOT", "QRGATE_WHATSAPPSIM_ADDR") // read by builds for the simulated WhatsApp
	walk(t, func(file string) {
		if !isText(file) || strings.HasSuffix(file, "_test.go") || file == "CHANGELOG.md" || file == glossary {
			return
		}
		for _, name := range settingsIn(readFile(t, file)) {
			if !slices.Contains(settings, strings.TrimSuffix(name, "_FILE")) {
				t.Errorf("%s names %s, which is not a setting", file, name)
			}
		}
	})
}

func settingsIn(text string) []string {
	names := setting.FindAllString(text, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// docs/ARCHITECTURE.md lists every package or a directory above it.
func TestDocs_PackagesAreListed(t *testing.T) {
	text := readFile(t, "docs/ARCHITECTURE.md")
	walk(t, func(file string) {
		if path.Ext(file) != ".go" {
			return
		}
		for dir := path.Dir(file); ; dir = path.Dir(dir) {
			if dir == "." {
				t.Errorf("docs/ARCHITECTURE.md does not list the package of %s", file)
			}
			if dir == "." || strings.Contains(text, "`"+dir+"`") || strings.Contains(text, "`"+dir+"/…`") {
				return
			}
		}
	})
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)`")

// Each threat in SECURITY.md names tests that exist.
func TestDocs_SecurityNamesTests(t *testing.T) {
	tests := map[string]bool{}
	walk(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") {
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(readFile(t, file), -1) {
				tests[m[1]] = true
			}
		}
	})
	rows := regexp.MustCompile(`(?m)^\| [0-9, ]+ \|.*$`).FindAllString(readFile(t, "SECURITY.md"), -1)
	if len(rows) < 26 {
		t.Fatalf("%d threats", len(rows))
	}
	for _, row := range rows {
		names := testName.FindAllStringSubmatch(row, -1)
		if len(names) == 0 && !strings.Contains(row, "](#") {
			t.Errorf("no test in %s", row)
		}
		for _, m := range names {
			if !tests[m[1]] {
				t.Errorf("no test has the name %s", m[1])
			}
		}
	}
}
