package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// scenario is the drill: normal operation, one failed probe, the fault, its end.
type scenario struct {
	*environment
	log       *timeline
	timeScale timeScale
	fault     fault
	checks    []check

	now          view            // the current alerts
	messages     []message       // all notifications so far
	silencedSeen map[string]bool // symptoms that were silenced
}

// check is an expectation and its result.
type check struct {
	ok        bool
	want, got string
}

// slack is added to every timeout, for a busy machine.
const slack = 15 * time.Second

func (s *scenario) run(ctx context.Context) error {
	s.silencedSeen = map[string]bool{}
	s.log.act(fmt.Sprintf("Set up: qrgate %s   engine http://%s   Prometheus %s   Alertmanager %s%s",
		s.gate.URL(), s.engine.addr, s.prometheus, s.alertmanager, map[bool]string{true: "   ten times faster than real time"}[s.Short]))
	users, stop := context.WithCancel(ctx)
	defer stop()
	for _, act := range []func(context.Context) error{s.ordinary, s.oneFailure} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	gone := s.use(users, s.Users)
	defer func() { stop(); <-gone }()
	told, err := s.broken(ctx)
	if err != nil {
		return err
	}
	return s.repaired(ctx, told)
}

// step requests the alerts once and prints the changes.
func (s *scenario) step(ctx context.Context) error {
	now, err := s.look(ctx)
	if err != nil {
		return err
	}
	s.log.changed(changes(s.now, now))
	for name, alert := range now {
		s.silencedSeen[name] = s.silencedSeen[name] || len(alert.silenced) > 0
	}
	s.now = now
	for _, m := range s.pager.since(len(s.messages)) {
		s.log.told(m)
		s.messages = append(s.messages, m)
	}
	return nil
}

var errTooLate = errors.New("timed out")

// until watches until a condition holds, for a real duration at most; then it returns errTooLate.
func (s *scenario) until(ctx context.Context, longest time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeScale.of(longest)+slack, errTooLate)
	defer cancel()
	var failed error
	err := until(ctx, 200*time.Millisecond, func() bool {
		failed = s.step(ctx)
		return failed != nil || holds()
	})
	if err != nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failed
}

// ordinary waits until the probe has succeeded once.
func (s *scenario) ordinary(ctx context.Context) error {
	s.log.act("1  Normal operation: qrgate runs its probe")
	if err := s.until(ctx, 3*s.Interval, func() bool { return s.ran(ctx, "success") > 0 }); err != nil {
		return errors.Join(errNoProbe, err)
	}
	s.log.line("probe", "gets its QR")
	return nil
}

// oneFailure makes one probe fail, and expects no page.
func (s *scenario) oneFailure(ctx context.Context) error {
	s.log.act("2  One probe fails")
	fail := map[enginesim.Route]enginesim.Fault{enginesim.RouteCreate: {Kind: enginesim.HTML502}}
	s.engine.Change(func(e *enginesim.Engine) { e.Faults = fail })
	err := s.until(ctx, 3*s.Interval, func() bool { return s.ran(ctx, "failure") > 0 })
	s.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
	if err != nil {
		return err
	}
	s.log.line("probe", "fails once")
	quiet := time.Now().Add(s.timeScale.of(3 * time.Minute))
	if err := s.until(ctx, 4*time.Minute, func() bool { return time.Now().After(quiet) }); err != nil {
		return err
	}
	woken := firedAlerts(s.messages, "pager")
	s.expect(len(woken) == 0, "one failed probe pages no one", orNone(woken))
	return nil
}

