package dashboards

import (
	"cmp"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// panel is one panel of boards.yml.
type panel struct {
	Title, Text, Kind, Unit string
	Width                   uint32
	Each                    string             // "slo": the panel stands for one panel of each SLO
	Empty                   string             // what stands in place of a missing value
	Max                     *float64           // of the axis
	Colors                  map[string]float64 // and the values at which they begin
	Words                   []string           // for 0 and 1
	Link                    *struct{ Title, URL string }
	Queries                 []query
}

// query is one query of a panel, in PromQL.
type query struct {
	Expr, Legend string
	Exemplar     bool
}

// expand returns the panels that p stands for.
func (p panel) expand() []panel {
	if p.Each == "" {
		return []panel{p}
	}
	var each []panel
	for _, s := range slos() {
		fill := strings.NewReplacer(
			"<slo>", s.name, "<failure>", s.failure, "<short window>", s.shortWindow, "<budget>", budget(s)).Replace
		of := p
		of.Title, of.Text, of.Queries = fill(p.Title), fill(p.Text), nil
		for _, q := range p.Queries {
			of.Queries = append(of.Queries, query{fill(q.Expr), fill(q.Legend), q.Exemplar})
		}
		if s.name == "probe-qr" { // probes always run
			of.Empty = ""
		}
		each = append(each, of)
	}
	return each
}

// builder returns the panel as Grafana's SDK builds it.
func (p panel) builder() cog.Builder[dashboard.Panel] {
	switch p.Kind {
	case "figure":
		return p.figure()
	case "heat":
		return p.heat()
	case "strip":
		return p.strip()
	case "table":
		return p.table()
	case "stacked":
		return p.graph().FillOpacity(60).
			Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	return p.graph()
}

// panelBuilder are the methods that all builders of panels have.
type panelBuilder[B any] interface {
	Title(string) B
	Description(string) B
	Unit(string) B
	Datasource(common.DataSourceRef) B
	Span(uint32) B
	Height(uint32) B
	NoValue(string) B
	Max(float64) B
	DataLinks([]cog.Builder[dashboard.DashboardLink]) B
	WithTarget(cog.Builder[variants.Dataquery]) B
}

// describe sets what all kinds of panels have.
func describe[B panelBuilder[B]](b B, p panel, height uint32) B {
	b.Title(p.Title).Description(p.Text).Unit(p.Unit).Datasource(metrics()).Span(p.Width).Height(height)
	if p.Empty != "" {
		b.NoValue(p.Empty)
	}
	if p.Max != nil {
		b.Max(*p.Max)
	}
	if p.Link != nil {
		b.DataLinks([]cog.Builder[dashboard.DashboardLink]{dashboard.NewDashboardLinkBuilder(p.Link.Title).
			Type(dashboard.DashboardLinkTypeLink).Url(p.Link.URL).TargetBlank(true)})
	}
	for _, q := range p.Queries {
		target := prometheus.NewDataqueryBuilder().Datasource(metrics()).Expr(q.Expr)
		switch p.Kind {
		case "table":
			target.Instant().Format(prometheus.PromQueryFormatTable)
		case "heat":
			target.LegendFormat("{{le}}").Range().Format(prometheus.PromQueryFormatHeatmap)
		default:
			target.LegendFormat(cmp.Or(q.Legend, "__auto")).Range()
		}
		if q.Exemplar {
			target.Exemplar(true)
		}
		b.WithTarget(target)
	}
	return b
}

// thresholds are the colors in the order of the values at which they begin; the first one has no lower bound.
func thresholds(colors map[string]float64) *dashboard.ThresholdsConfigBuilder {
	var steps []dashboard.Threshold
	for color, from := range colors {
		steps = append(steps, dashboard.Threshold{Color: color, Value: &from})
	}
	slices.SortFunc(steps, func(a, b dashboard.Threshold) int { return cmp.Compare(*a.Value, *b.Value) })
	steps[0].Value = nil
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

// figure is a current number. Without data it is red, so that missing data does not pass for a good value, unless the
// panel names what a missing value means: that needs no action.
func (p panel) figure() cog.Builder[dashboard.Panel] {
	color := "blue"
	if p.Empty == "" {
		p.Empty, color = "NO DATA", "red"
	}
	return describe(stat.NewPanelBuilder(), p, 4).
		Thresholds(thresholds(p.Colors)).Mappings(append(p.words(), emptyValue(p.Empty, color))).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		Orientation(common.VizOrientationAuto).
		ColorMode(common.BigValueColorModeBackground).GraphMode(common.BigValueGraphModeArea)
}

// emptyValue maps a missing value to a text.
func emptyValue(text, color string) dashboard.ValueMapping {
	return dashboard.ValueMapping{SpecialValueMap: &dashboard.SpecialValueMap{
		Type: dashboard.MappingTypeSpecialValue,
		Options: dashboard.DashboardSpecialValueMapOptions{
			Match:  dashboard.SpecialValueMatchNullAndNan,
			Result: dashboard.ValueMappingResult{Text: cog.ToPtr(text), Color: cog.ToPtr(color)},
		},
	}}
}

// graph shows values over time. Colors are dashed lines.
func (p panel) graph() *timeseries.PanelBuilder {
	b := describe(timeseries.NewPanelBuilder(), p, 8).Min(0).
		// A cause keeps its color.
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassicByName)).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).
			Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if len(p.Colors) > 0 {
		dashed := common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed)
		b.Thresholds(thresholds(p.Colors)).ThresholdsStyle(dashed)
	}
	return b
}

// heat shows the distribution of a histogram.
func (p panel) heat() cog.Builder[dashboard.Panel] { return describe(heatmap.NewPanelBuilder(), p, 8) }

// strip shows a boolean over time: red is 0, green is 1.
func (p panel) strip() cog.Builder[dashboard.Panel] {
	return describe(statetimeline.NewPanelBuilder(), p, 8).
		Thresholds(thresholds(map[string]float64{"red": 0, "green": 1})).Mappings(p.words()).
		MergeValues(true).ShowValue(common.VisibilityModeNever)
}

// words maps 0 and 1 to the panel's words.
func (p panel) words() []dashboard.ValueMapping {
	if p.Words == nil {
		return nil
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{
		Type: dashboard.MappingTypeValueToText,
		Options: map[string]dashboard.ValueMappingResult{
			"0": {Text: &p.Words[0], Color: cog.ToPtr("red")}, "1": {Text: &p.Words[1], Color: cog.ToPtr("green")},
		},
	}}}
}

// table shows current values.
func (p panel) table() cog.Builder[dashboard.Panel] {
	return describe(table.NewPanelBuilder(), p, 8).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{
			Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{"Time": true}},
		})
}

// The selectors of the dashboards' variables. Recordings have no instance, and what all engines share has no engine.
const (
	ofJob     = `job=~"$job",engine=~"|$engine"`
	selectors = ofJob + `,instance=~"$instance"`
)

func metrics() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("$datasource")}
}
