package dashboards

import (
	"bytes"
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// board is one dashboard. The order of its rows is the order of an operator's questions.
type board struct {
	uid, title, description string
	rows                    []row
}

type row struct {
	question string
	panels   panels
}

// tag marks the dashboards that belong together.
const tag = "qrgate"

func boards(l Links) []board { return []board{deliveryBoard(l), sloBoard(), probesBoard()} }

// encode returns the JSON that Grafana 11 reads.
func (b board) encode() ([]byte, error) {
	//lint:ignore SA1019 only Grafana 12 and later read the second dashboard schema
	d := dashboard.NewDashboardBuilder(b.title).Uid(b.uid).Description(b.description).Tags([]string{tag}).
		Refresh("30s").Time("now-3h", "now").Timezone("utc").Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("qrgate").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{tag}).IncludeVars(true).KeepTime(true))
	for _, v := range variables() {
		d.WithVariable(v)
	}
	d.Annotation(dashboard.NewAnnotationQueryBuilder().Name("Deployments").Datasource(metrics()).Enable(true).
		IconColor("blue").Expr(`changes(process_start_time_seconds{` + selectors + `}[1m]) > 0`))
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.question))
		for _, p := range r.panels {
			d.WithPanel(p)
		}
	}
	built, err := d.Build()
	if err != nil {
		return nil, err
	}
	assignIDs(built.Panels)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err = enc.Encode(built)
	return out.Bytes(), err
}

// assignIDs gives panels and queries the ids that Grafana would assign, so that links to them stay valid.
func assignIDs(all []dashboard.PanelOrRowPanel) {
	for i, p := range all {
		id := uint32(i + 1)
		if p.RowPanel != nil {
			p.RowPanel.Id = id
			continue
		}
		p.Panel.Id = &id
		for j, t := range p.Panel.Targets {
			if q, ok := t.(prometheus.Dataquery); ok {
				q.RefId = cog.ToPtr(string(rune('A' + j)))
				p.Panel.Targets[j] = q
			}
		}
	}
}

// variables choose the data sources and the replicas.
func variables() []cog.Builder[dashboard.VariableModel] {
	source := func(name, label, kind string) cog.Builder[dashboard.VariableModel] {
		return dashboard.NewDatasourceVariableBuilder(name).Label(label).Type(kind)
	}
	choice := func(name, label, query string) cog.Builder[dashboard.VariableModel] {
		return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(metrics()).
			Query(dashboard.StringOrMap{String: cog.ToPtr(query)}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
			Multi(true).IncludeAll(true).AllValue(".+").Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
	}
	return []cog.Builder[dashboard.VariableModel]{
		source("datasource", "Data source", "prometheus"),
		source("traces", "Traces", "jaeger"),
		choice("job", "Job", "label_values(qrgate_build_info, job)"),
		choice("instance", "Instance", `label_values(qrgate_build_info{job=~"$job"}, instance)`),
		choice("engine", "Engine", `label_values(qrgate_engine_up{job=~"$job"}, engine)`),
	}
}

// link is a link of the values in a panel.
func link(title, url string) []cog.Builder[dashboard.DashboardLink] {
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder(title).Type(dashboard.DashboardLinkTypeLink).Url(url).TargetBlank(true),
	}
}

// deliveryBoard answers in its first screen whether QRs are delivered, who is affected, since when and why.
func deliveryBoard(l Links) board {
	return board{
		uid: boardDelivery, title: "qrgate / QR delivery",
		description: "Are QRs delivered, who is affected, since when and why? " +
			"Then: which step, which dependency, qrgate itself, and the monitoring.",
		rows: []row{
			{"Are QRs delivered, who is affected, since when, and why?", append(deliveryFigures(), deliveryPanels(l)...)},
			{"Where does it fail?", acquisitionPanels()},
			{"Which dependency?", append(enginePanels(), storePanels()...)},
			{"Is it qrgate?", append(trafficPanels(), processPanels()...)},
			{"Does the monitoring work?", monitoringPanels()},
		},
	}
}

