package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

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
