package dashboards

import (
	"bytes"
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// board is one dashboard with its rows of panels, in the order of an operator's questions.
type board struct {
	uid, title, about string
	rows              []row
}

type row struct {
	question string
	panels   []cog.Builder[dashboard.Panel]
}

// tag marks the dashboards that belong together.
const tag = "qrgate"

func boards(l Links) []board { return []board{delivery(l), slo(), probing()} }

// encode is the board as Grafana reads it.
func (b board) encode() ([]byte, error) {
	//lint:ignore SA1019 Grafana's second dashboard schema is read by Grafana 12 and later alone
	d := dashboard.NewDashboardBuilder(b.title).Uid(b.uid).Description(b.about).Tags([]string{tag}).
		Refresh("30s").Time("now-3h", "now").Timezone("utc").Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("qrgate").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{tag}).IncludeVars(true).KeepTime(true))
	for _, v := range variables() {
		d.WithVariable(v)
	}
	d.Annotation(dashboard.NewAnnotationQueryBuilder().Name("Deploys").Datasource(metrics()).Enable(true).IconColor("blue").
		Expr(`changes(process_start_time_seconds{` + selectors + `}[1m]) > 0`))
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.question))
		for _, p := range r.panels {
			d.WithPanel(p)
		}
	}
	made, err := d.Build()
	if err != nil {
		return nil, err
	}
	name(made.Panels)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err = enc.Encode(made)
	return out.Bytes(), err
}

// name gives panels and queries the names that Grafana would give them, so that links to them stay valid.
func name(all []dashboard.PanelOrRowPanel) {
	for i, p := range all {
		id := uint32(i + 1)
		if p.RowPanel != nil {
			p.RowPanel.Id = id
			continue
		}
		p.Panel.Id = &id
		for j, t := range p.Panel.Targets {
			if query, ok := t.(prometheus.Dataquery); ok {
				query.RefId = cog.ToPtr(string(rune('A' + j)))
				p.Panel.Targets[j] = query
			}
		}
	}
}

// variables let the reader choose where metrics and traces are, and which replicas to look at.
func variables() []cog.Builder[dashboard.VariableModel] {
	pick := func(name, label, kind string) cog.Builder[dashboard.VariableModel] {
		return dashboard.NewDatasourceVariableBuilder(name).Label(label).Type(kind)
	}
	choose := func(name, label, query string) cog.Builder[dashboard.VariableModel] {
		return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(metrics()).
			Query(dashboard.StringOrMap{String: cog.ToPtr(query)}).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
			Multi(true).IncludeAll(true).AllValue(".+").Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
	}
	return []cog.Builder[dashboard.VariableModel]{
		pick("datasource", "Data source", "prometheus"),
		pick("traces", "Traces", "jaeger"),
		choose("job", "Job", "label_values(qrgate_build_info, job)"),
		choose("instance", "Instance", `label_values(qrgate_build_info{job=~"$job"}, instance)`),
	}
}

// toCause leads from a cause in a graph to its section of the runbooks.
func (l Links) toCause() cog.Builder[dashboard.DashboardLink] {
	return dashboard.NewDashboardLinkBuilder("What to do about ${__field.labels.diagnosis}").Type(dashboard.DashboardLinkTypeLink).
		Url(l.page("diagnoses.md#${__field.labels.diagnosis}")).TargetBlank(true)
}

// toRunbook leads from an alert in a table to its page.
func (l Links) toRunbook() cog.Builder[dashboard.DashboardLink] {
	return dashboard.NewDashboardLinkBuilder("What to do about ${__data.fields.alertname}").Type(dashboard.DashboardLinkTypeLink).
		Url(l.page("${__data.fields.alertname}.md")).TargetBlank(true)
}

// toTraces leads to the traces of a probe's failed runs in the time that is shown.
func toTraces() cog.Builder[dashboard.DashboardLink] {
	const panes = `{"t":{"datasource":"${traces}","queries":[{"refId":"A","queryType":"search","service":"qrgate",` +
		`"tags":"qrgate.probe.name=${__field.labels.probe} error=true"}],"range":{"from":"${__from}","to":"${__to}"}}}`
	return dashboard.NewDashboardLinkBuilder("Traces of failed runs").Type(dashboard.DashboardLinkTypeLink).
		Url("/explore?schemaVersion=1&panes=" + panes).TargetBlank(true)
}

// drawn makes a graph's thresholds visible.
func drawn() cog.Builder[common.GraphThresholdsStyleConfig] {
	return common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed)
}

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