func deliveryFigures() panels {
	const good = `outcome="success"`
	const finished = `outcome=~"success|failure",diagnosis!~"` + callerCauses + `"`
	users := func(matchers string) string {
		return increase("", of("qrgate_qr_acquisitions_total", `origin="user"`, matchers), "15m")
	}
	share := steps(step{"red", 0}, step{"orange", .95}, step{"green", .99})
	return panels{
		userFigure(info{"Users: QR success",
			"Share of users' acquisitions in 15 minutes that ended with a QR, causes of the callers excluded.",
			units.PercentUnit}, sixth, users(good)+"\n/\n"+users(finished), share),
		figure(info{"Probe: QR success",
			"Share of the deep probe's runs in 30 minutes that ended with a QR. It sends the same requests as a client.",
			units.PercentUnit}, sixth,
			increase("", of("qrgate_probe_runs_total", deep, good), "30m")+"\n/\n"+
				increase("", of("qrgate_probe_runs_total", deep), "30m"), share),
		figure(info{"Error budget left",
			"Of the SLO that has the least left of its 30 days. Below 0 it is violated.", units.PercentUnit}, sixth,
			`min(qrgate:slo_error_budget_remaining:ratio{`+ofJob+`})`,
			steps(step{"red", 0}, step{"orange", .1}, step{"green", .5})),
		figure(info{"Burn rate, 1 h",
			"How many times too fast the error budget of the worst SLO is used. 14.4 pages.", units.Short}, sixth,
			`max(qrgate:sli_error:ratio_rate1h{`+ofJob+`} / on (slo) group_left () (1 - qrgate:slo_objective:ratio))`,
			steps(step{"green", 0}, step{"orange", 1}, step{"red", 14.4})),
		figure(info{"Engine", "Whether the replicas reach the engine.", units.PercentUnit}, sixth,
			`avg(`+of("qrgate_engine_up")+`)`, steps(step{"red", 0}, step{"orange", .01}, step{"green", 1})).
			Mappings(append(booleanWords("DOWN", "UP"), emptyValue("NO DATA", "red"))),
		figure(info{"Since the probe's last success",
			"Shows whether QRs are delivered while no user requests one.", units.Seconds}, sixth,
			`time() - max(`+of("qrgate_probe_last_success_timestamp_seconds", deep)+` > 0)`,
			steps(step{"green", 0}, step{"orange", 660}, step{"red", 900})),
	}
}

func deliveryPanels(l Links) panels {
	const firing = ofJob + `,alertname=~"QRGate.+"`
	return panels{
		rows(info{"Firing alerts", "Alerts that fire now, and since when. A click on one opens its runbook.",
			units.DateTimeFromNow}, half,
			`1000 * max by (alertname, severity, engine, slo, probe, diagnosis) (ALERTS_FOR_STATE{`+firing+
				`} and ignoring (alertstate) ALERTS{`+firing+`,alertstate="firing"})`).
			NoValue("no alert fires").DataLinks(
			link("What to do about ${__data.fields.alertname}", l.runbook("${__data.fields.alertname}.md"))),
		stacked(info{"Failures by cause",
			"Requests for a QR that failed, by cause, within seconds of the failure. A click opens what to do.",
			units.RequestsPerSecond}, half,
			positiveRates("diagnosis", "qrgate_qr_waits_total", `outcome="failure"`, `diagnosis!="none"`)).
			NoValue("no failures").DataLinks(link("What to do about ${__field.labels.diagnosis}",
			l.runbook("diagnoses.md#${__field.labels.diagnosis}"))),
		stacked(info{"Requests for a QR, by response",
			"All users' requests. A failure is a \"not ready\" or a diagnosis.", units.RequestsPerSecond}, half,
			rates("outcome", "qrgate_qr_waits_total")),
		graph(info{"Acquisitions by outcome",
			"Users and probes separately. A failure takes a minute.", units.EventsPerSecond}, half,
			rates("origin, outcome", "qrgate_qr_acquisitions_total")),
	}
}

