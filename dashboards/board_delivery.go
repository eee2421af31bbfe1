package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// delivery answers in its first screen whether QRs are delivered, to whom not, since when and why; what
// follows says where, and which component is responsible.
func delivery(l Links) board {
	return board{
		uid: boardDelivery, title: "qrgate / QR delivery",
		about: "Are QRs delivered, who is affected, since when and why? Then: which step, which dependency, qrgate itself, and the monitoring.",
		rows: []row{
			{"Are QRs delivered, who is affected, since when, and why?", firstScreen(l)},
			{"Where does it fail?", where()},
			{"Which dependency?", dependencies()},
			{"Is it us?", gatewayPanels()},
			{"Does the monitoring work?", metaPanels()},
		},
	}
}

type panels = []cog.Builder[dashboard.Panel]

func firstScreen(l Links) panels {
	const good = `outcome="success"`
	users, finished := `origin="user"`, `outcome=~"success|failure",diagnosis!~"`+callers+`"`
	share := steps(step{"red", 0}, step{"orange", .95}, step{"green", .99})
	return panels{
		ofUsers(figure(text{"Users: QR success", "Share of users' acquisitions in 15 minutes that ended with a QR, causes of the callers excluded.", units.PercentUnit}, sixth,
			increase("", of("qrgate_qr_acquisitions_total", users, good), "15m")+"\n/\n"+increase("", of("qrgate_qr_acquisitions_total", users, finished), "15m"), share)),
		figure(text{"Probe: QR success", "Share of the deep probe's runs in 30 minutes that ended with a QR. It sends the same requests as a client.", units.PercentUnit}, sixth,
			increase("", of("qrgate_probe_runs_total", deep, good), "30m")+"\n/\n"+increase("", of("qrgate_probe_runs_total", deep), "30m"), share),
		figure(text{"Error budget left", "Of the promise that has the least left of its 30 days. Below 0 it is broken.", units.PercentUnit}, sixth,
			`min(qrgate:slo_error_budget_remaining:ratio{`+ofJob+`})`, steps(step{"red", 0}, step{"orange", .1}, step{"green", .5})),
		figure(text{"Burn rate, 1 h", "How many times too fast the error budget of the worst SLO is used. 14.4 pages.", units.Short}, sixth,
			worstBurn("1h"), steps(step{"green", 0}, step{"orange", 1}, step{"red", 14.4})),
		figure(text{"Engine", "Whether the replicas reach the engine.", units.PercentUnit}, sixth,
			`avg(`+of("qrgate_engine_up")+`)`, steps(step{"red", 0}, step{"orange", .01}, step{"green", 1})).
			Mappings(append(worded([2]string{"DOWN", "UP"}), nothing())),
		figure(text{"Since the probe's last success", "Shows whether QRs are delivered while no user requests one.", units.Seconds}, sixth,
			`time() - max(`+of("qrgate_probe_last_success_timestamp_seconds", deep)+` > 0)`, steps(step{"green", 0}, step{"orange", 660}, step{"red", 900})),
		rows(text{"What fires, and since when", "Alerts that fire now. A click on one opens its runbook.", units.DateTimeFromNow}, half,
			`1000 * max by (alertname, severity, slo, probe, diagnosis) (ALERTS_FOR_STATE{`+ofJob+`,alertname=~"QRGate.+"} and ignoring (alertstate) ALERTS{`+ofJob+`,alertname=~"QRGate.+",alertstate="firing"})`).
			NoValue("nothing fires").DataLinks([]cog.Builder[dashboard.DashboardLink]{l.toRunbook()}),
		stacked(text{"Failures by cause", "Why: requests for a QR that failed, by cause, within seconds of the failure. A click opens what to do.", units.RequestsPerSecond}, half,
			line(rate("diagnosis", of("qrgate_qr_waits_total", `outcome="failure"`, `diagnosis!="none"`))+" > 0", "{{diagnosis}}")).
			NoValue("no failures").DataLinks([]cog.Builder[dashboard.DashboardLink]{l.toCause()}),
		stacked(text{"Requests for a QR, by response", "All users' requests. A failure is a \"not ready\" or a diagnosis.", units.RequestsPerSecond}, half,
			line(rate("outcome", of("qrgate_qr_waits_total")), "{{outcome}}")),
		graph(text{"Acquisitions by outcome", "Users and probes separately. A failure takes a minute.", units.EventsPerSecond}, half,
			line(rate("origin, outcome", of("qrgate_qr_acquisitions_total")), "{{origin}} {{outcome}}")),
	}
}

func where() panels {
	const histogram = "qrgate_qr_time_to_code_seconds"
	return panels{
		graph(text{"Time to QR", "From the request to the first code, of users. A diamond is one acquisition: click it to see its trace.", units.Seconds}, half,
			line(quantile("0.5", "", histogram, `origin="user"`), "p50"), line(quantile("0.95", "", histogram, `origin="user"`), "p95").Exemplar(true),
			line(quantile("0.99", "", histogram, `origin="user"`), "p99")).
			Thresholds(steps(step{"transparent", 0}, step{"orange", 5}, step{"red", 15})).ThresholdsStyle(drawn()),
		heat(text{"Time to QR, spread", "Two bands are two kinds of sessions, or of engines.", units.Seconds}, half, histogram),
		graph(text{"Wait duration", "95 % of the requests wait no longer. At the limit, clients got \"not ready\".", units.Seconds}, third,
			line(quantile("0.95", "outcome", "qrgate_qr_wait_duration_seconds"), "{{outcome}}")),
		stacked(text{"Active sessions, by state", "Many in connecting: the engine makes no QR. Many in awaiting_scan: no phone scans. Paired sessions are counted for half a minute.", units.Short}, third,
			line(`sum by (state) (`+of("qrgate_sessions")+`)`, "{{state}}")),
		graph(text{"Changes of state", "Sessions that began a state. Connecting without awaiting_scan is the trouble itself.", units.EventsPerSecond}, third,
			line(rate("state", of("qrgate_session_state_changes_total")), "{{state}}")),
		graph(text{"Codes", "The first of a connect, and those that replaced another. Users and probes apart.", units.EventsPerSecond}, half,
			line(rate("origin, position", of("qrgate_qr_codes_total")), "{{origin}} {{position}}")),
		graph(text{"Failed acquisitions by cause", "Of users and probes; a minute later than failures by cause, and each session once.", units.EventsPerSecond}, half,
			line(rate("origin, diagnosis", of("qrgate_qr_acquisitions_total", `outcome="failure"`))+" > 0", "{{origin}} {{diagnosis}}")).NoValue("no failures"),
	}
}

// worstBurn is how many times too fast the budget of the worst promise burns.
func worstBurn(window string) string {
	return `max(qrgate:sli_error:ratio_rate` + window + `{` + ofJob + `} / on (slo) group_left () (1 - qrgate:slo_objective:ratio))`
}
