package dashboards

import (
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

type (
	panels = []cog.Builder[dashboard.Panel]
	query  = *prometheus.DataqueryBuilder
)

// Widths, of 24.
const (
	sixth   = 4
	quarter = 6
	third   = 8
	half    = 12
	whole   = 24
)

// info describes a panel: its title, what it means to its reader, and the unit of its values.
type info struct{ title, description, unit string }

// panelBuilder are the methods that all builders of panels have.
type panelBuilder[B any] interface {
	Title(string) B
	Description(string) B
	Unit(string) B
	Datasource(common.DataSourceRef) B
	Span(uint32) B
	Height(uint32) B
	WithTarget(cog.Builder[variants.Dataquery]) B
}

func describe[B panelBuilder[B]](p B, i info, width, height uint32, queries ...query) B {
	p.Title(i.title).Description(i.description).Unit(i.unit).Datasource(metrics()).Span(width).Height(height)
	for _, q := range queries {
		p.WithTarget(q)
	}
	return p
}

// step is a color that begins at a value; the first one has no lower bound. Red means that a person must act.
type step struct {
	color string
	from  float64
}

func steps(all ...step) *dashboard.ThresholdsConfigBuilder {
	var thresholds []dashboard.Threshold
	for i, s := range all {
		t := dashboard.Threshold{Color: s.color}
		if i > 0 {
			t.Value = cog.ToPtr(s.from)
		}
		thresholds = append(thresholds, t)
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(thresholds)
}

// figure is a current number. Without data it is red, so that missing data does not pass for a good value.
func figure(i info, width uint32, expr string, colors *dashboard.ThresholdsConfigBuilder) *stat.PanelBuilder {
	return describe(stat.NewPanelBuilder(), i, width, 4, line(expr, "__auto")).
		NoValue("NO DATA").Thresholds(colors).Mappings([]dashboard.ValueMapping{emptyValue("NO DATA", "red")}).
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

// userFigure is a figure that has no value while users send no requests, which needs no action.
func userFigure(i info, width uint32, expr string, colors *dashboard.ThresholdsConfigBuilder) *stat.PanelBuilder {
	return figure(i, width, expr, colors).
		NoValue("no requests").Mappings([]dashboard.ValueMapping{emptyValue("no requests", "blue")})
}

// graph shows values over time.
func graph(i info, width uint32, queries ...query) *timeseries.PanelBuilder {
	return describe(timeseries.NewPanelBuilder(), i, width, 8, queries...).Min(0).
		// A cause keeps its color.
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassicByName)).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).
			Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
}

// stacked is a graph whose values add up.
func stacked(i info, width uint32, queries ...query) *timeseries.PanelBuilder {
	return graph(i, width, queries...).FillOpacity(60).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
}

// dashedThresholds draws the thresholds of a graph.
func dashedThresholds() cog.Builder[common.GraphThresholdsStyleConfig] {
	return common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed)
}

// heat shows the distribution of a histogram.
func heat(i info, width uint32, histogram string) *heatmap.PanelBuilder {
	return describe(heatmap.NewPanelBuilder(), i, width, 8,
		line(increase("le", of(histogram+"_bucket"), "$__rate_interval"), "{{le}}").
			Format(prometheus.PromQueryFormatHeatmap))
}

// strip shows a boolean over time: red is 0, with the word for it, green is 1.
func strip(i info, width uint32, q query, zero, one string) *statetimeline.PanelBuilder {
	return describe(statetimeline.NewPanelBuilder(), i, width, 8, q).
		Thresholds(steps(step{"red", 0}, step{"green", 1})).Mappings(booleanWords(zero, one)).
		MergeValues(true).ShowValue(common.VisibilityModeNever)
}

// booleanWords maps 0 and 1 to words.
func booleanWords(zero, one string) []dashboard.ValueMapping {
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{
		Type: dashboard.MappingTypeValueToText,
		Options: map[string]dashboard.ValueMappingResult{
			"0": {Text: cog.ToPtr(zero), Color: cog.ToPtr("red")}, "1": {Text: cog.ToPtr(one), Color: cog.ToPtr("green")},
		},
	}}}
}

// rows is a table of current values.
func rows(i info, width uint32, exprs ...string) *table.PanelBuilder {
	p := describe(table.NewPanelBuilder(), i, width, 8).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{
			Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{"Time": true}},
		})
	for _, expr := range exprs {
		p.WithTarget(prometheus.NewDataqueryBuilder().Datasource(metrics()).Expr(expr).
			Instant().Format(prometheus.PromQueryFormatTable))
	}
	return p
}

// The selectors of the dashboards' variables. Recordings have no instance, and what all engines share has no engine.
const (
	ofJob     = `job=~"$job",engine=~"|$engine"`
	selectors = ofJob + `,instance=~"$instance"`
)

func metrics() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("$datasource")}
}

// of is a metric of the chosen replicas, with more matchers in PromQL.
func of(metric string, matchers ...string) string {
	return metric + "{" + strings.Join(append([]string{selectors}, matchers...), ",") + "}"
}

// rate is events per second, summed by labels; without labels over all.
func rate(labels, series string) string {
	return "sum " + by(labels) + "(rate(" + series + "[$__rate_interval]))"
}

// increase is events in a window, summed by labels.
func increase(labels, series, window string) string {
	return "sum " + by(labels) + "(increase(" + series + "[" + window + "]))"
}

func by(labels string) string {
	if labels == "" {
		return ""
	}
	return "by (" + labels + ") "
}

// line is a query of a graph.
func line(expr, legend string) query {
	return prometheus.NewDataqueryBuilder().Datasource(metrics()).Expr(expr).LegendFormat(legend).Range()
}

// legend shows the values of labels.
func legend(labels string) string { return "{{" + strings.ReplaceAll(labels, ", ", "}} {{") + "}}" }

// rates are the events per second of a counter, by labels.
func rates(labels, counter string) query {
	return line(rate(labels, of(counter)), legend(labels))
}

// positiveRates are rates without the series that are 0.
func positiveRates(labels, counter string, matchers ...string) query {
	return line(rate(labels, of(counter, matchers...))+" > 0", legend(labels))
}

// values are the values of a gauge, aggregated by one label.
func values(aggregation, label, gauge string, matchers ...string) query {
	return line(aggregation+" by ("+label+") ("+of(gauge, matchers...)+")", legend(label))
}

// quantile is the duration that a share of all does not exceed, by labels.
func quantile(share, labels, histogram string, matchers ...string) string {
	if labels != "" {
		labels = ", " + labels
	}
	return "histogram_quantile(" + share + ", " + rate("le"+labels, of(histogram+"_bucket", matchers...)) + ")"
}

// slowest is the 95th percentile by labels.
func slowest(labels, histogram string) query {
	return line(quantile("0.95", labels, histogram), legend(labels))
}
