package dashboards

import "strings"

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
