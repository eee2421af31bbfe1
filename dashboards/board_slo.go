package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// slo shows what was promised, what is left of it, and how fast it goes.
func slo() board {
	b := board{uid: boardSLO, title: "qrgate / SLO", about: "The SLOs over 30 days, the remaining error budget, and how fast it is used."}
	var left, burning panels
	for _, s := range SLOs() {
		one := `{` + ofJob + `,slo="` + s.Name + `"}`
		rest := figure(text{"Budget left: " + s.Name, s.Says + ": the remaining share of the error budget of 30 days.", units.PercentUnit}, quarter,
			`min(qrgate:slo_error_budget_remaining:ratio`+one+`)`, steps(step{"red", 0}, step{"orange", .1}, step{"green", .5}))
		if s.Name != "probe-qr" { // probes always run
			rest = ofUsers(rest)
		}
		left = append(left, rest)
		p := graph(text{"Burn by window: " + s.Name, "How many times too fast. Above the lines (14.4 in 1 h, 6 in 6 h, 3 in a day, 1 in three days) an alert fires.", units.Short}, half).
			Thresholds(steps(step{"transparent", 0}, step{"yellow", 1}, step{"orange", 6}, step{"red", 14.4})).ThresholdsStyle(drawn())
		for _, w := range []string{s.Quick, "1h", "6h", "1d", "3d"} {
			p.WithTarget(line(`max(qrgate:sli_error:ratio_rate`+w+one+`) / `+budget(s), w))
		}
		burning = append(burning, p)
	}
	b.rows = []row{{"What is left?", left}, {"How fast does it burn?", burning}, {"What was it?", historyPanels()}}
	return b
}

func historyPanels() panels {
	return panels{
		graph(text{"Budget over time", "Of 30 days. A cliff is an incident; a slope is a habit.", units.PercentUnit}, half,
			line(`min by (slo) (qrgate:slo_error_budget_remaining:ratio{`+ofJob+`})`, "{{slo}}")),
		graph(text{"Share of bad events, 5 min and 1 h", "What burns. The probe's shortest window is 15 minutes.", units.PercentUnit}, half,
			line(`max by (slo) (qrgate:sli_error:ratio_rate5m{`+ofJob+`} or qrgate:sli_error:ratio_rate15m{`+ofJob+`})`, "{{slo}} short"),
			line(`max by (slo) (qrgate:sli_error:ratio_rate1h{`+ofJob+`})`, "{{slo}} 1h")),
		graph(text{"Bad events in the last hour", "Below two or three no alert fires.", units.Short}, half,
			line(`sum by (slo) (qrgate:sli_bad_events:increase1h{`+ofJob+`})`, "{{slo}}")),
		rows(text{"Promises", "Objectives over 30 days, and the share of bad events in them.", units.PercentUnit}, half,
			`max by (slo) (qrgate:slo_objective:ratio)`).WithTarget(now(`max by (slo) (qrgate:sli_error:ratio_rate30d{` + ofJob + `})`)),
	}
}
