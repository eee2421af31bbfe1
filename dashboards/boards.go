package dashboards

import (
	"bytes"
	_ "embed" // for boards.yml
	"encoding/json"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"go.yaml.in/yaml/v3"
)

// board is one dashboard of boards.yml.
type board struct {
	UID, Title, Description string
	Rows                    []row
}

type row struct {
	Question string
	Panels   []panel
}

// tag marks the dashboards that belong together.
const tag = "qrgate"

//go:embed boards.yml
var boardsYAML string

// boards reads boards.yml.
func boards(l Links) (all []board, err error) {
	text := strings.NewReplacer(
		"<replicas>", selectors, "<job>", ofJob, "<caller causes>", callerCauses, "<runbooks>/", l.runbook(""),
	).Replace(boardsYAML)
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("boards.yml: %w", err)
	}
	return all, nil
}

// encode returns the JSON that Grafana 11 reads.
func (b board) encode() ([]byte, error) {
	//lint:ignore SA1019 only Grafana 12 and later read the second dashboard schema
	d := dashboard.NewDashboardBuilder(b.Title).Uid(b.UID).Description(b.Description).Tags([]string{tag}).
		Refresh("30s").Time("now-3h", "now").Timezone("utc").Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("qrgate").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{tag}).IncludeVars(true).KeepTime(true))
	for _, v := range variables() {
		d.WithVariable(v)
	}
	d.Annotation(dashboard.NewAnnotationQueryBuilder().Name("Deployments").Datasource(metrics()).Enable(true).
		IconColor("blue").Expr(`changes(process_start_time_seconds{` + selectors + `}[1m]) > 0`))
	for _, r := range b.Rows {
		d.WithRow(dashboard.NewRowBuilder(r.Question))
		for _, p := range r.Panels {
			for _, p := range p.expand() {
				d.WithPanel(p.builder())
			}
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
