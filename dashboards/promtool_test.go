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
)

// program finds an external program, or skips the test.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
			t.Fatalf("%s is not installed, and QRGATE_REQUIRE_ALL=1 asks for every test", name)
		}
		t.Skipf("%s is not installed; Debian has it in the package %s", name, debian)
	}
	return path
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program(t, "promtool", "prometheus"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestPromtoolChecksRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", ruleFile)
}

// trial is one file of promtool's unit tests.
type trial struct {
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

func trials(t *testing.T) map[string]trial {
	t.Helper()
	names, err := filepath.Glob("prometheus/tests/*.yml")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no unit tests of the rules: %v", err)
	}
	all := map[string]trial{}
	for _, name := range names {
		var x trial
		if err := yaml.Unmarshal(read(t, name), &x); err != nil {
			t.Fatal(err)
		}
		all[name] = x
	}
	return all
}

// Each file runs against the groups that it asks about. promtool evaluates every rule of a file all the time,
// and all files against all rules take a minute.
func TestRulesInTime(t *testing.T) {
	t.Parallel()
	for name, x := range trials(t) {
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

// only leaves out the groups of alerts that a trial does not ask about, and the recordings if none of the
// rest reads one.
func only(t *testing.T, x trial) []byte {
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

// Every alert is seen quiet, then firing, then quiet again, in one test. The watchdog alone never rests.
func TestEveryAlertIsTried(t *testing.T) {
	t.Parallel()
	type course struct{ quiet, fired, ended bool }
	done := map[string]bool{"Watchdog": true}
	for _, x := range trials(t) {
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
			t.Errorf("no test sees %s begin and end", r.Alert)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(done)) {
		if !known[name] {
			t.Errorf("a test asks for %s, which does not exist", name)
		}
	}
}

// Every SLO is tried, and so is every pace: each rule of QRGateErrorBudgetBurn is a promise of its own.
func TestEveryBudgetIsTried(t *testing.T) {
	t.Parallel()
	fired := map[string]bool{}
	for _, x := range trials(t) {
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
			t.Errorf("no test sees %s burn over %s", r.Labels["slo"], r.Labels["long"])
		}
	}
}
