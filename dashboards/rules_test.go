package dashboards_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"qrgate/internal/diagnosis"
)

// rule is a rule as Prometheus parses it, independent of the code that generates it.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
	KeepFiring               string `yaml:"keep_firing_for"`
}

func (r rule) name() string { return r.Record + r.Alert }

func (r rule) delay(t *testing.T) time.Duration { return span(t, r.For) }

// span is a duration as Prometheus writes it; "" is none.
func span(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "" {
		return 0
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(d)
}

const ruleFile = "prometheus/qrgate.rules.yml"

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(read(t, ruleFile), &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 50 {
		t.Fatalf("only %d rules were read", len(all))
	}
	return all
}

func alerts(t *testing.T) []rule {
	t.Helper()
	return slices.DeleteFunc(rules(t), func(r rule) bool { return r.Alert == "" })
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parse fails the test if a query is not valid PromQL.
func parse(t *testing.T, query string) parser.Expr {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatalf("%s\n%v", query, err)
	}
	return expr
}

func TestRules_AreValidPromQL(t *testing.T) {
	t.Parallel()
	recorded := regexp.MustCompile(`^qrgate:[a-z_]+:[a-z0-9_]+$`)
	for _, r := range rules(t) {
		parse(t, r.Expr)
		if r.Record != "" && !recorded.MatchString(r.Record) {
			t.Errorf("%s is not named level:metric:operation", r.Record)
		}
	}
}

// A receiver needs the summary, the meaning, the runbook and the dashboard.
func TestAlerts_HaveRequiredAnnotations(t *testing.T) {
	t.Parallel()
	for _, r := range alerts(t) {
		for _, must := range []string{"summary", "description", "runbook_url", "dashboard_url"} {
			if strings.TrimSpace(r.Annotations[must]) == "" {
				t.Errorf("%s has no %s", r.Alert, must)
			}
		}
		if !slices.Contains([]string{"critical", "warning", "info", "none"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/runbooks/"+r.Alert+".md") {
			t.Errorf("%s links to %s", r.Alert, r.Annotations["runbook_url"])
		}
		summary, _, _ := strings.Cut(r.Annotations["summary"], "{{ with $labels.engine }}")
		if len(summary) > 120 {
			t.Errorf("%s: the summary %q is too long", r.Alert, r.Annotations["summary"])
		}
	}
}

// Alertmanager groups by the job, so every alert needs one: from its query, or as a label of the rule.
func TestAlerts_KeepJobLabel(t *testing.T) {
	t.Parallel()
	for _, r := range alerts(t) {
		if r.Labels["job"] == "" && !yields(parse(t, r.Expr), "job") {
			t.Errorf("%s has no job: %s", r.Alert, r.Expr)
		}
	}
}

// yields reports whether every series of a result has a label, according to the syntax of the query.
func yields(e parser.Expr, label string) bool {
	switch e := e.(type) {
	case *parser.AggregateExpr:
		return slices.Contains(e.Grouping, label) != e.Without
	case *parser.BinaryExpr:
		switch {
		case e.LHS.Type() == parser.ValueTypeScalar:
			return yields(e.RHS, label)
		case e.Op == parser.LOR:
			return yields(e.LHS, label) && yields(e.RHS, label)
		}
		return yields(e.LHS, label)
	case *parser.ParenExpr:
		return yields(e.Expr, label)
	case *parser.Call:
		if _, plain := e.Args[0].(*parser.VectorSelector); e.Func.Name == "absent" && !plain {
			return false // absent() keeps only the equalities of a plain selector
		}
		return e.Func.Name != "vector" && yields(e.Args[0], label)
	case *parser.MatrixSelector:
		return true
	case *parser.VectorSelector:
		return true // every scraped series has a job, and every recording keeps it
	}
	return false
}

func TestRecordings_KeepJobLabel(t *testing.T) {
	t.Parallel()
	for _, r := range rules(t) {
		if r.Record != "" && r.Record != "qrgate:slo_objective:ratio" && !yields(parse(t, r.Expr), "job") {
			t.Errorf("%s loses the job", r.Record)
		}
	}
}

// The page on users without a QR counts every cause that affects all sessions of an engine.
func TestNoQRDelivered_CountsCausesOfAllUsers(t *testing.T) {
	t.Parallel()
	others := map[diagnosis.Code]string{
		diagnosis.EngineRestarted: "qrgate connects the session again",
		diagnosis.SessionStuck:    "one session",
		diagnosis.SessionLimit:    "one account",
	}
	i := slices.IndexFunc(alerts(t), func(r rule) bool { return r.Alert == "QRGateNoQRDelivered" })
	counted := regexp.MustCompile(`diagnosis=~"([^"]+)"`).FindStringSubmatch(alerts(t)[i].Expr)
	if counted == nil {
		t.Fatal("the alert selects no diagnoses")
	}
	parts := []diagnosis.Part{diagnosis.ThisMachine, diagnosis.Network, diagnosis.WhatsApp, diagnosis.Engine}
	for _, code := range diagnosis.Codes() {
		isCounted := slices.Contains(strings.Split(counted[1], "|"), string(code))
		if isCommon := slices.Contains(parts, code.Part()) && others[code] == ""; isCommon && !isCounted {
			t.Errorf("%s lies in %s and is not counted", code, code.Part())
		}
	}
}
