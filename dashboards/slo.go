package dashboards

import (
	"fmt"
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

// burnWindow is one speed at which a budget may burn: factor times too fast over the long window, and still over
// the short one, so that the alert ends soon after the trouble. The four are those of the Google SRE
// workbook, as sloth and kubernetes-mixin have them; at 99 % they find a total outage within 9 minutes.
type burnWindow struct {
	severity, long, short string
	factor                float64
	patience              string
}

func paces() []burnWindow {
	return []burnWindow{
		{critical, "1h", "5m", 14.4, "2m"},
		{critical, "6h", "30m", 6, "15m"},
		{warning, "1d", "2h", 3, "1h"},
		{warning, "3d", "6h", 1, "3h"},
	}
}

// burns are the alerts of all SLOs at all paces.
func burns() []rule {
	var out []rule
	for _, s := range SLOs() {
		for _, p := range paces() {
			if p.short == "5m" {
				p.short = s.Quick
			}
			if s.Ticket {
				p.severity = warning
			}
			out = append(out, burn(s, p))
		}
	}
	return out
}

// burn has a third condition beside the two windows: a few events really went bad. Prometheus extrapolates
// increases, so that three are anything from 2.9 to 3.4; half an event below is safe. Where it pages it has a
// fourth: see untold.
func burn(s SLO, p burnWindow) rule {
	const condition = `qrgate:sli_error:ratio_rate%s{slo="%s"} > (%s * %s)`
	limit := number(p.factor)
	return rule{
		Alert: "QRGateErrorBudgetBurn",
		Expr: fmt.Sprintf(condition, p.long, s.Name, limit, budget(s)) +
			"\nand ignoring (window)\n" + fmt.Sprintf(condition, p.short, s.Name, limit, budget(s)) +
			"\nand ignoring (window)\n" + fmt.Sprintf(`qrgate:sli_bad_events:increase%s{slo="%s"} > %s`, p.long, s.Name, number(float64(s.Few)-.5)) + excludePaged(s, p),
		For: p.patience, KeepFiring: "5m",
	}.with(map[string]string{"severity": p.severity, "slo": s.Name, "long": p.long, "short": p.short}).annotate(
		fmt.Sprintf("%s: the error budget is used over %s times too fast", s.Says, limit),
		fmt.Sprintf(`%s: {{ printf "%%.2f" $value }} of the events of the last %s are bad, and %s may be.`, s.Name, p.long, number(round(1-s.Objective)))+s.Why)
}

// excludePaged leaves out what another page reports already. A total outage has one of its own, and its end is its end; but the
// budget's short window holds the failures for as long again as it is wide, and would page after the repair.
func excludePaged(s SLO, p burnWindow) string {
	if p.severity != critical || s.Told == "" {
		return ""
	}
	return "\nunless on (job)\nmax_over_time(ALERTS{" + job + `,alertname=~"` + s.Told + `",alertstate="firing",probe=~"|create_connect_qr"}[` + p.short + "])"
}

// divergence finds what a probe cannot see: it has a good key, a new session and a place of its own.
func divergence() rule {
	return rule{
		Alert: "QRGateUserProbeDivergence",
		Expr: `max by (job) (qrgate:sli_error:ratio_rate1h{slo="user-qr"}) > (6 * (1 - 0.99))
and on (job)
qrgate:sli_error:ratio_rate1h{slo="probe-qr"} < (1 * (1 - 0.99))
and on (job)
qrgate:sli_bad_events:increase1h{slo="user-qr"} > 4.5`,
		For: "10m",
	}.with(map[string]string{"severity": warning}).annotate(
		"Users fail while the probe succeeds",
		`{{ printf "%.2f" $value }} of the users' acquisitions of the last hour failed: some customers, keys or sessions have a problem that the probe does not have.`)
}

// round takes the dust of binary fractions off.
func round(v float64) float64 { return float64(int(v*1e6+.5)) / 1e6 }

// month is the window that the promises are made for.
const month = "30d"

// recordings are the SLIs over every window that an alert or a dashboard asks for. Bad and valid events are
// summed apart and then divided, 30 days from the raw counters too: an average of ratios would weigh a
// quiet night like a busy morning.
func recordings() []rule {
	var out []rule
	for _, s := range SLOs() {
		for _, w := range windowsOf(s) {
			out = append(out, rule{
				Record: "qrgate:sli_error:ratio_rate" + w,
				Expr:   "(\n" + over(s.Bad, w) + "\n)\n/\n" + over(s.Valid, w),
			}.with(map[string]string{"slo": s.Name, "window": w}))
		}
		for _, p := range paces() {
			out = append(out, rule{
				Record: "qrgate:sli_bad_events:increase" + p.long,
				Expr:   seconds(p.long) + " * (\n" + over(s.Bad, p.long) + "\n)",
			}.with(map[string]string{"slo": s.Name}))
		}
		out = append(out,
			rule{Record: "qrgate:slo_objective:ratio", Expr: "vector(" + number(s.Objective) + ")"}.with(map[string]string{"slo": s.Name}),
			rule{Record: "qrgate:slo_error_budget_remaining:ratio",
				Expr: `1 - qrgate:sli_error:ratio_rate30d{slo="` + s.Name + `"} / ` + budget(s)}.with(map[string]string{"slo": s.Name}),
		)
	}
	return out
}

// windowsOf lists the windows of one SLO, the shortest first.
func windowsOf(s SLO) []string {
	return []string{s.Quick, "30m", "1h", "2h", "6h", "1d", "3d", month}
}

// budget is the share of events that may be bad.
func budget(s SLO) string { return "(1 - " + number(s.Objective) + ")" }

// seconds is the length of a long window.
func seconds(window string) string {
	return map[string]string{"1h": "3600", "6h": "21600", "1d": "86400", "3d": "259200"}[window]
}
