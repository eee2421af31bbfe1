package dashboards_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// board is a dashboard as Grafana parses it, independent of the code that generates it.
type board struct {
	UID, Title, Description string
	Editable                bool
	Timezone, Refresh       string
	Panels                  []panel
	Templating              struct{ List []struct{ Name, Type string } }
	Annotations             struct{ List []struct{ Name, Expr string } }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	Targets                  []target
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct {
			Unit, NoValue string
			Links         []struct{ URL string }
			Mappings      []struct {
				Options struct{ Result struct{ Text, Color string } }
			}
		}
	}
	where string
}

type target struct {
	RefID, Expr string
	Instant     bool
	Exemplar    bool
	Datasource  struct{ UID string }
}

func boardFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(names) != 3 {
		t.Fatalf("there are the dashboards %v: %v", names, err)
	}
	return names
}

func boards(t *testing.T) []board {
	t.Helper()
	var all []board
	for _, name := range boardFiles(t) {
		var b board
		if err := json.Unmarshal(read(t, name), &b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// panels are the panels of all dashboards, without the rows.
func panels(t *testing.T) []panel {
	t.Helper()
	var all []panel
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			if p.Type != "row" {
				p.where = b.UID + ": " + p.Title
				all = append(all, p)
			}
		}
		for _, a := range b.Annotations.List {
			all = append(all, panel{where: b.UID + ": annotation " + a.Name, Type: "annotation", Targets: []target{{Expr: a.Expr}}})
		}
	}
	if len(all) < 50 {
		t.Fatalf("only %d panels were read", len(all))
	}
	return all
}

// substitute replaces Grafana's variables as Grafana does when all replicas are chosen and the scrape interval is 1 s.
func substitute(expr string) string {
	return strings.NewReplacer("$__rate_interval", "8s", "$job", ".+", "$instance", ".+", "$engine", ".+").Replace(expr)
}

// Grafana ignores unknown fields, so a misspelt setting has no effect.
func TestDashboards_HaveOnlyKnownFields(t *testing.T) {
	t.Parallel()
	plugins.RegisterDefaultPlugins()
	for _, name := range boardFiles(t) {
		text := read(t, name)
		if err := strictly(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, field := range []string{"gridPos", "unit", "legendFormat", "showLegend"} {
			if strictly(bytes.Replace(text, []byte(`"`+field+`"`), []byte(`"x`+field+`"`), 1)) == nil {
				t.Errorf("%s: a misspelt %s was not found", name, field)
			}
		}
	}
}

// strictly returns the unknown fields of a dashboard. The library does not check the defaults of a panel's fields, so they
// are parsed separately.
func strictly(text []byte) error {
	//lint:ignore SA1019 what board.encode writes
	var d dashboard.Dashboard
	var raw struct {
		Panels []struct{ FieldConfig json.RawMessage }
	}
	errs := []error{truly(d.UnmarshalJSONStrict(text)), json.Unmarshal(text, &raw)}
	for _, p := range raw.Panels {
		var f dashboard.FieldConfigSource
		errs = append(errs, truly(f.UnmarshalJSONStrict(p.FieldConfig)))
	}
	return errors.Join(errs...)
}

// truly returns nil for an error of the library that contains no errors.
func truly(err error) error {
	var list cog.BuildErrors
	if errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}

// Rules of Grafana's dashboard-linter.
func TestDashboards_HaveRequiredSettings(t *testing.T) {
	t.Parallel()
	for _, b := range boards(t) {
		if b.Editable || b.Timezone != "utc" || b.Refresh == "" || b.Description == "" || !strings.HasPrefix(b.UID, "qrgate-") {
			t.Errorf("%s is editable, not in UTC, not refreshed, or has no description", b.UID)
		}
		var names []string
		for _, v := range b.Templating.List {
			names = append(names, v.Name+" "+v.Type)
		}
		if !slices.Equal(names, []string{"datasource datasource", "traces datasource", "job query", "instance query", "engine query"}) {
			t.Errorf("%s has the variables %v", b.UID, names)
		}
		titles := map[string]bool{}
		for _, p := range b.Panels {
			if titles[p.Title] || p.Title == "" || p.ID == 0 {
				t.Errorf("%s: %q is a duplicate, or has no title or id", b.UID, p.Title)
			}
			titles[p.Title] = true
		}
	}
}

func TestPanels_HaveRequiredSettings(t *testing.T) {
	t.Parallel()
	fixed := regexp.MustCompile(`\[[0-9]+[smhd]\]`)
	for _, p := range panels(t) {
		if p.Type == "annotation" {
			continue
		}
		if !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "$datasource" || len(p.Targets) == 0 {
			t.Errorf("%s lacks a description, a unit, a data source or a query", p.where)
		}
		for _, q := range p.Targets {
			if q.RefID == "" || q.Datasource.UID != "$datasource" {
				t.Errorf("%s: a query has no name or no data source", p.where)
			}
			if p.Type != "stat" && fixed.MatchString(q.Expr) {
				t.Errorf("%s: the window of a graph must be $__rate_interval: %s", p.where, q.Expr)
			}
			for _, s := range selectors(parse(t, substitute(q.Expr))) {
				if !follows(s.String()) {
					t.Errorf("%s: %s does not use the variables job, instance and engine", p.where, s)
				}
			}
		}
	}
}

// follows reports whether a selector uses the variables, as far as its metric knows their labels.
func follows(selector string) bool {
	byJob := strings.Contains(selector, `job=~".+"`) && strings.Contains(selector, `engine=~"|.+"`)
	byInstance := strings.Contains(selector, `instance=~".+"`)
	switch {
	case strings.HasPrefix(selector, "qrgate:slo_objective"):
		return true
	case strings.HasPrefix(selector, "qrgate:"), strings.HasPrefix(selector, "ALERTS"):
		return byJob
	}
	return byJob && byInstance
}

func TestQueries_CountersAreRated(t *testing.T) {
	t.Parallel()
	counter := regexp.MustCompile(`(_total|_count|_bucket)(\{[^}]*\})?([^\[{]|$)`)
	for _, p := range panels(t) {
		for _, q := range p.Targets {
			if m := counter.FindString(q.Expr); m != "" {
				t.Errorf("%s uses a counter without rate or increase: %s", p.where, m)
			}
		}
	}
}

// The first row of the first dashboard must fit on one screen, which is about 22 units high.
func TestDeliveryDashboard_FirstRowFitsScreen(t *testing.T) {
	t.Parallel()
	for _, b := range boards(t) {
		if b.UID != "qrgate-delivery" {
			continue
		}
		rows := slices.DeleteFunc(slices.Clone(b.Panels), func(p panel) bool { return p.Type != "row" })
		if len(rows) != 5 || rows[1].GridPos.Y > 22 {
			t.Errorf("%d rows, and the second begins at %d", len(rows), rows[1].GridPos.Y)
		}
		return
	}
	t.Error("there is no qrgate-delivery")
}

func TestPanels_LinkToRunbooksAndTraces(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"qrgate-delivery: Failures by cause":    "/diagnoses.md#${__field.labels.diagnosis}",
		"qrgate-delivery: Firing alerts":        "/${__data.fields.alertname}.md",
		"qrgate-probes: Result of the last run": `"datasource":"${traces}"`,
	}
	exemplars := map[string]bool{}
	for _, p := range panels(t) {
		for _, q := range p.Targets {
			exemplars[p.where] = exemplars[p.where] || q.Exemplar
		}
		if len(p.FieldConfig.Defaults.Links) == 1 && strings.Contains(p.FieldConfig.Defaults.Links[0].URL, want[p.where]) {
			delete(want, p.where)
		}
	}
	for where := range want {
		t.Errorf("%s has no link", where)
	}
	if !exemplars["qrgate-delivery: Time to QR"] {
		t.Error("the time to a QR shows no exemplars")
	}
}

func TestRunbooks_NameExistingPanels(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"Deployments": true, "Targets": true, "Status → Runtime": true, "Linked devices": true} // an annotation; pages of Prometheus, WhatsApp
	for _, b := range boards(t) {
		known[strings.TrimPrefix(b.Title, "qrgate / ")] = true
		for _, p := range b.Panels {
			known[p.Title] = true
		}
	}
	pages, err := filepath.Glob(runbooks + "*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, m := range regexp.MustCompile(`(?:^|[^*])\*([A-Z][^*\n]*)\*(?:$|[^*])`).FindAllStringSubmatch(string(read(t, page)), -1) {
			if !known[m[1]] {
				t.Errorf("%s names %q, which is on no dashboard", filepath.Base(page), m[1])
			}
		}
	}
	uids := map[string]bool{}
	for _, b := range boards(t) {
		uids[b.UID] = true
	}
	for _, a := range alerts(t) {
		if uid := a.Annotations["dashboard_url"][strings.LastIndex(a.Annotations["dashboard_url"], "/")+1:]; !uids[uid] {
			t.Errorf("%s links to the dashboard %s", a.Alert, uid)
		}
	}
}
