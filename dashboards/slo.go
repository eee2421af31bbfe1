package dashboards

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// slo is an objective over 30 days. bad and valid are PromQL for events per second over the window W.
type slo struct {
	name      string
	objective float64 // share of valid events that are good
	failure   string  // what happens, as the beginning of a sentence
	bad       string
	valid     string

	cause       string // template that ends the description of an alert
	outages     string // alerts on a total outage of the engine, as alternatives of a regular expression
	wideOutages string // the same, of what all engines share
	minBad      int    // fewer bad events make no alert
	shortWindow string // of the fastest alert; it must contain more than one event at the usual rate
	neverPages  bool
}

// Selectors of all queries. The job is the one of prometheus/prometheus.yml.
const (
	job  = `job="qrgate"`
	deep = `probe="create_connect_qr"` // the probe that acquires a QR
)

// callerCauses are causes that only the caller can fix: no valid events of the users' SLI (docs/METRICS.md).
const callerCauses = "key_refused|session_not_found|session_limit|account_banned|passkey_required"

// slos are the objectives. Users and probes are never added: the probes' successes would hide the users' failures. A
// 503 with a diagnosis counts for user-qr only, so that one outage pages once.
func slos() []slo {
	const (
		users     = job + `,origin="user"`
		noCaller  = `diagnosis!~"` + callerCauses + `"`
		acquired  = `sum by (job, engine) (rate(qrgate_qr_acquisitions_total{` + users
		failed    = acquired + `,outcome="failure",` + noCaller + `}[W]))`
		ended     = acquired + `,outcome=~"success|failure",` + noCaller + `}[W]))`
		times     = `sum by (job, engine) (rate(qrgate_qr_time_to_code_seconds_`
		succeeded = times + `count{` + users + `}[W]))`
		within5   = times + `bucket{` + users + `,le=~"5(\\.0)?"}[W]))`
		within15  = times + `bucket{` + users + `,le=~"15(\\.0)?"}[W]))`
		runs      = `sum by (job, engine) (rate(qrgate_probe_runs_total{` + job + "," + deep
	)
	return []slo{
		{
			name: "user-qr", objective: .99, failure: "Users do not get their QR within 15 s",
			bad: failed + "\n+ " + succeeded + "\n- " + within15, valid: ended,
			cause: mostFailures, outages: "QRGateEngineDown|QRGateClientOutdated|QRGateNoQRDelivered",
			minBad: 3, shortWindow: "5m",
		},
		{
			name: "probe-qr", objective: .99, failure: "The probe does not get its QR",
			bad: runs + `,outcome="failure"}[W]))`, valid: runs + `}[W]))`, cause: mostFailures,
			outages:     "QRGateEngineDown|QRGateClientOutdated|QRGateProbeNotSucceeding",
			wideOutages: "QRGateRedis(Partially)?Down", minBad: 2, shortWindow: "15m",
		},
		{
			name: "qr-latency", objective: .95, failure: "QRs take longer than 5 s",
			bad: succeeded + "\n- " + within5, valid: succeeded, minBad: 3, shortWindow: "5m", neverPages: true,
		},
		{
			name: "gateway-availability", objective: .999, failure: "Requests fail without a diagnosis",
			bad:     `sum by (job, engine) (rate(qrgate_http_failures_total{` + users + `}[W]))`,
			valid:   `sum by (job, engine) (rate(http_server_request_duration_seconds_count{` + job + `}[W]))`,
			outages: "QRGateEngineDown", wideOutages: "QRGateDown", minBad: 3, shortWindow: "5m",
		},
	}
}

// over fills the window in.
func over(query, window string) string { return strings.ReplaceAll(query, "[W]", "["+window+"]") }

// number formats v as short as possible, rounded to six digits.
func number(v float64) string {
	return strconv.FormatFloat(float64(int(v*1e6+.5))/1e6, 'g', -1, 64)
}

// burnWindow is one speed at which a budget may be used: factor times too fast over the long window, and still over
// the short one, so that the alert ends soon after the outage. The four are those of the Google SRE workbook; at an
// objective of 99 % they detect a total outage within 9 minutes.
type burnWindow struct {
	severity, long, short string
	factor                float64
	delay                 string
}

func burnWindows() []burnWindow {
	return []burnWindow{
		{critical, "1h", "5m", 14.4, "2m"},
		{critical, "6h", "30m", 6, "15m"},
		{warning, "1d", "2h", 3, "1h"},
		{warning, "3d", "6h", 1, "3h"},
	}
}

