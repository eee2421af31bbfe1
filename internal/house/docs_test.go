package house_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*$`)
	fence   = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```")
)

func TestLinksResolve(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for _, d := range documents(t) {
		all[d.path] = d.text
	}
	pictures, err := filepath.Glob(filepath.Join(root, "docs", "images", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pictures {
		all["docs/images/"+filepath.Base(name)] = "" // they are no text, and links lead to them all the same
	}
	var found []finding
	for name, text := range all {
		if strings.HasSuffix(name, ".md") {
			found = append(found, deadLinks(name, text, all)...)
		}
	}
	judge(t, "links", "A link in a document leads to a file and a heading of the repository.", found)
}

// deadLinks finds relative links of one document that lead nowhere. all are the texts of all files, by path.
func deadLinks(name, text string, all map[string]string) []finding {
	var out []finding
	for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target := name
		if file != "" {
			target = path.Join(path.Dir(name), file)
		}
		body, ok := all[target]
		if !ok && !isDirectory(target, all) || anchor != "" && !slices.Contains(anchors(body), anchor) {
			out = append(out, finding{where: name, what: "links to " + m[1]})
		}
	}
	return out
}

func isDirectory(name string, all map[string]string) bool {
	for file := range all {
		if strings.HasPrefix(file, name+"/") {
			return true
		}
	}
	return false
}

// anchors are the headings of a document as links name them.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		title := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(title, " ", "-"))
	}
	for _, m := range regexp.MustCompile(`<a (?:id|name)="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

var (
	// contractCited fits "contract 4.2", "contract C7" and "(C22)" in comments.
	contractCited = regexp.MustCompile(`(?i)\bcontract(?:\.md)? ((?:C)?[0-9]+(?:\.[0-9]+)?)|[( ,](C[0-9]{1,2})[),.]`)
	// factCited fits "wasim 4", "DESIGN 4.1", "sre.md 2.3".
	factCited = regexp.MustCompile(`(?i)\b(design|engines|reliability|sre|wasim)(?:\.md)? ([0-9]+(?:\.[0-9]+)?)\b`)
)

func TestCitationsResolve(t *testing.T) {
	t.Parallel()
	var contract, facts string
	for _, d := range documents(t) {
		switch d.path {
		case "docs/CONTRACT.md":
			contract = d.text
		case "docs/FACTS.md":
			facts = d.text
		}
	}
	var found []finding
	for _, s := range sources(t) {
		if s.room() == "internal/house" {
			continue
		}
		for _, group := range s.file.Comments {
			found = append(found, lost(s, group.Text(), contract, facts)...)
		}
	}
	judge(t, "citations", "A comment cites a section of docs/CONTRACT.md or a heading of docs/FACTS.md, which every reader has.", found)
}

// lost finds citations in a comment that no section answers.
func lost(s source, comment, contract, facts string) []finding {
	var out []finding
	text := strings.Join(strings.Fields(comment), " ")
	for _, m := range contractCited.FindAllStringSubmatch(text, -1) {
		section := strings.ToUpper(m[1] + m[2])
		pattern := `(?m)^#+ ` + regexp.QuoteMeta(section) + `\.? `
		if section[0] == 'C' {
			pattern = `(?m)^\| ` + section + ` \|`
		}
		if !regexp.MustCompile(pattern).MatchString(contract) {
			out = append(out, finding{where: s.path, what: "cites contract " + section})
		}
	}
	for _, m := range factCited.FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`(?mi)^## ` + m[1] + " " + regexp.QuoteMeta(m[2]) + `$`).MatchString(facts) {
			out = append(out, finding{where: s.path, what: "cites " + m[1] + " " + m[2]})
		}
	}
	return out
}

// setting fits the name of an environment variable of ours.
var setting = regexp.MustCompile(`\bQRGATE_[A-Z]+(?:_[A-Z]+)*\b`)

// settingsOfTests are read by tests, and by binaries built for the simulated WhatsApp.
var settingsOfTests = []string{"QRGATE_REQUIRE_ALL", "QRGATE_TEST_DATABASE_URL", "QRGATE_WASIM_ROOT", "QRGATE_WASIM_ADDR"}

