package dashboards_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"qrgate/internal/diagnosis"
)

const (
	runbooks   = "../docs/runbooks/"
	doNowMark  = "**Do now:** "
	indexPage  = "README"
	causesPage = "diagnoses"
)

// Every alert has a page and every page an alert.
func TestAlertsAndRunbooksArePairs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(runbooks + "*.md")
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, p := range pages {
		left[strings.TrimSuffix(filepath.Base(p), ".md")] = true
	}
	delete(left, indexPage)
	delete(left, causesPage)
	index := string(read(t, runbooks+indexPage+".md"))
	done := map[string]bool{}
	for _, a := range alerts(t) {
		if !done[a.Alert] && !left[a.Alert] {
			t.Errorf("%s has no runbook", a.Alert)
		}
		if !strings.Contains(index, "["+a.Alert+"]("+a.Alert+".md)") {
			t.Errorf("the index does not list %s", a.Alert)
		}
		done[a.Alert] = true
		delete(left, a.Alert)
	}
	for page := range left {
		t.Errorf("%s.md is about no alert", page)
	}
}

// Whoever reads one at 3 AM reads what to do first, and finds the rest where it always is.
func TestRunbooksAreReadFromTheTop(t *testing.T) {
	t.Parallel()
	headings := regexp.MustCompile(`(?m)^## (.*)$`)
	for _, a := range alerts(t) {
		text := string(read(t, runbooks+a.Alert+".md"))
		first := "# " + a.Alert + "\n\n" + doNowMark
		if !strings.HasPrefix(text, first) || len(strings.SplitN(text, "\n", 4)[2]) < len(doNowMark)+10 {
			t.Errorf("%s.md does not begin with what to do now", a.Alert)
		}
		var got []string
		for _, m := range headings.FindAllStringSubmatch(text, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, []string{"Meaning", "Impact", "Diagnosis", "Mitigation"}) {
			t.Errorf("%s.md has the headings %v", a.Alert, got)
		}
	}
}

// A runbook says when its alert ends, and what it says is the rule's: an increase of any size lasts as long as its
// window, and keep_firing_for comes after that.
func TestRunbooksSayWhenTheAlertEnds(t *testing.T) {
	t.Parallel()
	said := regexp.MustCompile(`alert ends (\S+ \S+) after`)
	increase := regexp.MustCompile(`^sum by \(job\) \(increase\([^\[]*\[(\w+)\]\)\) > 0(\n|$)`)
	done := map[string]bool{}
	for _, a := range alerts(t) {
		claims := said.FindAllStringSubmatch(string(read(t, runbooks+a.Alert+".md")), -1)
		if done[a.Alert] || a.KeepFiring == "" && len(claims) == 0 {
			continue
		}
		done[a.Alert] = true
		lasts := span(t, a.KeepFiring)
		if m := increase.FindStringSubmatch(a.Expr); m != nil {
			lasts += span(t, m[1])
		}
		if want := fmt.Sprintf("%.0f minutes", lasts.Minutes()); len(claims) != 1 || claims[0][1] != want {
			t.Errorf("%s.md says %q of when the alert ends, and it is %s after", a.Alert, claims, want)
		}
	}
	told := regexp.MustCompile(`(?m)^  group_interval: (\d+)m$`).FindStringSubmatch(string(read(t, "alertmanager/alertmanager.yml")))
	if told == nil || !strings.Contains(string(read(t, runbooks+indexPage+".md")), "told up to "+told[1]+" minutes later") {
		t.Errorf("the index does not say that an end is told up to %v minutes later", told)
	}
}

// section is one cause in diagnoses.md.
var section = regexp.MustCompile(`(?ms)^## (\S+)\n\n(.*?)(?:\n## |\z)`)

// sections are the causes of diagnoses.md with what is said of them.
func sections(t *testing.T) map[string]string {
	t.Helper()
	text := string(read(t, runbooks+causesPage+".md"))
	out := map[string]string{}
	for text != "" {
		at := section.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		name := text[at[2]:at[3]]
		if _, twice := out[name]; twice {
			t.Errorf("%s has two sections", name)
		}
		out[name] = text[at[4]:at[5]]
		text = text[at[5]:]
	}
	return out
}

// Every cause that the gate can name has a section under that name, which says what /qr/status says.
func TestCausesAndSectionsArePairs(t *testing.T) {
	t.Parallel()
	left := sections(t)
	for _, code := range diagnosis.Codes() {
		text, ok := left[string(code)]
		if !ok {
			t.Errorf("%s has no section", code)
			continue
		}
		about := diagnosis.New(code)
		for _, must := range []string{"- **What:** " + about.Title + ".", "- **Confirm:** ", "- **Who:** " + string(about.Who) + "."} {
			if !strings.Contains(text, must) {
				t.Errorf("the section of %s lacks %q", code, must)
			}
		}
		if !strings.HasPrefix(text, doNowMark) {
			t.Errorf("the section of %s does not begin with what to do now", code)
		}
		delete(left, string(code))
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("there is a section about %s, which is no cause", name)
	}
}

// Rules and runbooks name causes of the closed list only.
func TestRulesNameCausesThatExist(t *testing.T) {
	t.Parallel()
	listed := regexp.MustCompile(`diagnosis(?:=~|!~|=|!=)"([^"]+)"`)
	n := 0
	for _, r := range rules(t) {
		for _, m := range listed.FindAllStringSubmatch(r.Expr, -1) {
			for _, name := range strings.Split(m[1], "|") {
				n++
				if !slices.Contains(diagnosis.Codes(), diagnosis.Code(name)) {
					t.Errorf("%s speaks of %s, which is no cause", r.name(), name)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no rule names a cause")
	}
}