func acquisitionPanels() panels {
	const histogram, users = "qrgate_qr_time_to_code_seconds", `origin="user"`
	return panels{
		graph(info{"Time to QR",
			"From a user's request to the first code. A diamond is one acquisition: click it to see its trace.",
			units.Seconds}, half,
			line(quantile("0.5", "", histogram, users), "p50"),
			line(quantile("0.95", "", histogram, users), "p95").Exemplar(true),
			line(quantile("0.99", "", histogram, users), "p99")).
			Thresholds(steps(step{"transparent", 0}, step{"orange", 5}, step{"red", 15})).
			ThresholdsStyle(dashedThresholds()),
		heat(info{"Time to QR, distribution",
			"Two bands are two kinds of sessions, or of engines.", units.Seconds}, half, histogram),
		graph(info{"Wait duration",
			"95 % of the requests wait no longer. At the limit, clients got \"not ready\".", units.Seconds}, third,
			slowest("outcome", "qrgate_qr_wait_duration_seconds")),
		stacked(info{"Active sessions, by state",
			"Many in connecting: the engine makes no QR. Many in awaiting_scan: no phone scans. " +
				"Paired sessions are counted for half a minute.", units.Short}, third,
			values("sum", "state", "qrgate_sessions")),
		graph(info{"State changes",
			"Sessions that entered a state. Connecting without awaiting_scan means that no QR comes.",
			units.EventsPerSecond}, third, rates("state", "qrgate_session_state_changes_total")),
		graph(info{"Codes",
			"The first of a connect, and later ones that replaced it. Users and probes separately.",
			units.EventsPerSecond}, half, rates("origin, position", "qrgate_qr_codes_total")),
		graph(info{"Failed acquisitions by cause",
			"Of users and probes; a minute later than failures by cause, and each session once.",
			units.EventsPerSecond}, half,
			positiveRates("origin, diagnosis", "qrgate_qr_acquisitions_total", `outcome="failure"`)).
			NoValue("no failures"),
	}
}

func enginePanels() panels {
	const (
		calls        = "qrgate_engine_request_duration_seconds_count"
		acquisitions = "qrgate_qr_acquisitions_total"
		users        = `origin="user"`
	)
	return panels{
		graph(info{"Engine: QR success",
			"By engine, where there are several: the share of users' acquisitions that ended with a QR.",
			units.PercentUnit}, third,
			line(rate("engine", of(acquisitions, users, `outcome="success"`))+"\n/\n"+
				rate("engine", of(acquisitions, users, `outcome=~"success|failure"`)), "{{engine}}")).Max(1).
			NoValue("no requests"),
		graph(info{"Engine: calls by error type",
			"Calls of qrgate itself. A working engine often responds with not_ready; the others are problems.",
			units.EventsPerSecond}, third, positiveRates("error_type", "qrgate_engine_requests_total")).
			NoValue("no calls"),
		graph(info{"Engine: time per call",
			"95 % of the calls take no longer. A diamond leads to its trace.", units.Seconds}, third,
			slowest("operation", "qrgate_engine_request_duration_seconds").Exemplar(true)),
		graph(info{"Engine: failed calls",
			"Share of the calls with a timeout, a 429, a 5xx or an invalid response.", units.PercentUnit}, third,
			line(rate("operation", of(calls, `outcome="failure"`))+"\n/\n"+rate("operation", of(calls)),
				"{{operation}}")).Max(1),
		strip(info{"Engine: reachability",
			"By engine and replica. Red: the engine did not respond to its last call or health check.", units.Short}, third,
			values("max", "engine, instance", "qrgate_engine_up"), "unreachable", "reachable"),
		strip(info{"Engine: circuit",
			"By engine and replica. Red: no connection can be opened; requests fail at once, and one call a second is retried.",
			units.Short}, third,
			values("max", "engine, instance", "qrgate_engine_circuit_state", `state="closed"`), "open", "closed"),
		graph(info{"Engine: retries",
			"Calls of qrgate itself that followed a failed call of the same operation for the same session.",
			units.EventsPerSecond}, third, rates("operation", "qrgate_engine_retries_total")),
		graph(info{"Engine: rate limit remaining",
			"Calls that the engine still allows in this window, of the key with the fewest. At 0 QRs come late.",
			units.Short}, third, values("min", "engine, instance", "qrgate_engine_rate_limit_remaining")).
			NoValue("the engine reports no limit"),
		graph(info{"Engine: push connections",
			"Credentials whose sessions are not polled, because WAHA reports their changes on a websocket.",
			units.Short}, third, values("sum", "engine, instance", "qrgate_engine_push_connections")),
		graph(info{"Webhooks: dropped events",
			"Events of sessions that their webhook did not accept.",
			units.EventsPerSecond}, third, rates("engine, instance", "qrgate_webhook_events_dropped_total")),
	}
}

