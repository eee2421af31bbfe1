package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// probing shows the runs of the probes.
func probing() board {
	return board{
		uid: boardProbes, title: "qrgate / Probes", about: "Runs of the synthetic probes: do they succeed, at which step do they fail, and do they take place?",
		rows: []row{
			{"Do they succeed?", succeeding()},
			{"Where do they fail?", failing()},
			{"Do they take place?", running()},
		},
	}
}

func succeeding() panels {
	const last = "qrgate_probe_last_success_timestamp_seconds"
	return panels{
		figure(text{"Success in an hour", "By probe. create_connect_qr sends the same requests as a client.", units.PercentUnit}, third,
			increase("probe", of("qrgate_probe_runs_total", `outcome="success"`), "1h")+"\n/\n"+increase("probe", of("qrgate_probe_runs_total"), "1h"),
			steps(step{"red", 0}, step{"orange", .95}, step{"green", .99})),
		figure(text{"Since the last success", "By probe. Three intervals without one page.", units.Seconds}, third,
			`time() - max by (probe) (`+of(last)+` > 0)`, plain()),
		figure(text{"Intervals since the last run", "By probe. At 2.5 monitoring is off.", units.Short}, third,
			`(time() - max by (probe) (`+of("qrgate_probe_last_run_timestamp_seconds")+` > 0)) / max by (probe) (`+of("qrgate_probe_interval_seconds")+`)`,
			steps(step{"green", 0}, step{"orange", 1.5}, step{"red", 2.5})),
		strip(text{"How the last run ended", "By probe, over time. Red: it failed, until one succeeds. A click leads to the traces of the failed runs.", units.Short}, whole,
			line(`max by (probe) (`+of(last)+`) >= bool (max by (probe) (`+of("qrgate_probe_last_run_timestamp_seconds")+`) > 0)`, "{{probe}}"), [2]string{"failed", "succeeded"}).
			DataLinks([]cog.Builder[dashboard.DashboardLink]{toTraces()}),
	}
}

func failing() panels {
	return panels{
		stacked(text{"Failed runs by cause", "Each cause has a section in the runbooks.", units.Short}, half,
			line(increase("probe, diagnosis", of("qrgate_probe_runs_total", `outcome="failure"`), "$__rate_interval")+" > 0", "{{probe}} {{diagnosis}}")).NoValue("no failures"),
		graph(text{"Failures of steps", "create, connect, qr, validate or cleanup: where the way ends.", units.Short}, half,
			line(increase("step", of("qrgate_probe_step_failures_total"), "$__rate_interval"), "{{step}}")),
		graph(text{"Time per step", "95 % of the steps end within this time.", units.Seconds}, half,
			line(quantile("0.95", "step", "qrgate_probe_step_duration_seconds"), "{{step}}")),
		graph(text{"Time of a run", "95 % of the runs end within this time.", units.Seconds}, half,
			line(quantile("0.95", "probe, outcome", "qrgate_probe_duration_seconds"), "{{probe}} {{outcome}}")),
	}
}

func running() panels {
	return panels{
		strip(text{"Who leads", "By replica. One should, or there are no deep probes; the others are not at fault.", units.Short}, third,
			line(`max by (instance) (`+of("qrgate_probe_leader")+`)`, "{{instance}}"), [2]string{"follows", "leads"}),
		graph(text{"Runs that did not come about", "skipped is as it should be, failed is the prober's own trouble. Neither burns a budget.", units.Short}, third,
			line(increase("reason", of("qrgate_probe_skipped_total"), "$__rate_interval"), "skipped: {{reason}}"),
			line(increase("reason", of("qrgate_probe_errors_total"), "$__rate_interval"), "failed: {{reason}}")),
		graph(text{"Sessions left behind", "Sessions of probes that are not deleted, and deletions that failed.", units.Short}, third,
			line(`max(`+of("qrgate_probe_orphaned_sessions")+`)`, "left behind"),
			line(increase("", of("qrgate_probe_cleanup_failures_total"), "$__rate_interval"), "deletions that failed")),
	}
}
