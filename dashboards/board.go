package dashboards

import (
	"bytes"
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
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