func storePanels() panels {
	return panels{
		strip(info{"Store: reachability",
			"By replica. Red: it uses its in-memory store.", units.Short}, third,
			values("min", "instance", "qrgate_store_up"), "unreachable", "reachable"),
		graph(info{"Store: time per operation",
			"95 % take no longer. qrgate waits 150 ms at most.", units.Seconds}, third,
			slowest("operation", "qrgate_store_operation_duration_seconds")),
		graph(info{"Store: failures",
			"Operations that failed, version conflicts excluded.", units.EventsPerSecond}, half,
			rates("operation", "qrgate_store_operation_failures_total")),
		graph(info{"Store: decrypt failures",
			"Replicas with different secrets, or another program that writes to the store.",
			units.EventsPerSecond}, half, rates("instance", "qrgate_store_decrypt_failures_total")),
	}
}

func trafficPanels() panels {
	const requests = "http_server_requests_total"
	return panels{
		graph(info{"Requests by route", "unmatched is all that passes through.", units.RequestsPerSecond}, third,
			positiveRates("http_request_method, http_route", requests)).NoValue("no requests"),
		graph(info{"Responses by status",
			"To users. 202 is \"not ready\", 503 a diagnosis, 499 a client that left.", units.RequestsPerSecond}, third,
			positiveRates("http_response_status_code", requests, `origin="user"`)).NoValue("no requests"),
		graph(info{"Time per route",
			"95 % of users' requests take no longer, waits included.", units.Seconds}, third,
			slowest("http_route", "http_server_request_duration_seconds").Exemplar(true)),
		graph(info{"Failures without a diagnosis",
			"Count against availability: a 5xx of the engine, internal errors of the gateway, truncated responses.",
			units.RequestsPerSecond}, third, rates("origin, cause", "qrgate_http_failures_total")),
		graph(info{"Rejected requests", "By qrgate itself, with the reason.", units.RequestsPerSecond}, third,
			rates("reason", "qrgate_requests_rejected_total")),
		graph(info{"Clients that left",
			"Before their response: their timeouts may be shorter than the wait.", units.RequestsPerSecond}, third,
			rates("origin", "qrgate_http_client_gone_total")),
		graph(info{"Waiting requests",
			"With the limit. Over the limit requests get \"not ready\" at once.", units.Short}, third,
			values("sum", "instance", "qrgate_waiters").LegendFormat("{{instance}} waiting"),
			values("sum", "instance", "qrgate_waiters_limit").LegendFormat("{{instance}} limit")),
		graph(info{"Active requests",
			"Waiting requests, and those that pass through.", units.Short}, third,
			values("sum", "instance", "http_server_active_requests")),
		graph(info{"Bodies", "Bytes read from clients and written to them.", units.BytesPerSecondIEC}, third,
			rates("direction", "qrgate_http_body_bytes_total")),
	}
}

func processPanels() panels {
	return panels{
		graph(info{"Processor", "Cores in use.", units.Short}, quarter,
			rates("instance", "process_cpu_seconds_total")),
		graph(info{"Memory", "Resident.", units.BytesIEC}, quarter,
			values("sum", "instance", "process_resident_memory_bytes")),
		graph(info{"Goroutines", "They rise and fall with the waiting requests.", units.Short}, quarter,
			values("sum", "instance", "go_goroutines")),
		graph(info{"Open files", "Share of the files that the process may open.", units.PercentUnit}, quarter,
			line(`max by (instance) (`+of("process_open_fds")+` / `+of("process_max_fds")+`)`, "{{instance}}")).Max(1),
	}
}