func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	help := settingsOf(helpOf(t, "./cmd/qrgate"))
	for _, readme := range []string{"README.md", "README.es.md"} {
		text := ""
		for _, d := range documents(t) {
			if d.path == readme {
				text = d.text
			}
		}
		documented := settingsOf(text)
		for _, name := range help {
			if !strings.Contains(text, "| `"+name+"` |") {
				t.Errorf("qrgate --help has %s and the table in %s does not", name, readme)
			}
		}
		for _, name := range documented {
			if !slices.Contains(help, name) && !slices.Contains(settingsOfTests, name) {
				t.Errorf("%s has %s and qrgate --help does not", readme, name)
			}
		}
	}
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, name := range settingsOf(textOf(t, s.path)) {
			if !slices.Contains(help, name) && !slices.Contains(settingsOfTests, name) {
				t.Errorf("%s names %s, which is no setting of qrgate --help", s.path, name)
			}
		}
	}
}

func settingsOf(text string) []string {
	names := setting.FindAllString(text, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

func textOf(t *testing.T, name string) string {
	t.Helper()
	for _, d := range documents(t) {
		if d.path == name {
			return d.text
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

// helpOf builds a command and returns what its --help says.
func helpOf(t *testing.T, command string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "command")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, command)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", command, err, out)
	}
	run := exec.CommandContext(t.Context(), binary, "--help")
	run.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%s --help: %v\n%s", command, err, out)
	}
	return string(out)
}

// The table of rooms is the tree.
func TestRoomsAreDrawn(t *testing.T) {
	t.Parallel()
	text := textOf(t, "docs/ARCHITECTURE.md")
	rooms := map[string]bool{}
	for _, s := range sources(t) {
		if room := s.room(); room != "" {
			rooms[room] = true
		}
	}
	for room := range rooms {
		drawn := room
		for drawn != "." && !strings.Contains(text, "`"+drawn+"`") {
			drawn = path.Dir(drawn)
		}
		if drawn == "." {
			t.Errorf("docs/ARCHITECTURE.md does not tell what %s is", room)
		}
	}
}

// Files that the documents name are there.
func TestNamedFilesExist(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`([a-z_/.-]+\\.(?:go|yaml|yml|mjs|md))`")
	for _, d := range documents(t) {
		if !strings.HasSuffix(d.path, ".md") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(d.text, -1) {
			_, err1 := os.Stat(filepath.Join(root, m[1]))
			_, err2 := os.Stat(filepath.Join(root, path.Dir(d.path), m[1]))
			if err1 != nil && err2 != nil {
				t.Errorf("%s names %s, which does not exist", d.path, m[1])
			}
		}
	}
}

// The two READMEs have the same headings, tables and commands.
func TestReadmesAreEqual(t *testing.T) {
	t.Parallel()
	en, es := textOf(t, "README.md"), textOf(t, "README.es.md")
	count := func(text, pattern string) int { return len(regexp.MustCompile(pattern).FindAllString(text, -1)) }
	for what, pattern := range map[string]string{"headings": `(?m)^#+ `, "rows of tables": `(?m)^\|`, "blocks of code": "(?m)^```", "points": `(?m)^- `, "links": `\]\(`} {
		if a, b := count(en, pattern), count(es, pattern); a != b {
			t.Errorf("README.md has %d %s, README.es.md %d", a, what, b)
		}
	}
}

func TestDeadLinksAreFound(t *testing.T) {
	t.Parallel()
	all := map[string]string{"docs/a.md": "# One\n## Two words, and a comma\n", "README.md": ""}
	for text, want := range map[string]int{
		"[x](a.md)": 0, "[x](b.md)": 1, "[x](#one)": 1, "[x](a.md#one)": 0, "[x](a.md#two-words-and-a-comma)": 0, "[x](a.md#three)": 1,
		"[x](../README.md)": 0, "[x](../docs)": 0, "[x](https://example.com)": 0, "```\n[x](b.md)\n```": 0,
	} {
		if got := deadLinks("docs/c.md", text, all); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestLostCitationsAreFound(t *testing.T) {
	t.Parallel()
	const contract, facts = "### 4.2 The wizard\n## 7. What\n| C7 | x |\n", "## Wasim 4\n"
	for text, want := range map[string]int{
		"as contract 4.2 says": 0, "contract 4.9": 1, "contract\n7, quirk 3": 0, "(contract C7)": 0, "(C7)": 0, "(C8)": 1, "contract C8": 1,
		"wasim 4": 0, "Wasim 5": 1, "wasim.md 4": 0, "DESIGN 3": 1, "UTF8 (C)": 0,
	} {
		if got := lost(source{path: "x.go"}, text, contract, facts); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
