package house_test

import (
	"fmt"
	"testing"
)

// finding is one place that breaks a rule. Where and what together name it in the allow-list, so neither
// holds a line number.
type finding struct {
	where string // a file or a package
	what  string // what breaks the rule there
	line  int    // 0 when it is about a whole file
}

func (f finding) key() string { return f.where + ": " + f.what }

func (f finding) String() string {
	if f.line > 0 {
		return fmt.Sprintf("%s:%d: %s", f.where, f.line, f.what)
	}
	return f.key()
}

// rule finds what breaks it in one Go file.
type rule func(source) []finding

// hold checks every Go file against a rule.
func hold(t *testing.T, name, why string, r rule) {
	t.Helper()
	var found []finding
	for _, s := range sources(t) {
		found = append(found, r(s)...)
	}
	judge(t, name, why, found)
}

// judge reports findings that no exception covers, and exceptions that cover nothing.
func judge(t *testing.T, name, why string, found []finding) {
	t.Helper()
	used := map[string]bool{}
	for _, f := range found {
		if _, ok := allowed[name][f.key()]; ok {
			used[f.key()] = true
			continue
		}
		t.Errorf("%s\n\t%s", f, why)
	}
	for key := range allowed[name] {
		if !used[key] {
			t.Errorf("nothing needs the exception %q any more; take it out of allowed_test.go", key)
		}
	}
}
