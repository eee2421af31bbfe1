package dashboards_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"qrgate/internal/test/program"
)

const routingFile = "alertmanager/alertmanager.yml"

// inhibition is a rule by which one alert suppresses others.
type inhibition struct {
	Source []string `yaml:"source_matchers"`
	Target []string `yaml:"target_matchers"`
	Equal  []string
}

func inhibitions(t *testing.T) []inhibition {
	t.Helper()
	var file struct {
		Rules []inhibition `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal(read(t, routingFile), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Rules) == 0 {
		t.Fatal("there are no inhibitions")
	}
	return file.Rules
}

func TestAlertmanagerConfig_PassesAmtool(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), program.Find(t, "prometheus-alertmanager", "amtool"), "check-config", routingFile).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAlertmanagerConfig_SeverityDecidesReceiver(t *testing.T) {
	t.Parallel()
	amtool := program.Find(t, "prometheus-alertmanager", "amtool")
	receivers := map[string]string{"critical": "pager", "warning": "chat", "info": "null", "none": "deadmansswitch"}
	tried := map[string]bool{}
	for _, r := range alerts(t) {
		severity := r.Labels["severity"]
		if tried[r.Alert+severity] {
			continue
		}
		tried[r.Alert+severity] = true
		t.Run(r.Alert+" "+severity, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), amtool, "config", "routes", "test", "--config.file="+routingFile,
				"--verify.receivers="+receivers[severity], "alertname="+r.Alert, "severity="+severity, "job=qrgate").CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// One outage is one message.
func TestAlertmanagerConfig_GroupsByJobOnly(t *testing.T) {
	t.Parallel()
	var file struct {
		Route struct {
			GroupBy []string `yaml:"group_by"`
			Routes  []struct {
				GroupBy []string `yaml:"group_by"`
			}
		}
	}
	if err := yaml.Unmarshal(read(t, routingFile), &file); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(file.Route.GroupBy, []string{"job"}) {
		t.Errorf("alerts are grouped by %v", file.Route.GroupBy)
	}
	for _, r := range file.Route.Routes {
		if len(r.GroupBy) > 0 {
			t.Errorf("a route groups by %v", r.GroupBy)
		}
	}
}

// alertnames returns the names of the alerts that matchers select.
func alertnames(t *testing.T, matchers []string) []string {
	t.Helper()
	var out []string
	for _, r := range alerts(t) {
		fits := true
		for _, m := range matchers {
			parts := regexp.MustCompile(`^(\w+) (=~|!=|=) "(.*)"$`).FindStringSubmatch(m)
			if parts == nil {
				t.Fatalf("%q is not a valid matcher", m)
			}
			value := r.Labels[parts[1]]
			if parts[1] == "alertname" {
				value = r.Alert
			}
			equal := regexp.MustCompile("^(?:" + parts[3] + ")$").MatchString(value)
			fits = fits && equal == (parts[2] != "!=")
		}
		if fits && !slices.Contains(out, r.Alert) {
			out = append(out, r.Alert)
		}
	}
	return out
}

func TestInhibitions_NameExistingAlerts(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, r := range alerts(t) {
		known[r.Alert] = true
	}
	for _, i := range inhibitions(t) {
		if len(alertnames(t, i.Source)) == 0 || len(alertnames(t, i.Target)) == 0 || !slices.Contains(i.Equal, "job") {
			t.Errorf("%v inhibits %v where %v are equal", i.Source, i.Target, i.Equal)
		}
		for _, name := range regexp.MustCompile(`QRGate[A-Za-z]+`).FindAllString(strings.Join(append(i.Source, i.Target...), " "), -1) {
			if !known[name] {
				t.Errorf("an inhibition names %s, which does not exist", name)
			}
		}
	}
}

// A cause that fires later than its symptoms inhibits nothing: their pages are sent. QRGateDown is excluded: no replica
// reports symptoms then.
func TestInhibitions_CauseFiresBeforeSymptom(t *testing.T) {
	t.Parallel()
	first := map[string]rule{}
	for _, r := range alerts(t) {
		if old, ok := first[r.Alert]; !ok || r.delay(t) < old.delay(t) {
			first[r.Alert] = r
		}
	}
	for _, i := range inhibitions(t) {
		cause := alertnames(t, i.Source)[0]
		if cause == "QRGateDown" || cause == "QRGateErrorBudgetBurn" {
			continue
		}
		for _, symptom := range alertnames(t, i.Target) {
			c, s := first[cause].delay(t), first[symptom].delay(t)
			if c > s || c == s && cause != "QRGateProbeStale" { // its threshold is lower
				t.Errorf("%s waits %s, and its symptom %s waits %s", cause, c, symptom, s)
			}
		}
	}
}
