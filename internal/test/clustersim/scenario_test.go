package clustersim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"qrgate/internal/test/enginesim"
)

// faultKind is what goes wrong for a while.
type faultKind string

// The faults. A fault of the store or of the path to the engine may concern one replica only.
const (
	storeDown      faultKind = "store down"       // every operation fails at once
	storeHangs     faultKind = "store hangs"      // every operation fails after its timeout
	storeReadOnly  faultKind = "store read-only"  // writes fail
	storeLosesAcks faultKind = "store loses acks" // writes are applied, and fail for the writer
	storeSlow      faultKind = "store slow"       // operations take nearly as long as their timeout
	storeRestarts  faultKind = "store restarts"   // down, then empty
	storeFailsOver faultKind = "store fails over" // down, then a copy without the last writes
	eventsLost     faultKind = "events lost"      // writes are not announced
	replicaKilled  faultKind = "replica killed"   // at once, with all that it knows; a new one starts at the end
	replicaStops   faultKind = "replica stops"    // in order; a new one starts at the end
	engineDown     faultKind = "engine down"      // refuses connections, and has lost its sockets afterwards
	engineRestarts faultKind = "engine restarts"  // too quickly for any call to meet it
	engineSlow     faultKind = "engine slow"      // every response takes seconds
	engineFlaps    faultKind = "engine flaps"     // three of four connections are refused
	postsLost      faultKind = "responses lost"   // the engine handles requests that change something; the responses are lost
	engineUnlinked faultKind = "path cut"         // one replica cannot reach the engine
)

// kinds are the faults that a seed draws from.
var kinds = []faultKind{
	storeDown, storeHangs, storeReadOnly, storeLosesAcks, storeSlow, storeRestarts, storeFailsOver, eventsLost,
	replicaKilled, replicaStops, engineDown, engineRestarts, engineSlow, engineFlaps, postsLost, engineUnlinked,
}

// fault is one fault from a time to a time after the start.
type fault struct {
	kind        faultKind
	from, until time.Duration
	replica     int // that it concerns; -1: all
}

func (f fault) String() string {
	where := ""
	if f.replica >= 0 {
		where = fmt.Sprintf(" at replica %d", f.replica)
	}
	return fmt.Sprintf("%s%s from %.1f s to %.1f s", f.kind, where, f.from.Seconds(), f.until.Seconds())
}

// afterwards is what a client does when it has its code.
type afterwards string

const (
	leaves   afterwards = "leaves"
	rereads  afterwards = "reads on"      // requests the code again and again
	polls    afterwards = "polls status"  // requests the state again and again
	streams  afterwards = "streams"       // follows the changes
	scans    afterwards = "scans"         // a phone scans the code, then the client asks again
	deletes  afterwards = "deletes"       // deletes the session, then asks again
	recreate afterwards = "creates again" // deletes the session and makes one of the same name
)

// flow is one client and its session.
type flow struct {
	key, name string
	startsAt  time.Duration
	then      afterwards
}

// scenario is all that a seed decides. Whatever happens later is decided by [draw], which depends on the seed too.
type scenario struct {
	seed     uint64
	replicas int
	faults   []fault
	flows    []flow
	skew     []time.Duration // of the replicas' clocks
	engine   *enginesim.Engine
	healedAt time.Duration // when the last fault ends
	within   time.Duration // in which 19 of 20 flows must have their code, whatever happens; 0: see patience
}

// newScenario draws a scenario.
func newScenario(seed uint64) *scenario {
	r := rand.New(rand.NewPCG(seed, 13))
	s := &scenario{seed: seed, replicas: 1 + r.IntN(3)}
	s.drawEngine(r)
	s.drawFlows(r)
	for range []int{0, 1, 1, 1, 1, 1, 2, 2, 2, 3}[r.IntN(10)] {
		s.drawFault(r)
	}
	for range s.replicas {
		skew := time.Duration(0)
		if r.IntN(3) == 0 {
			skew = time.Duration(r.IntN(60_000)-30_000) * time.Millisecond
		}
		s.skew = append(s.skew, skew)
	}
	if n := seed % 30; n < 3 {
		s.direct(rand.New(rand.NewPCG(seed, 17)), []func(*rand.Rand){s.silentTenants, s.quickRestart, s.storeAway}[n])
	}
	return s
}

// direct replaces flows and faults by those of a loss that was seen in operation.
func (s *scenario) direct(r *rand.Rand, loss func(*rand.Rand)) {
	s.flows, s.faults, s.healedAt = nil, nil, 0
	s.engine = &enginesim.Engine{
		QRDelay: time.Duration(2000+r.IntN(2000)) * time.Millisecond,
		Latency: time.Duration(5+r.IntN(50)) * time.Millisecond,
	}
	loss(r)
}

func (s *scenario) addFlow(tenant, number int, startsAt time.Duration) {
	s.flows = append(s.flows, flow{key: fmt.Sprintf("key-%c-0123456789abcdef", 'a'+tenant),
		name: fmt.Sprintf("crm-%d", number), startsAt: startsAt, then: leaves})
}

// silentTenants: sessions of others that get no code must not keep a session from its recovery.
func (s *scenario) silentTenants(r *rand.Rand) {
	s.engine.StuckUntilReconnect, s.engine.Limits = true, enginesim.RecordedLimits()
	s.addFlow(0, 1, time.Duration(500+r.IntN(3000))*time.Millisecond)
	for tenant := 1; tenant <= 2; tenant++ {
		for n := range 3 {
			s.addFlow(tenant, n+1, time.Duration((tenant-1)*(20_000+r.IntN(5000))+r.IntN(500))*time.Millisecond)
		}
		s.engine.Silent = append(s.engine.Silent, s.flows[len(s.flows)-1].key)
	}
}

