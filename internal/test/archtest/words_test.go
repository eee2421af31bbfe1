package archtest

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const glossary = "docs/GLOSSARY.md"

// allowed are the uses of retired words that stay: a path prefix, and the words with the reason for them.
var allowed = map[string]map[string]string{
	"internal/test/archtest/":            {"*": "this test"},
	"CHANGELOG.md":                       {"qrgate hold*": "old settings", "qrgate control probe": "an old setting"},
	glossary:                             {"*": "the list itself"},
	"internal/test/whatsappsim/noise.go": {"wasim*": "the seeds of keys that clients trust"},
}

// A retired word is one of [docs/GLOSSARY.md]: identifiers count word by word, so heldRequest contains "held request".
func TestRetiredWords(t *testing.T) {
	phrases := retired(t)
	found := map[string][]string{}
	walk(t, func(file string) {
		if !isText(file) {
			return
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(file+"\n"+string(text), "\n") {
			for _, phrase := range phrases.in(words(line)) {
				if !isAllowed(file, phrase) {
					found[file] = append(found[file], fmt.Sprintf("%s:%d: %s", file, n, phrase))
				}
			}
		}
	})
	for _, file := range slices.Sorted(maps.Keys(found)) {
		t.Errorf("retired words, see %s:\n%s", glossary, strings.Join(found[file], "\n"))
	}
}

func isAllowed(file, phrase string) bool {
	for prefix, phrases := range allowed {
		if strings.HasPrefix(file, prefix) && (phrases[phrase] != "" || phrases["*"] != "") {
			return true
		}
	}
	return false
}

// isText reports whether people read a file; lock files and images are none of their texts.
func isText(file string) bool {
	switch path.Ext(file) {
	case ".go", ".md", ".yml", ".yaml", ".sh", ".mjs", ".js", ".html", ".css", ".txt", ".tmpl", ".hcl":
		return true
	}
	return slices.Contains([]string{"Makefile", ".ci/run"}, file)
}

// dictionary holds the retired phrases by their first word; a last word may end in "*".
type dictionary map[string][][]string

// retired reads the table of retired words.
func retired(t *testing.T) dictionary {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, glossary))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Retired words\n")
	phrases := dictionary{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(section, -1) {
		if phrase := words(row[1]); row[1] != "Retired" {
			phrases[strings.TrimSuffix(phrase[0], "*")] = append(phrases[strings.TrimSuffix(phrase[0], "*")], phrase)
		}
	}
	if !ok || len(phrases) < 20 {
		t.Fatalf("%s has %d retired words", glossary, len(phrases))
	}
	return phrases
}

// in returns the retired phrases among the words of a line.
func (d dictionary) in(line []string) (found []string) {
	for i, word := range line {
		for n := range word {
			for _, phrase := range d[word[:n+1]] {
				if begins(line[i:], phrase) {
					found = append(found, strings.Join(phrase, " "))
				}
			}
		}
	}
	return found
}

// begins reports whether the words begin with a phrase.
func begins(words, phrase []string) bool {
	for i, want := range phrase {
		stem, open := strings.CutSuffix(want, "*")
		if i >= len(words) || words[i] != want && !(open && strings.HasPrefix(words[i], stem)) {
			return false
		}
	}
	return true
}

// camel matches where a word inside an identifier ends.
var camel = regexp.MustCompile(`([\p{Ll}\d])(\p{Lu})`)

// words splits a text into lower-case words, identifiers at their capitals and underscores too.
func words(text string) []string {
	text = strings.ToLower(camel.ReplaceAllString(text, "$1 $2"))
	return strings.FieldsFunc(text, func(r rune) bool { return r != '*' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func TestRetiredWordsAreFound(t *testing.T) {
	d := dictionary{"held": {{"held", "request*"}}, "room": {{"room*"}}, "comb": {{"comb"}}}
	for text, want := range map[string]int{
		"// the held requests": 1, "func heldRequest()": 1, "TestHeldRequest_Ends": 1, "HELD_REQUESTS": 1, "a roomy one": 1,
		"mushroom": 0, "a combination": 0, "comb.": 1, "held a request": 0,
	} {
		if got := d.in(words(text)); len(got) != want {
			t.Errorf("%q: found %q, want %d", text, got, want)
		}
	}
}