// burns are the alerts of all SLOs in all windows.
func burns() []rule {
	var rules []rule
	for _, s := range slos() {
		for _, w := range burnWindows() {
			if w.short == "5m" {
				w.short = s.shortWindow
			}
			if s.neverPages {
				w.severity = warning
			}
			rules = append(rules, burn(s, w))
		}
	}
	return rules
}

// burn has a third condition beside the two windows: minBad events. Prometheus extrapolates increases, three events are
// anything from 2.9 to 3.4, so the limit is half an event lower. An alert that pages has a fourth: no alert on a total
// outage fired in the short window, which contains the failures of an outage after its end.
func burn(s slo, w burnWindow) rule {
	const condition = `qrgate:sli_error:ratio_rate%s{slo="%s"} > (%s * %s)`
	factor := number(w.factor)
	expr := fmt.Sprintf(condition, w.long, s.name, factor, budget(s)) +
		"\nand ignoring (window)\n" + fmt.Sprintf(condition, w.short, s.name, factor, budget(s)) +
		"\nand ignoring (window)\n" +
		fmt.Sprintf(`qrgate:sli_bad_events:increase%s{slo="%s"} > %s`, w.long, s.name, number(float64(s.minBad)-.5))
	unless := func(labels, outages string) {
		if w.severity == critical && outages != "" {
			operator := "="
			if strings.Contains(outages, "|") {
				operator = "=~"
			}
			expr += "\nunless on (" + labels + ")\nmax_over_time(ALERTS{" + job + ",alertname" + operator + `"` + outages +
				`",alertstate="firing",probe=~"|create_connect_qr"}[` + w.short + "])"
		}
	}
	unless("job, engine", s.outages)
	unless("job", s.wideOutages)
	return rule{
		Alert: "QRGateErrorBudgetBurn", Expr: expr, For: w.delay, KeepFiring: "5m",
		Labels: map[string]string{"severity": w.severity, "slo": s.name, "long": w.long, "short": w.short},
		Annotations: map[string]string{
			"summary": fmt.Sprintf("%s: the error budget is used over %s times too fast<engine>", s.failure, factor),
			"description": fmt.Sprintf(`%s: {{ printf "%%.2f" $value }} of the events of the last %s are bad, and %s may be.`,
				s.name, w.long, number(1-s.objective)) + s.cause,
		},
	}
}

// divergence detects failures that a probe cannot have: its key, its session and its network are its own.
func divergence() rule {
	return rule{
		Alert: "QRGateUserProbeDivergence",
		Expr: `max by (job, engine) (qrgate:sli_error:ratio_rate1h{slo="user-qr"}) > (6 * (1 - 0.99))
and on (job, engine)
qrgate:sli_error:ratio_rate1h{slo="probe-qr"} < (1 * (1 - 0.99))
and on (job, engine)
qrgate:sli_bad_events:increase1h{slo="user-qr"} > 4.5`,
		For:    "10m",
		Labels: map[string]string{"severity": warning},
		Annotations: map[string]string{
			"summary": "Users fail while the probe succeeds<engine>",
			"description": `{{ printf "%.2f" $value }} of the users' acquisitions of the last hour failed: ` +
				`some customers, keys or sessions have a problem that the probe does not have.`,
		},
	}
}

// recordings are the SLIs over every window that an alert or a dashboard reads. Bad and valid events are summed
// separately and then divided, also over 30 days: an average of ratios would weigh all hours equally.
func recordings() []rule {
	var rules []rule
	for _, s := range slos() {
		record := func(name, expr string, labels map[string]string) {
			r := rule{Record: name, Expr: expr, Labels: map[string]string{"slo": s.name}}
			maps.Copy(r.Labels, labels)
			rules = append(rules, r)
		}
		for _, w := range []string{s.shortWindow, "30m", "1h", "2h", "6h", "1d", "3d", "30d"} {
			record("qrgate:sli_error:ratio_rate"+w, "(\n"+over(s.bad, w)+"\n)\n/\n"+over(s.valid, w),
				map[string]string{"window": w})
		}
		for _, w := range burnWindows() {
			seconds := map[string]string{"1h": "3600", "6h": "21600", "1d": "86400", "3d": "259200"}[w.long]
			record("qrgate:sli_bad_events:increase"+w.long, seconds+" * (\n"+over(s.bad, w.long)+"\n)", nil)
		}
		record("qrgate:slo_objective:ratio", "vector("+number(s.objective)+")", nil)
		record("qrgate:slo_error_budget_remaining:ratio",
			`1 - qrgate:sli_error:ratio_rate30d{slo="`+s.name+`"} / `+budget(s), nil)
	}
	return rules
}

// budget is the share of events that may be bad.
func budget(s slo) string { return "(1 - " + number(s.objective) + ")" }
