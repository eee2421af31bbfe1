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

// play is the drill: an ordinary minute, one failure at night, the breakage, its end.
type play struct {
	*stage
	log      *timeline
	pace     pace
	breakage fault
	checks   []check

	now          view            // how the alerts stand
	heard        []message       // all messages so far
	silencedSeen map[string]bool // symptoms that were seen silenced
}

// check is one expectation, and what came of it.
type check struct {
	ok        bool
	want, got string
}

// slack is what a busy machine may take on top of any time that is waited for.
const slack = 15 * time.Second

func (p *play) run(ctx context.Context) error {
	p.silencedSeen = map[string]bool{}
	p.log.act(fmt.Sprintf("Set up: gate %s   engine http://%s   Prometheus %s   Alertmanager %s%s",
		p.gate.URL(), p.engine.addr, p.prometheus, p.alertmanager, map[bool]string{true: "   ten times faster than in earnest"}[p.Short]))
	users, stop := context.WithCancel(ctx)
	defer stop()
	for _, act := range []func(context.Context) error{p.ordinary, p.oneFailure} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	gone := p.use(users, p.Users)
	defer func() { stop(); <-gone }()
	told, err := p.broken(ctx)
	if err != nil {
		return err
	}
	return p.mended(ctx, told)
}

// step looks once, and prints what is new.
func (p *play) step(ctx context.Context) error {
	now, err := p.look(ctx)
	if err != nil {
		return err
	}
	p.log.changed(changes(p.now, now))
	for name, s := range now {
		p.silencedSeen[name] = p.silencedSeen[name] || len(s.silenced) > 0
	}
	p.now = now
	for _, m := range p.pager.since(len(p.heard)) {
		p.log.told(m)
		p.heard = append(p.heard, m)
	}
	return nil
}

var errTooLate = errors.New("it did not come in time")

// until watches until something holds, for a time in earnest at most; then it returns errTooLate.
func (p *play) until(ctx context.Context, longest time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.pace.of(longest)+slack, errTooLate)
	defer cancel()
	var failed error
	err := until(ctx, 200*time.Millisecond, func() bool {
		failed = p.step(ctx)
		return failed != nil || holds()
	})
	if err != nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failed
}

// ordinary waits until the probe has succeeded once: before that there is nothing to lose.
func (p *play) ordinary(ctx context.Context) error {
	p.log.act("1  An ordinary night: qrgate probes itself")
	if err := p.until(ctx, 3*p.Interval, func() bool { return p.ran(ctx, "success") > 0 }); err != nil {
		return errors.Join(errNoProbe, err)
	}
	p.log.line("probe", "gets its QR")
	return nil
}

// oneFailure lets one probe fail, and expects that nobody is woken.
func (p *play) oneFailure(ctx context.Context) error {
	p.log.act("2  One probe fails")
	fail := map[enginesim.Route]enginesim.Fault{enginesim.RouteCreate: {Kind: enginesim.HTML502}}
	p.engine.Change(func(e *enginesim.Engine) { e.Faults = fail })
	err := p.until(ctx, 3*p.Interval, func() bool { return p.ran(ctx, "failure") > 0 })
	p.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
	if err != nil {
		return err
	}
	p.log.line("probe", "fails once")
	quiet := time.Now().Add(p.pace.of(3 * time.Minute))
	if err := p.until(ctx, 4*time.Minute, func() bool { return time.Now().After(quiet) }); err != nil {
		return err
	}
	woken := firedAlerts(p.heard, "pager")
	p.expect(len(woken) == 0, "one failure at night wakes nobody", orNobody(woken))
	return nil
}

