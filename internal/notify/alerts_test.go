package notify

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// rule is a rule of dashboards/prometheus.
type rule struct {
	Alert, Expr, For string
	KeepFiring       string `yaml:"keep_firing_for"`
	Labels           map[string]string
	Annotations      map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	text, err := os.ReadFile("../../dashboards/prometheus/qrgate.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "" {
		return 0
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(d)
}

// template matches what differs from message to message.
var template = regexp.MustCompile(`\{\{[^}]*\}\} ?`)

func TestAlerts_MatchPrometheusRules(t *testing.T) {
	t.Parallel()
	all := rules(t)
	for _, a := range alerts() {
		if a.name == whatsAppUnreachable {
			continue
		}
		i := slices.IndexFunc(all, func(r rule) bool { return r.Alert == a.name && r.Labels["severity"] == "critical" })
		if i < 0 {
			t.Errorf("%s has no rule that pages", a.name)
			continue
		}
		r := all[i]
		if a.delay != duration(t, r.For) || a.keep != duration(t, r.KeepFiring) {
			t.Errorf("%s waits %v and keeps %v, the rule %s and %s", a.name, a.delay, a.keep, r.For, r.KeepFiring)
		}
		if words := strings.TrimPrefix(strings.TrimSuffix(a.summary, "create_connect_qr"), "The probe create_connect_qr "); !strings.Contains(r.Annotations["summary"], words) {
			t.Errorf("%s: summary %q, the rule has %q", a.name, a.summary, r.Annotations["summary"])
		}
		description := template.ReplaceAllString(r.Annotations["description"], "")
		if !strings.Contains(strings.ToLower(description), strings.ToLower(a.description)) {
			t.Errorf("%s: description %q, the rule has %q", a.name, a.description, description)
		}
	}
}

func TestAlerts_ThresholdsMatchPrometheusRules(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]string{
		"QRGateNoQRDelivered":      {"}[3m])) > 4.5", "}[3m])) == 0", "}[15m])) > 2.5"},
		"QRGateClientOutdated":     {"}[10m])) > 0"},
		"QRGateProbeStale":         {") > 2.5 * max", "[1h]) > 0", `reason="maintenance"}[15m]`},
		"QRGateProbeNotSucceeding": {") > 3 * max", "[1h]) > 0", `reason="maintenance"}[15m]`},
	} {
		all := rules(t)
		r := all[slices.IndexFunc(all, func(r rule) bool { return r.Alert == name })]
		for _, part := range parts {
			if !strings.Contains(r.Expr, part) {
				t.Errorf("the rule %s lacks %s: adapt the alert here too", name, part)
			}
		}
		if name != "QRGateNoQRDelivered" {
			continue
		}
		counted := strings.Split(regexp.MustCompile(`diagnosis=~"([^"]+)"`).FindStringSubmatch(r.Expr)[1], "|")
		for _, code := range diagnosis.Codes() {
			if slices.Contains(counted, string(code)) != affectsAllUsers(code) {
				t.Errorf("%s: the rule counts it: %t", code, !affectsAllUsers(code))
			}
		}
	}
}

// wait is the end of a user's wait.
func wait(at time.Duration, outcome session.Outcome, cause diagnosis.Code) session.Event {
	return session.Event{
		Kind: session.EventWait, At: epoch.Add(at), Traffic: session.UserTraffic, Outcome: outcome, Diagnosis: cause,
	}
}

func TestNoQR_NeedsSeveralSessionsAndNoSuccess(t *testing.T) {
	t.Parallel()
	failures := func(n int, cause diagnosis.Code) (events []session.Event) {
		for i := range n {
			events = append(events, wait(time.Duration(i)*time.Second, session.Failure, cause))
		}
		return events
	}
	connects := func(n int) (events []session.Event) {
		for i := range n {
			events = append(events, session.Event{
				Kind: session.EventState, At: epoch.Add(time.Duration(i) * time.Second), To: session.Connecting,
			})
		}
		return events
	}
	success := []session.Event{wait(time.Second, session.Success, diagnosis.None)}
	for name, x := range map[string]struct {
		events []session.Event
		after  time.Duration
		want   bool
	}{
		"outage":        {slices.Concat(connects(3), failures(5, diagnosis.QRNotEmitted)), 10 * time.Second, true},
		"few failures":  {slices.Concat(connects(3), failures(4, diagnosis.QRNotEmitted)), 10 * time.Second, false},
		"few sessions":  {slices.Concat(connects(2), failures(50, diagnosis.QRNotEmitted)), time.Minute, false},
		"one success":   {slices.Concat(connects(3), failures(5, diagnosis.QRNotEmitted), success), 10 * time.Second, false},
		"callers' part": {slices.Concat(connects(3), failures(9, diagnosis.KeyRefused)), 10 * time.Second, false},
		"not ready":     {slices.Concat(connects(3), failures(9, diagnosis.None)), 10 * time.Second, false},
		"long ago":      {slices.Concat(connects(3), failures(5, diagnosis.QRNotEmitted)), 10 * time.Minute, false},
	} {
		o := newObservations(0, epoch)
		for _, e := range x.events {
			o.observe(e)
		}
		if _, got := o.judge(epoch.Add(x.after))["QRGateNoQRDelivered"]; got != x.want {
			t.Errorf("%s: active is %t", name, got)
		}
	}
}

func TestObservations_ActivateAlerts(t *testing.T) {
	t.Parallel()
	const interval = 5 * time.Minute
	for name, x := range map[string]struct {
		do    func(o *observations)
		after time.Duration
		want  []string
	}{
		"start":          {func(*observations) {}, time.Minute, nil},
		"engine down":    {func(o *observations) { o.observeHealth(diagnosis.EngineUnreachable) }, time.Minute, []string{"QRGateEngineDown"}},
		"engine returns": {func(o *observations) { o.observeHealth(diagnosis.EngineUnreachable); o.observeHealth(diagnosis.None) }, time.Minute, nil},
		"store down":     {func(o *observations) { o.observe(session.Event{Kind: session.EventStore}) }, time.Minute, []string{"QRGateRedisDown"}},
		"outdated":       {func(o *observations) { o.observe(wait(0, session.Failure, diagnosis.ClientOutdated)) }, time.Minute, []string{"QRGateClientOutdated"}},
		"no runs":        {func(*observations) {}, 16 * time.Minute, []string{"QRGateProbeNotSucceeding", "QRGateProbeStale"}},
		"failing runs": {func(o *observations) {
			o.observeRun(diagnosis.QRNotEmitted, epoch.Add(5*time.Minute))
			o.observeRun(diagnosis.QRNotEmitted, epoch.Add(10*time.Minute))
		}, 16 * time.Minute, []string{"QRGateProbeNotSucceeding"}},
		"maintenance": {func(o *observations) { o.maintenanceAt = epoch.Add(10 * time.Minute) }, 16 * time.Minute, nil},
		"WhatsApp":    {func(o *observations) { o.whatsApp = diagnosis.NetworkBlocked }, time.Minute, []string{whatsAppUnreachable}},
	} {
		o := newObservations(interval, epoch)
		x.do(o)
		var got []string
		for name := range o.judge(epoch.Add(x.after)) {
			got = append(got, name)
		}
		if slices.Sort(got); !slices.Equal(got, x.want) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}
