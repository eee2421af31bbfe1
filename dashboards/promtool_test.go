package dashboards_test

import (
	"bytes"
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
	if out, err := exec.CommandContext(t.Context(), program.Find(t, "prometheus", "promtool"), args...).CombinedOutput(); err != nil {
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
		Alerts []struct {
			At    string      `yaml:"eval_time"`
			Alert string      `yaml:"alertname"`
			Want  []yaml.Node `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
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

// Each file runs against the groups that it names. promtool evaluates every rule of a file all the time; all files
// against all rules take a minute.
func TestRules_PassPromtoolTests(t *testing.T) {
	t.Parallel()
	for name, x := range ruleTests(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range map[string][]byte{"qrgate.rules.yml": only(t, x), "tests/test.yml": read(t, name)} {
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

// only removes the groups of alerts that a test does not name, and the recordings if no remaining alert reads one.
func only(t *testing.T, x ruleTest) []byte {
	t.Helper()
	asked := map[string]bool{}
	for _, test := range x.Tests {
		for _, a := range test.Alerts {
			asked[a.Alert] = true
		}
	}
	var file, out struct {
		Groups []struct {
			Name  string
			Rules []map[string]any
		}
	}
	if err := yaml.Unmarshal(read(t, ruleFile), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range slices.Backward(file.Groups) {
		var rest bytes.Buffer
		if err := yaml.NewEncoder(&rest).Encode(out.Groups); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(g.Rules, func(r map[string]any) bool {
			alert, _ := r["alert"].(string)
			return asked[alert] || alert == "" && bytes.Contains(rest.Bytes(), []byte("qrgate:"))
		}) {
			out.Groups = slices.Insert(out.Groups, 0, g)
		}
	}
	text, err := yaml.Marshal(out)
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
