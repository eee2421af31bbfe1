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

//go:generate go run ./cmd/generate
