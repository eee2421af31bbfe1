package dashboards

import "fmt"

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
