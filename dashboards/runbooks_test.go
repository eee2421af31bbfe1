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

func TestRunbooks_OnePerAlert(t *testing.T) {
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
		t.Errorf("%s.md has no alert", page)
	}
}

// Every runbook begins with the action and has the same headings.
func TestRunbooks_HaveRequiredHeadings(t *testing.T) {
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

// A runbook states when its alert ends, and that matches the rule: an increase lasts as long as its window, and
// keep_firing_for follows.
func TestRunbooks_StateWhenAlertEnds(t *testing.T) {
	t.Parallel()
	said := regexp.MustCompile(`alert ends (\S+ \S+) after`)
	increase := regexp.MustCompile(`^sum by \(job(?:, engine)?\) \(increase\([^\[]*\[(\w+)\]\)\) > 0(\n|$)`)
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
			t.Errorf("%s.md states %q as the end of the alert, want %s", a.Alert, claims, want)
		}
	}
	interval := regexp.MustCompile(`(?m)^  group_interval: (\d+)m$`).FindStringSubmatch(string(read(t, "alertmanager/alertmanager.yml")))
	if interval == nil || !strings.Contains(string(read(t, runbooks+indexPage+".md")), "reported up to "+interval[1]+" minutes later") {
		t.Errorf("the index does not state that the end is reported up to %v minutes later", interval)
	}
}

// section is the section of one diagnosis in diagnoses.md.
var section = regexp.MustCompile(`(?ms)^## (\S+)\n\n(.*?)(?:\n## |\z)`)

// sections returns the sections of diagnoses.md by diagnosis.
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

// Every diagnosis has a section, with the texts of /qr/status.
func TestDiagnosesPage_OneSectionPerCode(t *testing.T) {
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
		t.Errorf("the section %s is no diagnosis", name)
	}
}

func TestRules_NameExistingDiagnoses(t *testing.T) {
	t.Parallel()
	listed := regexp.MustCompile(`diagnosis(?:=~|!~|=|!=)"([^"]+)"`)
	n := 0
	for _, r := range rules(t) {
		for _, m := range listed.FindAllStringSubmatch(r.Expr, -1) {
			for _, name := range strings.Split(m[1], "|") {
				n++
				if !slices.Contains(diagnosis.Codes(), diagnosis.Code(name)) {
					t.Errorf("%s names %s, which is no diagnosis", r.name(), name)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no rule names a cause")
	}
}