// quickRestart: the engine loses the sessions of all who wait, and no call meets the moment at which it is away.
func (s *scenario) quickRestart(r *rand.Rand) {
	s.replicas, s.within = 1, 45*time.Second
	for n := range 4 {
		s.addFlow(0, n+1, time.Duration(1000+r.IntN(300))*time.Millisecond)
	}
	at := 2*time.Second + time.Duration(r.IntN(1000))*time.Millisecond
	s.faults = []fault{{kind: engineRestarts, from: at, until: at, replica: -1}}
	s.healedAt = at
}

// storeAway: replicas without their store share a rate limit of which the clients need a part.
func (s *scenario) storeAway(r *rand.Rand) {
	s.replicas, s.within = 2+r.IntN(2), 46*time.Second
	s.skew = make([]time.Duration, s.replicas)
	s.engine.Limits = enginesim.RecordedLimits()
	for tenant := range 5 {
		for n := range 4 {
			s.addFlow(tenant, n+1, time.Duration(6000+r.IntN(10_000))*time.Millisecond)
		}
	}
	s.faults = []fault{{kind: storeDown, from: 5 * time.Second, until: 60 * time.Second, replica: -1}}
	s.healedAt = 60 * time.Second
}

func (s *scenario) drawEngine(r *rand.Rand) {
	s.engine = &enginesim.Engine{
		QRDelay:        time.Duration(300+r.IntN(5000)) * time.Millisecond,
		Latency:        time.Duration(5+r.IntN(100)) * time.Millisecond,
		ConnectLatency: time.Duration(r.IntN(200)) * time.Millisecond,
		Limits:         enginesim.RecordedLimits(),
		ClockSkew:      time.Duration(r.IntN(3)) * time.Duration(r.IntN(120)-60) * time.Second,
		FirstID:        int64(1 + r.IntN(100)),
		ListHidesQR:    r.IntN(8) == 0,
		CreateShape:    enginesim.CreateShape(r.IntN(3)),
	}
	switch r.IntN(4) {
	case 0:
		s.engine.Rotation = enginesim.WhatsAppRotation()
	case 1:
		s.engine.Rotation = slices.Repeat([]time.Duration{20 * time.Second}, 8)
	}
	switch r.IntN(10) {
	case 0:
		s.engine.ConnectFailures = 1
	case 1:
		s.engine.StuckUntilReconnect = true
	case 2:
		s.engine.NotYet = 404
	case 3:
		s.engine.NotYet, s.engine.NotYetNull = 200, true
	}
}

func (s *scenario) drawFlows(r *rand.Rand) {
	tenants := 1 + r.IntN(3)
	for tenant := range tenants {
		for n := range 1 + r.IntN(4) {
			s.flows = append(s.flows, flow{
				key:  fmt.Sprintf("key-%c-0123456789abcdef", 'a'+tenant),
				name: fmt.Sprintf("crm-%d", n+1), // the same names for all keys
				then: []afterwards{
					leaves, leaves, rereads, rereads, polls, streams, scans, deletes, recreate,
				}[r.IntN(9)],
				startsAt: time.Duration(r.IntN(10_000)) * time.Millisecond,
			})
		}
	}
}

func (s *scenario) drawFault(r *rand.Rand) {
	f := fault{kind: kinds[r.IntN(len(kinds))], replica: -1}
	f.from = time.Duration(1000+r.IntN(14_000)) * time.Millisecond
	f.until = f.from + time.Duration(200+r.IntN(9_000))*time.Millisecond
	switch f.kind {
	case storeDown, storeHangs, storeReadOnly, storeLosesAcks, storeSlow, eventsLost:
		if r.IntN(2) == 0 {
			f.replica = r.IntN(s.replicas)
		}
		if r.IntN(3) == 0 {
			f.until += 20 * time.Second
		}
	case replicaKilled, replicaStops, engineUnlinked:
		f.replica = r.IntN(s.replicas)
	case engineRestarts:
		f.until = f.from
	}
	// A replica is stopped once at a time.
	for _, other := range s.faults {
		isStop := f.kind == replicaKilled || f.kind == replicaStops
		if isStop && (other.kind == replicaKilled || other.kind == replicaStops) || f.kind == other.kind {
			return
		}
	}
	s.faults = append(s.faults, f)
	s.healedAt = max(s.healedAt, f.until)
}

func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d replicas, %d flows, clocks %v", s.seed, s.replicas, len(s.flows), s.skew)
	fmt.Fprintf(&b, "\nengine: code after %v, latency %v, connect %v, rotation %v, clock %v, NotYet %d, connect failures %d",
		s.engine.QRDelay, s.engine.Latency, s.engine.ConnectLatency, s.engine.Rotation, s.engine.ClockSkew,
		s.engine.NotYet, s.engine.ConnectFailures)
	fmt.Fprintf(&b, ", stuck %t, list hides %t", s.engine.StuckUntilReconnect, s.engine.ListHidesQR)
	for _, f := range s.faults {
		fmt.Fprintf(&b, "\n%v", f)
	}
	for _, f := range s.flows {
		fmt.Fprintf(&b, "\n%s %s from %.1f s, then %s", f.key, f.name, f.startsAt.Seconds(), f.then)
	}
	return b.String()
}

// draw returns a number below n that depends on the seed, on what it is for, and on how often that has happened, and
// not on the order in which goroutines ask for numbers.
func (s *scenario) draw(n int, what string, nth int) int {
	h := s.seed*0x9e3779b97f4a7c15 + uint64(nth)
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * 0x100000001b3
	}
	return rand.New(rand.NewPCG(h, uint64(nth))).IntN(n)
}