func dependencies() panels {
	return panels{
		graph(text{"Engine: calls by error type", "Calls of qrgate itself. A working engine often responds with not_ready; the others are problems.", units.EventsPerSecond}, third,
			line(rate("error_type", of("qrgate_engine_requests_total"))+" > 0", "{{error_type}}")).NoValue("no calls"),
		graph(text{"Engine: time per call", "95 % of the calls take no longer. A diamond leads to its trace.", units.Seconds}, third,
			line(quantile("0.95", "operation", "qrgate_engine_request_duration_seconds"), "{{operation}}").Exemplar(true)),
		graph(text{"Engine: failed calls", "Share of the calls with a timeout, a 429, a 5xx or an invalid response.", units.PercentUnit}, third,
			line(rate("operation", of("qrgate_engine_request_duration_seconds_count", `outcome="failure"`))+"\n/\n"+
				rate("operation", of("qrgate_engine_request_duration_seconds_count")), "{{operation}}")).Max(1),
		strip(text{"Who reaches the engine", "By replica. Red: the engine did not respond to its last call or health check.", units.Short}, third,
			line(`max by (instance) (`+of("qrgate_engine_up")+`)`, "{{instance}}"), [2]string{"unreachable", "reachable"}),
		strip(text{"Engine: circuit", "By replica. Red: no connection can be opened; requests fail at once, and one call a second is retried.", units.Short}, third,
			line(`max by (instance) (`+of("qrgate_engine_circuit_state", `state="closed"`)+`)`, "{{instance}}"), [2]string{"open", "closed"}),
		graph(text{"Engine: retries", "Calls of qrgate itself that followed a failed call of the same operation for the same session.", units.EventsPerSecond}, third,
			line(rate("operation", of("qrgate_engine_retries_total")), "{{operation}}")),
		graph(text{"Engine: budget left", "Calls that the engine still allows in this window, of the key with the fewest. At 0 QRs come late.", units.Short}, third,
			line(`min by (instance) (`+of("qrgate_engine_rate_limit_remaining")+`)`, "{{instance}}")).NoValue("the engine does not say"),
		strip(text{"Who reaches the store", "By replica. Red: it goes on from its own memory.", units.Short}, third,
			line(`min by (instance) (`+of("qrgate_store_up")+`)`, "{{instance}}"), [2]string{"away", "there"}),
		graph(text{"Store: time per operation", "95 % take no longer. qrgate waits 150 ms at most.", units.Seconds}, third,
			line(quantile("0.95", "operation", "qrgate_store_operation_duration_seconds"), "{{operation}}")),
		graph(text{"Store: failures", "Operations that failed; a lost race is none.", units.EventsPerSecond}, half,
			line(rate("operation", of("qrgate_store_operation_failures_total")), "{{operation}}")),
		graph(text{"Store: decrypt failures", "Replicas with different secrets, or another program that writes to the store.", units.EventsPerSecond}, half,
			line(rate("instance", of("qrgate_store_decrypt_failures_total")), "{{instance}}")),
	}
}

func gatewayPanels() panels {
	return append(traffic(), process()...)
}

func traffic() panels {
	return panels{
		graph(text{"Requests by route", "unmatched is all that passes through.", units.RequestsPerSecond}, third,
			line(rate("http_request_method, http_route", of("http_server_requests_total"))+" > 0", "{{http_request_method}} {{http_route}}")).NoValue("no requests"),
		graph(text{"Answers by status", "Of users. 202 is \"not yet\", 503 a diagnosis, 499 a client that left.", units.RequestsPerSecond}, third,
			line(rate("http_response_status_code", of("http_server_requests_total", `origin="user"`))+" > 0", "{{http_response_status_code}}")).NoValue("no requests"),
		graph(text{"Time per route", "95 % of users' requests take no longer, waits included.", units.Seconds}, third,
			line(quantile("0.95", "http_route", "http_server_request_duration_seconds"), "{{http_route}}").Exemplar(true)),
		graph(text{"Failures without a diagnosis", "Count against availability: a 5xx of the engine, internal errors of the gateway, truncated responses.", units.RequestsPerSecond}, third,
			line(rate("origin, cause", of("qrgate_http_failures_total")), "{{origin}} {{cause}}")),
		graph(text{"Rejected requests", "By qrgate itself, with the reason.", units.RequestsPerSecond}, third,
			line(rate("reason", of("qrgate_requests_rejected_total")), "{{reason}}")),
		graph(text{"Clients that left", "Before their response: their timeouts may be shorter than the wait.", units.RequestsPerSecond}, third,
			line(rate("origin", of("qrgate_http_client_gone_total")), "{{origin}}")),
		graph(text{"Waiting requests", "With the limit. Over the limit requests get \"not ready\" at once.", units.Short}, third,
			line(`sum by (instance) (`+of("qrgate_waiters")+`)`, "{{instance}} waiting"), line(`sum by (instance) (`+of("qrgate_waiters_limit")+`)`, "{{instance}} limit")),
		graph(text{"Requests in flight", "Waiting ones, and those that pass through.", units.Short}, third,
			line(`sum by (instance) (`+of("http_server_active_requests")+`)`, "{{instance}}")),
		graph(text{"Bodies", "Bytes read from clients and written to them.", units.BytesPerSecondIEC}, third,
			line(rate("direction", of("qrgate_http_body_bytes_total")), "{{direction}}")),
	}
}

func process() panels {
	return panels{
		graph(text{"Processor", "Cores in use.", units.Short}, quarter, line(rate("instance", of("process_cpu_seconds_total")), "{{instance}}")),
		graph(text{"Memory", "Resident.", units.BytesIEC}, quarter, line(`sum by (instance) (`+of("process_resident_memory_bytes")+`)`, "{{instance}}")),
		graph(text{"Goroutines", "They rise and fall with the waiting requests.", units.Short}, quarter, line(`sum by (instance) (`+of("go_goroutines")+`)`, "{{instance}}")),
		graph(text{"Open files", "Of those that the process may open.", units.PercentUnit}, quarter,
			line(`max by (instance) (`+of("process_open_fds")+` / `+of("process_max_fds")+`)`, "{{instance}}")).Max(1),
	}
}

func metaPanels() panels {
	return panels{
		graph(text{"Log messages", "By level.", units.EventsPerSecond}, third, line(rate("level", of("qrgate_log_messages_total")), "{{level}}")),
		graph(text{"Traces lost", "Batches that could not be exported.", units.EventsPerSecond}, third, line(rate("signal", of("qrgate_otel_export_failures_total")), "{{signal}}")),
		graph(text{"Scrapes", "How long Prometheus takes to ask a replica. Gaps are scrapes that failed.", units.Seconds}, third, line(of("scrape_duration_seconds"), "{{instance}}")),
		rows(text{"What runs", "Versions by replica; several while a deploy is under way.", units.Short}, whole,
			`count by (instance, version, revision, goversion) (`+of("qrgate_build_info")+`)`),
	}
}

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
