package dashboards_test

import (
	"strings"
	"testing"
)

// Red means that a person must act. A figure without data is red, except one about users only: users may send no requests.
func TestFigures_NoDataIsRedExceptForUsers(t *testing.T) {
	t.Parallel()
	userFigures := 0
	for _, p := range panels(t) {
		if p.Type != "stat" {
			continue
		}
		users := true
		for _, x := range p.Targets {
			ofUsers := strings.Contains(x.Expr, `origin="user"`) || strings.Contains(x.Expr, `slo="`) && !strings.Contains(x.Expr, `slo="probe-qr"`)
			users = users && ofUsers
		}
		words, colour := "NO DATA", "red"
		if users {
			words, colour = "no requests", "blue"
			userFigures++
		}
		said, shown := p.FieldConfig.Defaults.NoValue, ""
		for _, m := range p.FieldConfig.Defaults.Mappings {
			if m.Options.Result.Text == words {
				shown = m.Options.Result.Color
			}
		}
		if said != words || shown != colour {
			t.Errorf("%s: without data it shows %q in %q, want %q in %q", p.where, said, shown, words, colour)
		}
	}
	if userFigures != 4 {
		t.Errorf("%d figures are about users only", userFigures)
	}
}

// A query that filters zeroes is empty when all values are zero. The panel must say what that means.
func TestPanels_FilteredZeroesHaveNoValueText(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, p := range panels(t) {
		for _, x := range p.Targets {
			if p.ID > 0 && strings.HasSuffix(x.Expr, " > 0") { // annotations have no id
				seen++
				if p.FieldConfig.Defaults.NoValue == "" {
					t.Errorf("%s has no text for an empty result", p.where)
				}
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d queries filter zeroes", seen)
	}
}