// broken breaks it, and expects that the right ones are told in time, and no symptom beside the cause. It returns what was told.
func (p *play) broken(ctx context.Context) ([]string, error) {
	b := p.breakage
	if err := p.warm(ctx); err != nil {
		return nil, err
	}
	p.log.act("3  " + b.says)
	before, began := len(p.heard), time.Now()
	if err := b.breaks(ctx, p.stage); err != nil {
		return nil, err
	}
	p.log.line("broken", b.says)
	right := func() bool { return slices.ContainsFunc(firedAlerts(p.heard[before:], b.told), b.about) }
	err := p.until(ctx, b.within, right)
	took := time.Since(began)
	if err != nil && !errors.Is(err, errTooLate) {
		return nil, err
	}
	list := firedAlerts(p.heard[before:], b.told)
	p.expect(err == nil, fmt.Sprintf("the %s is told within %s", b.told, b.within),
		fmt.Sprintf("%s after %.0f s%s", orNobody(list), took.Seconds(), p.inEarnest(took)))
	if err := p.because(ctx, before); err != nil {
		return nil, err
	}
	if len(b.silences) > 0 && slices.ContainsFunc(list, func(a string) bool { return b.cause(a) }) {
		if err := p.silenced(ctx, before); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// warm lets users get their QRs before anything breaks, which it then does between two probes: one under way
// would see more of the breakage than a night without anybody does.
func (p *play) warm(ctx context.Context) error {
	end := time.Now().Add(p.pace.of(30 * time.Second))
	ran := p.ran(ctx, "success")
	return p.until(ctx, 3*p.Interval, func() bool {
		now := p.ran(ctx, "success")
		if now > ran {
			ran, end = now, later(end, time.Now().Add(p.pace.of(p.Interval/3)))
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

// because expects that the message names the cause, or that the metrics do, to which it leads.
func (p *play) because(ctx context.Context, before int) error {
	var cause string
	var failed error
	err := p.until(ctx, 2*time.Minute, func() bool {
		cause, failed = p.stage.cause(ctx)
		return failed != nil || cause == string(p.breakage.names)
	})
	if err = errors.Join(failed, err); err != nil && !errors.Is(err, errTooLate) {
		return err
	}
	p.log.line("cause", "most failures are "+cause)
	said := said(p.heard[before:], p.breakage.told, string(p.breakage.names))
	where := "the dashboards alone"
	if said {
		where = "the message itself"
	}
	if p.exact() {
		p.expect(said, "the cause is "+string(p.breakage.names), cause+", named by "+where)
	}
	return nil
}

// exact reports whether the cause can be known: at the short pace a probe has 2.4 s, and some causes take longer to tell.
func (p *play) exact() bool {
	return !p.Short || p.breakage.told == "pager" && p.breakage.within <= 4*time.Minute
}

// silenced expects that a symptom comes to fire and is told to nobody.
func (p *play) silenced(ctx context.Context, before int) error {
	var mute []string
	err := p.until(ctx, 5*time.Minute, func() bool {
		mute = mute[:0]
		for name, silent := range p.silencedSeen {
			if silent && p.breakage.symptom(name) {
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
	for _, a := range firedAlerts(p.heard[before:], p.breakage.told) {
		if p.breakage.symptom(a) {
			loud = append(loud, a)
		}
	}
	p.expect(len(mute) > 0 && len(loud) == 0, "its symptoms are silenced", fmt.Sprintf("silenced %s; told beside the cause: %s", orNobody(mute), orNobody(loud)))
	return nil
}

// mended repairs it, and expects that all who were told are told that it is over.
func (p *play) mended(ctx context.Context, list []string) error {
	b := p.breakage
	p.log.act("4  " + b.mended)
	if err := b.repair(ctx, p.stage); err != nil {
		return err
	}
	p.log.line("mended", b.mended)
	before := len(p.heard)
	over := func() []string { return still(open(p.heard), b.told, list) }
	err := p.until(ctx, 20*time.Minute, func() bool { return len(list) > 0 && len(over()) == 0 })
	if err != nil && !errors.Is(err, errTooLate) {
		return err
	}
	p.expect(err == nil && len(list) > 0, "those who were told are told that it is over", map[bool]string{true: "of all of it", false: "not of " + orNobody(over())}[err == nil])
	if late := firedAlerts(p.heard[before:], "pager"); len(late) > 0 {
		p.log.line("note", "people were woken after the repair, for "+strings.Join(late, ", "))
	}
	return nil
}

func (p *play) expect(ok bool, want, got string) {
	p.checks = append(p.checks, check{ok, want, got})
}

func (p *play) inEarnest(d time.Duration) string {
	if p.pace == 1 {
		return ""
	}
	return fmt.Sprintf(", which is %s in earnest", p.pace.realTime(d).Round(time.Second))
}

// ran is how many runs of the deep probe ended so, as qrgate itself counts.
func (p *play) ran(ctx context.Context, outcome string) (n float64) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.gate.AdminURL()+"/metrics", nil)
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
