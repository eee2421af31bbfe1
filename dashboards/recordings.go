package dashboards

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
