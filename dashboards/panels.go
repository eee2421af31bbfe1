package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// text is what a panel says of itself: its title, what it means to its reader, and the unit.
type text struct{ title, means, unit string }

// Widths, of 24.
const (
	sixth   = 4
	quarter = 6
	third   = 8
	half    = 12
	whole   = 24
)

// step is a colour that begins at a value; the first one begins at the bottom. Red is for "a person acts".
type step struct {
	colour string
	from   float64
}

func steps(all ...step) *dashboard.ThresholdsConfigBuilder {
	var out []dashboard.Threshold
	for i, s := range all {
		t := dashboard.Threshold{Color: s.colour}
		if i > 0 {
			t.Value = cog.ToPtr(s.from)
		}
		out = append(out, t)
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(out)
}

// plain has no opinion.
func plain() *dashboard.ThresholdsConfigBuilder { return steps(step{"blue", 0}) }

// figure is a number of the moment, large, and red if it says nothing.
func figure(t text, width uint32, expr string, colours *dashboard.ThresholdsConfigBuilder) *stat.PanelBuilder {
	return stat.NewPanelBuilder().Title(t.title).Description(t.means).Unit(t.unit).Datasource(metrics()).
		Span(width).Height(4).NoValue("NO DATA").Thresholds(colours).Mappings([]dashboard.ValueMapping{nothing()}).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).Orientation(common.VizOrientationAuto).
		ColorMode(common.BigValueColorModeBackground).GraphMode(common.BigValueGraphModeArea).WithTarget(line(expr, "__auto"))
}

// nothing is red too: an empty panel must not look like a good one.
func nothing() dashboard.ValueMapping { return empty("NO DATA", "red") }

// empty is how a value that is none looks.
func empty(words, colour string) dashboard.ValueMapping {
	return dashboard.ValueMapping{SpecialValueMap: &dashboard.SpecialValueMap{Type: dashboard.MappingTypeSpecialValue,
		Options: dashboard.DashboardSpecialValueMapOptions{Match: dashboard.SpecialValueMatchNullAndNan,
			Result: dashboard.ValueMappingResult{Text: cog.ToPtr(words), Color: cog.ToPtr(colour)}}}}
}

// ofUsers is a figure without a value while there are no requests. That is no alarm: the panels beside it show whether qrgate is
// monitored.
func ofUsers(p *stat.PanelBuilder) *stat.PanelBuilder {
	return p.NoValue("no requests").Mappings([]dashboard.ValueMapping{empty("no requests", "blue")})
}

// graph over time.
func graph(t text, width uint32, lines ...*prometheus.DataqueryBuilder) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().Title(t.title).Description(t.means).Unit(t.unit).Datasource(metrics()).
		Span(width).Height(8).Min(0).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassicByName)). // a cause keeps its colour
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).
			ShowLegend(true).Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for _, l := range lines {
		p.WithTarget(l)
	}
	return p
}

// stacked is a graph whose lines add up.
func stacked(t text, width uint32, lines ...*prometheus.DataqueryBuilder) *timeseries.PanelBuilder {
	return graph(t, width, lines...).FillOpacity(60).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
}

// heat is how a histogram's times are spread.
func heat(t text, width uint32, histogram string) *heatmap.PanelBuilder {
	return heatmap.NewPanelBuilder().Title(t.title).Description(t.means).Unit(t.unit).Datasource(metrics()).Span(width).Height(8).
		WithTarget(line(increase("le", of(histogram+"_bucket"), "$__rate_interval"), "{{le}}").Format(prometheus.PromQueryFormatHeatmap))
}

// strip shows which of two states somebody was in, over time: 0 is the bad one.
func strip(t text, width uint32, l *prometheus.DataqueryBuilder, words [2]string) *statetimeline.PanelBuilder {
	return statetimeline.NewPanelBuilder().Title(t.title).Description(t.means).Unit(t.unit).Datasource(metrics()).Span(width).Height(8).
		Thresholds(steps(step{"red", 0}, step{"green", 1})).Mappings(worded(words)).MergeValues(true).
		ShowValue(common.VisibilityModeNever).WithTarget(l)
}

// worded says 0 and 1 in words.
func worded(words [2]string) []dashboard.ValueMapping {
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: map[string]dashboard.ValueMappingResult{
		"0": {Text: cog.ToPtr(words[0]), Color: cog.ToPtr("red")}, "1": {Text: cog.ToPtr(words[1]), Color: cog.ToPtr("green")},
	}}}}
}

// rows of the moment.
func rows(t text, width uint32, expr string) *table.PanelBuilder {
	return table.NewPanelBuilder().Title(t.title).Description(t.means).Unit(t.unit).Datasource(metrics()).Span(width).Height(8).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{"Time": true}}}).
		WithTarget(now(expr))
}

// selectors are the replicas that the reader of a dashboard chose.
const selectors = `job=~"$job",instance=~"$instance"`

// ofJob chooses among recordings, which know no instance.
const ofJob = `job=~"$job"`

func metrics() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("$datasource")}
}

// of is a metric of the chosen replicas, with more matchers as they are written in PromQL.
func of(metric string, more ...string) string {
	text := metric + "{" + selectors
	for _, m := range more {
		text += "," + m
	}
	return text + "}"
}

// rate is events per second, summed by labels; none sums all.
func rate(by, series string) string { return summed("rate", by, series, "$__rate_interval") }

// increase is events within a window of its own, summed by labels.
func increase(by, series, window string) string { return summed("increase", by, series, window) }

func summed(function, by, series, window string) string {
	if by != "" {
		by = "by (" + by + ") "
	}
	return "sum " + by + "(" + function + "(" + series + "[" + window + "]))"
}

// quantile is the time that a share of all did not exceed, by labels.
func quantile(share, by, histogram string, more ...string) string {
	if by != "" {
		by = ", " + by
	}
	return "histogram_quantile(" + share + ", " + rate("le"+by, of(histogram+"_bucket", more...)) + ")"
}

// line is one query of a graph.
func line(expr, legend string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(metrics()).Expr(expr).LegendFormat(legend).Range()
}

// now is one query for the newest value only, as rows of a table.
func now(expr string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(metrics()).Expr(expr).Instant().Format(prometheus.PromQueryFormatTable)
}
