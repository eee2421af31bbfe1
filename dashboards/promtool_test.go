package dashboards_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"qrgate/internal/test/program"
)

func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program.Find(t, "prometheus", "promtool"), args...)
	cmd.Env = append(os.Environ(), "GOGC=800") // a third of its time is garbage collection
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestRules_PassPromtoolCheck(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", ruleFile)
}

// ruleTest is one file of promtool's unit tests.
type ruleTest struct {
	RuleFiles []string `yaml:"rule_files"`
	Tests     []struct {
		Name   string
		Alerts []ruleAlert `yaml:"alert_rule_test"`
	}
}

type ruleAlert struct {
	At    string      `yaml:"eval_time"`
	Alert string      `yaml:"alertname"`
	Want  []yaml.Node `yaml:"exp_alerts"`
}

func ruleTests(t *testing.T) map[string]ruleTest {
	t.Helper()
	names, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no unit tests of the rules: %v", err)
	}
	all := map[string]ruleTest{}
	for _, name := range names {
		var x ruleTest
		if err := yaml.Unmarshal(read(t, name), &x); err != nil {
			t.Fatal(err)
		}
		all[name] = x
	}
	return all
}

// Each test runs in a process of its own, with the rules that it needs: promtool evaluates every rule of a file all the
// time, one after the other.
func TestRules_PassPromtoolTests(t *testing.T) {
	t.Parallel()
	for name, x := range ruleTests(t) {
		for i, test := range x.Tests {
			t.Run(filepath.Base(name)+"/"+test.Name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				text := singleTest(t, name, i)
				files := map[string][]byte{"qrgate.rules.yml": rulesFor(t, test.Alerts, text), "tests/test.yml": text}
				for file, text := range files {
					file = filepath.Join(dir, filepath.FromSlash(file))
					if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, text, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				promtool(t, "test", "rules", filepath.Join(dir, "tests", "test.yml"))
			})
		}
	}
}

// singleTest returns a file of tests with its i-th test alone.
func singleTest(t *testing.T, name string, i int) []byte {
	t.Helper()
	var file map[string]any
	if err := yaml.Unmarshal(read(t, name), &file); err != nil {
		t.Fatal(err)
	}
	tests := file["tests"].([]any)
	file["tests"] = tests[i : i+1]
	return marshal(t, file)
}

// rulesFor returns the rules without the groups of alerts that a test does not name, and without the recordings that
// neither the test nor a remaining rule reads.
func rulesFor(t *testing.T, named []ruleAlert, test []byte) []byte {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []map[string]any
		}
	}
	if err := yaml.Unmarshal(read(t, ruleFile), &file); err != nil {
		t.Fatal(err)
	}
	isNamed := func(rule map[string]any) bool {
		return slices.ContainsFunc(named, func(a ruleAlert) bool { return a.Alert == rule["alert"] })
	}
	kept := bytes.NewBuffer(test)
	for g := range slices.Backward(file.Groups) { // a rule reads recordings that precede it
		group := &file.Groups[g]
		hasNamed := slices.ContainsFunc(group.Rules, isNamed)
		for r := len(group.Rules) - 1; r >= 0; r-- {
			record, isRecording := group.Rules[r]["record"].(string)
			if !hasNamed && !isRecording || isRecording && !bytes.Contains(kept.Bytes(), []byte(record)) {
				group.Rules = slices.Delete(group.Rules, r, r+1)
			} else {
				fmt.Fprintln(kept, group.Rules[r]["expr"])
			}
		}
	}
	return marshal(t, file)
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// One test per alert checks that it does not fire, fires and ends. The watchdog never ends.
func TestPromtoolTests_CoverEveryAlert(t *testing.T) {
	t.Parallel()
	type course struct{ quiet, fired, ended bool }
	done := map[string]bool{"Watchdog": true}
	for _, x := range ruleTests(t) {
		for _, test := range x.Tests {
			courses := map[string]course{}
			for _, a := range test.Alerts {
				c := courses[a.Alert]
				switch {
				case len(a.Want) > 0:
					c.fired = true
				case c.fired:
					c.ended = true
				default:
					c.quiet = true
				}
				courses[a.Alert] = c
				done[a.Alert] = done[a.Alert] || c == course{true, true, true}
			}
		}
	}
	known := map[string]bool{}
	for _, r := range alerts(t) {
		known[r.Alert] = true
		if !done[r.Alert] {
			t.Errorf("no test checks that %s begins and ends", r.Alert)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(done)) {
		if !known[name] {
			t.Errorf("a test names %s, which does not exist", name)
		}
	}
}

// Each rule of QRGateErrorBudgetBurn has a test: every SLO in every window.
func TestPromtoolTests_CoverEveryBudgetAlert(t *testing.T) {
	t.Parallel()
	fired := map[string]bool{}
	for _, x := range ruleTests(t) {
		for _, test := range x.Tests {
			for _, a := range test.Alerts {
				for _, want := range a.Want {
					var alert struct {
						Labels map[string]string `yaml:"exp_labels"`
					}
					if err := want.Decode(&alert); err != nil {
						t.Fatal(err)
					}
					fired[alert.Labels["slo"]], fired[alert.Labels["long"]] = true, true
				}
			}
		}
	}
	for _, r := range alerts(t) {
		if r.Alert == "QRGateErrorBudgetBurn" && (!fired[r.Labels["slo"]] || !fired[r.Labels["long"]]) {
			t.Errorf("no test checks %s over %s", r.Labels["slo"], r.Labels["long"])
		}
	}
}