func monitoringPanels() panels {
	return panels{
		graph(info{"Log messages", "By level.", units.EventsPerSecond}, third,
			rates("level", "qrgate_log_messages_total")),
		graph(info{"Traces lost", "Batches that could not be exported.", units.EventsPerSecond}, third,
			rates("signal", "qrgate_otel_export_failures_total")),
		graph(info{"Scrapes",
			"How long Prometheus takes to scrape a replica. Gaps are scrapes that failed.", units.Seconds}, third,
			line(of("scrape_duration_seconds"), "{{instance}}")),
		rows(info{"Versions", "By replica; several during a deployment.", units.Short}, whole,
			`count by (instance, version, revision, goversion) (`+of("qrgate_build_info")+`)`),
	}
}

// probesBoard shows the runs of the probes.
func probesBoard() board {
	return board{
		uid: boardProbes, title: "qrgate / Probes",
		description: "Runs of the synthetic probes: do they succeed, at which step do they fail, and do they take place?",
		rows: []row{
			{"Do they succeed?", probeSuccessPanels()},
			{"Where do they fail?", probeStepPanels()},
			{"Do they take place?", probeSchedulePanels()},
		},
	}
}

func probeSuccessPanels() panels {
	const runs = "qrgate_probe_runs_total"
	latest := func(metric string) string { return `max by (engine, probe) (` + of(metric) }
	lastRun := latest("qrgate_probe_last_run_timestamp_seconds")
	lastSuccess := latest("qrgate_probe_last_success_timestamp_seconds")
	return panels{
		figure(info{"Success in an hour",
			"By probe. create_connect_qr sends the same requests as a client.", units.PercentUnit}, third,
			increase("engine, probe", of(runs, `outcome="success"`), "1h")+"\n/\n"+
				increase("engine, probe", of(runs), "1h"),
			steps(step{"red", 0}, step{"orange", .95}, step{"green", .99})),
		figure(info{"Since the last success", "By probe. Three intervals without one page.", units.Seconds}, third,
			`time() - `+lastSuccess+` > 0)`, steps(step{"blue", 0})),
		figure(info{"Intervals since the last run", "By probe. At 2.5 monitoring is off.", units.Short}, third,
			`(time() - `+lastRun+` > 0)) / `+latest("qrgate_probe_interval_seconds")+`)`,
			steps(step{"green", 0}, step{"orange", 1.5}, step{"red", 2.5})),
		strip(info{"Result of the last run",
			"By probe, over time. Red: it failed, until one succeeds. A click leads to the traces of the failed runs.",
			units.Short}, whole,
			line(lastSuccess+`) >= bool (`+lastRun+`) > 0)`, "{{engine}} {{probe}}"), "failed", "succeeded").
			DataLinks(link("Traces of failed runs", `/explore?schemaVersion=1&panes={"t":{"datasource":"${traces}",`+
				`"queries":[{"refId":"A","queryType":"search","service":"qrgate",`+
				`"tags":"qrgate.probe.name=${__field.labels.probe} error=true"}],`+
				`"range":{"from":"${__from}","to":"${__to}"}}}`)),
	}
}

// perInterval is the increase of a counter between two points of a graph.
func perInterval(labels, counter string, matchers ...string) string {
	return increase(labels, of(counter, matchers...), "$__rate_interval")
}

func probeStepPanels() panels {
	return panels{
		stacked(info{"Failed runs by cause", "Each cause has a section in the runbooks.", units.Short}, half,
			line(perInterval("probe, diagnosis", "qrgate_probe_runs_total", `outcome="failure"`)+" > 0",
				"{{probe}} {{diagnosis}}")).NoValue("no failures"),
		graph(info{"Failures of steps", "The steps are create, connect, qr, validate and cleanup.", units.Short}, half,
			line(perInterval("step", "qrgate_probe_step_failures_total"), "{{step}}")),
		graph(info{"Time per step", "95 % of the steps end within this time.", units.Seconds}, half,
			slowest("step", "qrgate_probe_step_duration_seconds")),
		graph(info{"Time of a run", "95 % of the runs end within this time.", units.Seconds}, half,
			slowest("probe, outcome", "qrgate_probe_duration_seconds")),
	}
}

