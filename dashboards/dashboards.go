// Package dashboards generates what operators use: recording rules and alerts for Prometheus, and dashboards for
// Grafana.
//
//	prometheus/     qrgate.rules.yml (generated from alerts.yml and slo.go), its unit tests, an example configuration
//	alertmanager/   an example: routes, and which alert inhibits which
//	grafana/        dashboards (generated from boards.yml and slo.go) and their provisioning
//
// The generated files are committed. Tests compare them with a new generation, and every metric, label and value in
// them with what package metrics exposes. docs/runbooks has one page for each alert.
package dashboards

import (
	"bytes"
	_ "embed" // for alerts.yml
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:generate go run ./cmd/generate

// Files generates all files: their contents by their slash-separated paths below dashboards/.
func Files(l Links) (map[string][]byte, error) {
	rules, err := rulesFile(l)
	if err != nil {
		return nil, err
	}
	all, err := boards(l)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"prometheus/qrgate.rules.yml": rules}
	for _, b := range all {
		if files["grafana/dashboards/"+b.UID+".json"], err = b.encode(); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Links are the addresses of runbooks and dashboards, for the receivers of an alert.
type Links struct {
	Runbooks string // address of docs/runbooks, without a slash at its end
	Grafana  string // address of Grafana, without a slash at its end
}

// DefaultLinks returns placeholder addresses. Generate the rules with your own:
// go run ./dashboards/cmd/generate -runbooks … -grafana ….
func DefaultLinks() Links {
	return Links{Runbooks: "https://qrgate.example/docs/runbooks", Grafana: "https://grafana.example"}
}

// runbook returns the address of a file in docs/runbooks.
func (l Links) runbook(name string) string { return strings.TrimSuffix(l.Runbooks, "/") + "/" + name }

// board returns the address of a dashboard.
func (l Links) board(uid string) string { return strings.TrimSuffix(l.Grafana, "/") + "/d/" + uid }

// boardSLO is the UID of the dashboard of the SLOs, a part of its address.
const boardSLO = "qrgate-slo"

// group and rule have the form of Prometheus' rule files. Dashboard is only in alerts.yml.
type group struct {
	Name      string `yaml:"name"`
	Dashboard string `yaml:"dashboard,omitempty"` // UID
	Interval  string `yaml:"interval,omitempty"`
	Rules     []rule `yaml:"rules"`
}

type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	KeepFiring  string            `yaml:"keep_firing_for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// The severities, see alerts.yml.
const (
	critical = "critical"
	warning  = "warning"
)

// mostFailures is a template that ends a description with the cause of most failures of the last ten minutes, if there
// were any. A wait that ended with "not ready" has no cause.
const mostFailures = queryWorst + ` Most failures: {{ . | first | label "diagnosis" }}.{{ end }}`

const queryWorst = `{{ with printf "topk(1, sum by (diagnosis) (increase({` +
	`__name__=~\"qrgate_probe_runs_total|qrgate_qr_waits_total\",job=\"qrgate\",engine=\"%s\",` +
	`outcome=\"failure\",diagnosis!=\"none\"}[10m])) > 0)" $labels.engine | query }}`

// ofEngine is a template that ends a summary with the engine, unless it is named as the engine of a gateway with one
// engine is.
const ofEngine = `{{ with $labels.engine }}{{ if ne . "default" }} (engine {{ . }}){{ end }}{{ end }}`

// placeholders are the templates that alerts.yml names. The deep probe alone may have a wrong key, and a run that
// another replica leads is not missed.
var placeholders = strings.NewReplacer(
	"<engine>", ofEngine,
	"<most failures>", mostFailures,
	"<own key>", queryWorst+`{{ if eq (. | first | label "diagnosis") "key_refused" }}`+
		` If users get their QR, only the probe's key is wrong.{{ end }}{{ end }}`,
	"<missed runs>", `{{ with printf "topk(1, sum by (reason) (increase({`+
		`__name__=~\"qrgate_probe_errors_total|qrgate_probe_skipped_total\",job=\"qrgate\",engine=\"%s\",`+
		`probe=\"%s\",reason!=\"not_leader\"}[30m])) > 0)" $labels.engine $labels.probe | query }}`+
		` Runs did not take place: {{ . | first | label "reason" }}.{{ end }}`,
)

//go:embed alerts.yml
var alertsYAML []byte

// ruleFile is a file of rules. All recordings are one group: within a group Prometheus evaluates in order, so that
// no rule reads a value of the previous evaluation.
type ruleFile struct {
	Groups []group `yaml:"groups"`
}

// rulesFile returns the text of prometheus/qrgate.rules.yml.
func rulesFile(l Links) ([]byte, error) {
	var alerts ruleFile
	if err := yaml.Unmarshal(alertsYAML, &alerts); err != nil {
		return nil, fmt.Errorf("alerts.yml: %w", err)
	}
	all := ruleFile{append([]group{
		{Name: "qrgate-recordings", Interval: "30s", Rules: recordings()},
		{Name: "qrgate-budgets", Dashboard: boardSLO, Rules: append(burns(), divergence())},
	}, alerts.Groups...)}
	for i, g := range all.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			for _, name := range []string{"summary", "description"} {
				r.Annotations[name] = placeholders.Replace(r.Annotations[name])
			}
			r.Annotations["runbook_url"] = l.runbook(r.Alert + ".md")
			r.Annotations["dashboard_url"] = l.board(g.Dashboard)
		}
		all.Groups[i].Dashboard = ""
	}
	var out bytes.Buffer
	out.WriteString("# Code generated by dashboards/cmd/generate. DO NOT EDIT.\n")
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(all); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}
