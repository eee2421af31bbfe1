package dashboards

import (
	"strconv"
	"strings"
)

// SLO is one promise over 30 days. Bad and Valid are PromQL for events per second over the window W.
type SLO struct {
	Name      string
	Objective float64 // share of valid events that are good
	Says      string  // the failure, as the beginning of a sentence
	Bad       string
	Valid     string

	// Why ends the description, with the cause where one is known.
	Why string
	// Told are the alerts for a total outage of it, as alternatives of a regular expression.
	Told string
	// Few is how many bad events make an alert at all: at 3 AM one failure may be all there was.
	Few int
	// Quick is the short window of the fastest alert. It has to hold more than one event at the usual rate,
	// else there is nothing to divide by most of the time.
	Quick string
	// Ticket means that it does not page.
	Ticket bool
}

// Selectors that everything is about. The job is that of prometheus/prometheus.yml.
const (
	job  = `job="qrgate"`
	deep = `probe="create_connect_qr"` // the probe that acquires a QR
)

// mended by the caller alone: no valid event of the users' SLI (docs/METRICS.md).
const callers = "key_refused|session_not_found|session_limit|account_banned|passkey_required"

// SLOs lists the promises. Users and probes are never added: a day of good probes would hide a bad morning
// of users. What a 503 with a diagnosis costs is in user-qr, so that one outage pages once.
func SLOs() []SLO {
	const (
		users     = job + `,origin="user"`
		failed    = `sum by (job) (rate(qrgate_qr_acquisitions_total{` + users + `,outcome="failure",diagnosis!~"` + callers + `"}[W]))`
		ended     = `sum by (job) (rate(qrgate_qr_acquisitions_total{` + users + `,outcome=~"success|failure",diagnosis!~"` + callers + `"}[W]))`
		succeeded = `sum by (job) (rate(qrgate_qr_time_to_code_seconds_count{` + users + `}[W]))`
		within5   = `sum by (job) (rate(qrgate_qr_time_to_code_seconds_bucket{` + users + `,le=~"5(\\.0)?"}[W]))`
		within15  = `sum by (job) (rate(qrgate_qr_time_to_code_seconds_bucket{` + users + `,le=~"15(\\.0)?"}[W]))`
	)
	return []SLO{
		{Name: "user-qr", Objective: .99, Says: "Users do not get their QR within 15 s",
			Bad: failed + "\n+ " + succeeded + "\n- " + within15, Valid: ended, Why: mostFailures, Told: "QRGateEngineDown|QRGateClientOutdated|QRGateNoQRDelivered", Few: 3, Quick: "5m"},
		{Name: "probe-qr", Objective: .99, Says: "The probe does not get its QR",
			Bad:   `sum by (job) (rate(qrgate_probe_runs_total{` + job + "," + deep + `,outcome="failure"}[W]))`,
			Valid: `sum by (job) (rate(qrgate_probe_runs_total{` + job + "," + deep + `}[W]))`, Why: mostFailures, Told: "QRGateEngineDown|QRGateRedis(Partially)?Down|QRGateClientOutdated|QRGateProbeNotSucceeding",
			Few: 2, Quick: "15m"},
		{Name: "qr-latency", Objective: .95, Says: "QRs take longer than 5 s",
			Bad: succeeded + "\n- " + within5, Valid: succeeded, Few: 3, Quick: "5m", Ticket: true},
		{Name: "gateway-availability", Objective: .999, Says: "Requests fail without a diagnosis",
			Bad:   `sum by (job) (rate(qrgate_http_failures_total{` + users + `}[W]))`,
			Valid: `sum by (job) (rate(http_server_request_duration_seconds_count{` + job + `}[W]))`, Told: "QRGateEngineDown|QRGateDown", Few: 3, Quick: "5m"},
	}
}

// over fills the window in.
func over(query, window string) string { return strings.ReplaceAll(query, "[W]", "["+window+"]") }

// number is v as short as it can be written.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
