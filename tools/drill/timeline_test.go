package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTimeline_Changes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before, now view
		want        []change
	}{
		"nothing":          {view{"A": {"firing", nil}}, view{"A": {"firing", nil}}, nil},
		"the first sign":   {nil, view{"A": {"pending", nil}}, []change{{"pending", "A", ""}}},
		"it fires":         {view{"A": {"pending", nil}}, view{"A": {"firing", nil}}, []change{{"firing", "A", ""}}},
		"it ends":          {view{"A": {"firing", nil}}, view{}, []change{{"resolved", "A", ""}}},
		"it never fired":   {view{"A": {"pending", nil}}, view{}, []change{{"passed", "A", ""}}},
		"it is silenced":   {view{"A": {"firing", nil}}, view{"A": {"firing", []string{"C", "B", "C"}}}, []change{{"silenced", "A", "by B, C"}}},
		"silent at once":   {nil, view{"A": {"firing", []string{"B"}}}, []change{{"firing", "A", ""}, {"silenced", "A", "by B"}}},
		"it is heard anew": {view{"A": {"firing", []string{"B"}}}, view{"A": {"firing", nil}}, []change{{"unsilenced", "A", ""}}},
		"in order":         {nil, view{"B": {"pending", nil}, "A": {"pending", nil}}, []change{{"pending", "A", ""}, {"pending", "B", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, changes(tt.before, tt.now), cmp.AllowUnexported(change{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestTimeline_Title(t *testing.T) {
	t.Parallel()
	for want, labels := range map[string]map[string]string{
		"A":                {"alertname": "A", "severity": "critical", "job": "qrgate"},
		"A (warning)":      {"alertname": "A", "severity": "warning"},
		"A p":              {"alertname": "A", "probe": "p"},
		"A s 1h (warning)": {"alertname": "A", "slo": "s", "long": "1h", "short": "5m", "severity": "warning"},
	} {
		if got := title(labels); got != want {
			t.Errorf("%v is called %q, not %q", labels, got, want)
		}
	}
}

// The timeline as a person reads it, in fake time.
func TestTimeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := newTimeline(&out)
		log.act("1  Night")
		time.Sleep(90*time.Second + 240*time.Millisecond)
		log.changed([]change{{"firing", "A", ""}, {"silenced", "B", "by A"}})
		log.told(message{Receiver: "pager", Alerts: []alert{
			{"firing", map[string]string{"alertname": "A"}, map[string]string{"summary": "It burns", "description": "All of it.", "runbook_url": "https://runbook.example/A"}},
			{"resolved", map[string]string{"alertname": "B"}, map[string]string{"summary": "It burnt"}},
		}})
		log.told(message{Receiver: "deadmansswitch", Alerts: []alert{{"firing", map[string]string{"alertname": "Watchdog"}, nil}}})
		ok := log.verdict([]check{{true, "one", "yes"}, {false, "two", "no"}})
		if ok {
			t.Error("a check that failed is taken for a success")
		}
		want := `
 1  Night
    1:30.2  firing     A
    1:30.2  silenced   B  by A
    1:30.2  PAGE       A: It burns
                       All of it.
                       https://runbook.example/A
    1:30.2  PAGE       resolved: B

 Checks
   ✓ one: yes
   ✗ two: no
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// An interrupted drill prints the checks that it has made.
func TestTimeline_Interrupted(t *testing.T) {
	t.Parallel()
	const head = "    0:00.0  stopped    the drill was interrupted\n\n Checks so far\n"
	for want, checks := range map[string][]check{
		"   ✓ one: yes\n   ✗ two: no\n": {{true, "one", "yes"}, {false, "two", "no"}},
		"   nothing yet\n":              nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			newTimeline(&out).interrupted(checks)
			if diff := cmp.Diff(head+want, out.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestVerdict_RequiresChecks(t *testing.T) {
	t.Parallel()
	if newTimeline(&bytes.Buffer{}).verdict(nil) {
		t.Error("a drill that checked nothing is taken for a success")
	}
	if !newTimeline(&bytes.Buffer{}).verdict([]check{{true, "one", "yes"}}) {
		t.Error("a success is taken for a failure")
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	end := time.Unix(1_700_000_000, 0)
	text := history("127.0.0.1:9", 30*time.Second, 2*time.Minute, end)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if lines[len(lines)-1] != "# EOF" {
		t.Errorf("OpenMetrics ends with # EOF, not %q", lines[len(lines)-1])
	}
	runs := regexp.MustCompile(`qrgate_probe_runs_total\{job="qrgate",instance="127\.0\.0\.1:9",probe="create_connect_qr",outcome="success",diagnosis="none"\} (\d+) (\S+)`).FindAllStringSubmatch(text, -1)
	if len(runs) != 4 || runs[0][1] != "0" || runs[3][1] != "3" || runs[3][2] != "1700000000.000" || runs[0][2] != "1699999910.000" {
		t.Errorf("in two minutes there are runs %v", runs)
	}
}
