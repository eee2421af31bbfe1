// Package dashboards generates what operators use: recording rules and alerts for
// Prometheus, an example for Alertmanager, and dashboards for Grafana.
//
//	prometheus/     qrgate.rules.yml (generated), its unit tests, an example configuration
//	alertmanager/   routes, and which alert silences which
//	grafana/        dashboards (generated) and their provisioning
//
// Rules and dashboards are made by this package and committed; a test makes them again and compares, and
// every metric, label and value in them is compared with what package metrics really exposes. What each
// alert asks of its reader is in docs/runbooks, one page for each.
package dashboards

import (
	"strings"
)

//go:generate go run ./cmd/generate

// Files makes everything that is generated: the text of each file by its path below dashboards/, with
// slashes. An error is one of this package's own making.
func Files(l Links) (map[string][]byte, error) {
	rules, err := rulesFile(l)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{"prometheus/qrgate.rules.yml": rules}
	for _, b := range boards(l) {
		if out["grafana/dashboards/"+b.uid+".json"], err = b.encode(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Links says where runbooks and dashboards are, for the receiver of an alert.
type Links struct {
	Runbooks string // the address of docs/runbooks, without a slash at its end
	Grafana  string // the address of Grafana, without a slash at its end
}

// Defaults are placeholder addresses. Generate the rules again with your own:
// go run ./dashboards/cmd/generate -runbooks … -grafana ….
func Defaults() Links {
	return Links{Runbooks: "https://qrgate.example/docs/runbooks", Grafana: "https://grafana.example"}
}

// runbook is the page of one alert.
func (l Links) runbook(alert string) string { return l.page(alert + ".md") }

// page is a file of the runbooks.
func (l Links) page(name string) string { return strings.TrimSuffix(l.Runbooks, "/") + "/" + name }

// board is one dashboard.
func (l Links) board(uid string) string { return strings.TrimSuffix(l.Grafana, "/") + "/d/" + uid }

// The dashboards' identities, which are a part of their addresses.
const (
	boardDelivery = "qrgate-delivery"
	boardSLO      = "qrgate-slo"
	boardProbes   = "qrgate-probes"
)