func probeSchedulePanels() panels {
	return panels{
		strip(info{"Leader",
			"By engine and replica. One leads, or there are no deep probes. Red is the normal state of the others.",
			units.Short}, third,
			values("max", "engine, instance", "qrgate_probe_leader"), "follows", "leads"),
		graph(info{"Runs that did not take place",
			"skipped is intended, failed is an error of the prober. Neither uses an error budget.", units.Short}, third,
			line(perInterval("reason", "qrgate_probe_skipped_total"), "skipped: {{reason}}"),
			line(perInterval("reason", "qrgate_probe_errors_total"), "failed: {{reason}}")),
		graph(info{"Orphaned sessions",
			"Sessions of probes that are not deleted, and deletions that failed.", units.Short}, third,
			line(`max(`+of("qrgate_probe_orphaned_sessions")+`)`, "orphaned"),
			line(perInterval("", "qrgate_probe_cleanup_failures_total"), "failed deletions")),
	}
}

// sloBoard shows the SLOs, what is left of their error budgets, and how fast those are used.
func sloBoard() board {
	var left, burning panels
	for _, s := range slos() {
		selector := `{` + ofJob + `,slo="` + s.name + `"}`
		budgetFigure := userFigure
		if s.name == "probe-qr" { // probes always run
			budgetFigure = figure
		}
		left = append(left, budgetFigure(info{"Budget left: " + s.name,
			s.failure + ": the remaining share of the error budget of 30 days.", units.PercentUnit}, quarter,
			`min(qrgate:slo_error_budget_remaining:ratio`+selector+`)`,
			steps(step{"red", 0}, step{"orange", .1}, step{"green", .5})))
		p := graph(info{"Burn by window: " + s.name,
			"How many times too fast. Above the lines (14.4 in 1 h, 6 in 6 h, 3 in a day, 1 in three days) an alert fires.",
			units.Short}, half).
			Thresholds(steps(step{"transparent", 0}, step{"yellow", 1}, step{"orange", 6}, step{"red", 14.4})).
			ThresholdsStyle(dashedThresholds())
		for _, w := range []string{s.shortWindow, "1h", "6h", "1d", "3d"} {
			p.WithTarget(line(`max(qrgate:sli_error:ratio_rate`+w+selector+`) / `+budget(s), w))
		}
		burning = append(burning, p)
	}
	return board{
		uid: boardSLO, title: "qrgate / SLO",
		description: "The SLOs over 30 days, the remaining error budget, and how fast it is used.",
		rows: []row{
			{"How much is left?", left}, {"How fast is it used?", burning}, {"When was it used?", budgetHistoryPanels()},
		},
	}
}

func budgetHistoryPanels() panels {
	bySLO := func(aggregation, recording string) string {
		return aggregation + ` by (slo) (` + recording + `{` + ofJob + `})`
	}
	return panels{
		graph(info{"Budget over time", "Of 30 days.", units.PercentUnit}, half,
			line(bySLO("min", "qrgate:slo_error_budget_remaining:ratio"), "{{slo}}")),
		graph(info{"Share of bad events, 5 min and 1 h",
			"The shortest window of the probe's SLO is 15 minutes.", units.PercentUnit}, half,
			line(`max by (slo) (qrgate:sli_error:ratio_rate5m{`+ofJob+`} or qrgate:sli_error:ratio_rate15m{`+ofJob+`})`,
				"{{slo}} short"),
			line(bySLO("max", "qrgate:sli_error:ratio_rate1h"), "{{slo}} 1h")),
		graph(info{"Bad events in the last hour", "Below two or three no alert fires.", units.Short}, half,
			line(bySLO("sum", "qrgate:sli_bad_events:increase1h"), "{{slo}}")),
		rows(info{"Objectives", "Over 30 days, and the share of bad events.", units.PercentUnit}, half,
			`max by (slo) (qrgate:slo_objective:ratio)`, bySLO("max", "qrgate:sli_error:ratio_rate30d")),
	}
}