// broken injects the fault, and expects its alert in time, and no symptom beside the cause. It returns the sent alerts.
func (s *scenario) broken(ctx context.Context) ([]string, error) {
	b := s.fault
	if err := s.warm(ctx); err != nil {
		return nil, err
	}
	s.log.act("3  " + b.says)
	before, began := len(s.messages), time.Now()
	if err := b.breaks(ctx, s.environment); err != nil {
		return nil, err
	}
	s.log.line("broken", b.says)
	right := func() bool { return slices.ContainsFunc(firedAlerts(s.messages[before:], b.told), b.about) }
	err := s.until(ctx, b.within, right)
	took := time.Since(began)
	if err != nil && !errors.Is(err, errTooLate) {
		return nil, err
	}
	list := firedAlerts(s.messages[before:], b.told)
	s.expect(err == nil, fmt.Sprintf("the %s gets the alert within %s", b.told, b.within),
		fmt.Sprintf("%s after %.0f s%s", orNone(list), took.Seconds(), s.asRealTime(took)))
	if err := s.because(ctx, before); err != nil {
		return nil, err
	}
	if len(b.silences) > 0 && slices.ContainsFunc(list, func(a string) bool { return b.cause(a) }) {
		if err := s.silenced(ctx, before); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// warm lets users get their QRs before the fault, which then starts between two probes: a running probe would detect
// it earlier than in a night without users.
func (s *scenario) warm(ctx context.Context) error {
	end := time.Now().Add(s.timeScale.of(30 * time.Second))
	ran := s.ran(ctx, "success")
	return s.until(ctx, 3*s.Interval, func() bool {
		now := s.ran(ctx, "success")
		if now > ran {
			ran, end = now, later(end, time.Now().Add(s.timeScale.of(s.Interval/3)))
		}
		return time.Now().After(end)
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// because expects that the notification or the metrics name the cause.
func (s *scenario) because(ctx context.Context, before int) error {
	var cause string
	var failed error
	err := s.until(ctx, 2*time.Minute, func() bool {
		cause, failed = s.environment.cause(ctx)
		return failed != nil || cause == string(s.fault.names)
	})
	if err = errors.Join(failed, err); err != nil && !errors.Is(err, errTooLate) {
		return err
	}
	s.log.line("cause", "most failures are "+cause)
	said := said(s.messages[before:], s.fault.told, string(s.fault.names))
	where := "only the dashboards"
	if said {
		where = "the notification"
	}
	if s.exact() {
		s.expect(said, "the cause is "+string(s.fault.names), cause+", named by "+where)
	}
	return nil
}

// exact reports whether qrgate can know the cause: with --short a probe has 2.4 s, and some causes take longer.
func (s *scenario) exact() bool {
	return !s.Short || s.fault.told == "pager" && s.fault.within <= 4*time.Minute
}

// silenced expects that a symptom fires and is not sent.
func (s *scenario) silenced(ctx context.Context, before int) error {
	var mute []string
	err := s.until(ctx, 5*time.Minute, func() bool {
		mute = mute[:0]
		for name, silent := range s.silencedSeen {
			if silent && s.fault.symptom(name) {
				mute = append(mute, name)
			}
		}
		slices.Sort(mute)
		return len(mute) > 0
	})
	if err != nil && !errors.Is(err, errTooLate) {
		return err
	}
	var loud []string
	for _, a := range firedAlerts(s.messages[before:], s.fault.told) {
		if s.fault.symptom(a) {
			loud = append(loud, a)
		}
	}
	s.expect(len(mute) > 0 && len(loud) == 0, "its symptoms are silenced", fmt.Sprintf("silenced %s; sent beside the cause: %s", orNone(mute), orNone(loud)))
	return nil
}

// repaired ends the fault, and expects resolved notifications for all sent alerts.
func (s *scenario) repaired(ctx context.Context, list []string) error {
	b := s.fault
	s.log.act("4  " + b.repaired)
	if err := b.repair(ctx, s.environment); err != nil {
		return err
	}
	s.log.line("repaired", b.repaired)
	before := len(s.messages)
	over := func() []string { return still(open(s.messages), b.told, list) }
	err := s.until(ctx, 20*time.Minute, func() bool { return len(list) > 0 && len(over()) == 0 })
	if err != nil && !errors.Is(err, errTooLate) {
		return err
	}
	s.expect(err == nil && len(list) > 0, "every sent alert is sent as resolved", map[bool]string{true: "all", false: "not " + orNone(over())}[err == nil])
	if late := firedAlerts(s.messages[before:], "pager"); len(late) > 0 {
		s.log.line("note", "pages after the repair: "+strings.Join(late, ", "))
	}
	return nil
}

func (s *scenario) expect(ok bool, want, got string) {
	s.checks = append(s.checks, check{ok, want, got})
}

func (s *scenario) asRealTime(d time.Duration) string {
	if s.timeScale == 1 {
		return ""
	}
	return fmt.Sprintf(", which is %s in real time", s.timeScale.realTime(d).Round(time.Second))
}

// ran returns the number of probe runs with an outcome, from qrgate's metrics.
func (s *scenario) ran(ctx context.Context, outcome string) (n float64) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.gate.AdminURL()+"/metrics", nil)
	if err != nil {
		return 0
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		if strings.HasPrefix(name, "qrgate_probe_runs_total{") && strings.Contains(name, `probe="`+probes.CreateConnectQR+`"`) && strings.Contains(name, `outcome="`+outcome+`"`) {
			v, _ := strconv.ParseFloat(value, 64)
			n += v
		}
	}
	return n
}
