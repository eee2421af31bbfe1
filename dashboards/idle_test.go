package dashboards_test

import (
	"strings"
	"testing"
)

// Red is for what a person must act on. A figure without data is red, unless it is about users alone: at night nobody
// asks, and the first screen would begin with an alarm.
func TestEmptyFiguresAreAnAlarmOnlyWhereTheyMeanOne(t *testing.T) {
	t.Parallel()
	calm := 0
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
			calm++
		}
		said, shown := p.FieldConfig.Defaults.NoValue, ""
		for _, m := range p.FieldConfig.Defaults.Mappings {
			if m.Options.Result.Text == words {
				shown = m.Options.Result.Color
			}
		}
		if said != words || shown != colour {
			t.Errorf("%s: without data it says %q in %q, want %q in %q", p.where, said, shown, words, colour)
		}
	}
	if calm != 4 {
		t.Errorf("%d figures are about users alone", calm)
	}
}

// A query that leaves zeroes out is empty when all is zero. What that means has to stand there instead of "No data".
func TestWhatLeavesZeroesOutSaysWhatNothingMeans(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, p := range panels(t) {
		for _, x := range p.Targets {
			if p.ID > 0 && strings.HasSuffix(x.Expr, " > 0") { // annotations have no id, and need none
				seen++
				if p.FieldConfig.Defaults.NoValue == "" {
					t.Errorf("%s is empty when nothing happens, and does not say so", p.where)
				}
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d queries leave zeroes out", seen)
	}
}
