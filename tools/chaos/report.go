package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is the result of one case.
type row struct {
	Name             string
	Replicas, PerKey int
	Flows, Created   int
	WithQR, FirstTry int
	Took             []time.Duration // from connect to QR, sorted
	Polls            int             // engine calls of the gateways' own
	Calls            int             // all engine calls but those of clients whose session could not be created
	LimitedPolls     int             // 429 to the gateways
	LimitedClients   int             // 429 to clients
	Duplicates       int
	WrongTenant      int
	Expired          int
	ForeignHits      int
	Unexpected       int
	Healed           time.Duration // after the last flow; negative: not within a time
}

func count(name string, replicas, perKey int, c *clients) row {
	r := row{
		Name: name, Replicas: replicas, PerKey: perKey, LimitedClients: c.limited,
		Duplicates: c.engine.duplicates, WrongTenant: c.wrongTenant, Expired: c.expired, ForeignHits: c.foreignHits,
		Unexpected: c.unexpected,
	}
	created := map[string]bool{}
	for _, f := range c.flows {
		if f.key != "" {
			r.Flows++
		}
		if f.created {
			r.Created++
			created[f.key+"."+f.name] = true
		}
		if f.hasQR {
			r.WithQR++
			r.Took = append(r.Took, f.took)
			if f.tries == 1 {
				r.FirstTry++
			}
		}
	}
	slices.Sort(r.Took)
	if c.printsLost {
		c.printLost()
	}
	for _, call := range c.engine.Calls() {
		if call.Account == foreignKey {
			continue
		}
		id := call.Header.Get("X-Request-Id")
		isOwn := id == ""
		if end := strings.LastIndexByte(id, '.'); end < 0 || created[id[:end]] {
			r.Calls++
		}
		if isOwn {
			r.Polls++
		}
		if isOwn && call.Status == http.StatusTooManyRequests {
			r.LimitedPolls++
		}
	}
	return r
}

// printLost prints the requests of each flow without a QR, and all engine calls with its key.
func (c *clients) printLost() {
	for _, f := range c.flows {
		if !f.created || f.hasQR && !f.isLimited {
			continue
		}
		fmt.Printf("%s %s has no QR, or was limited:\n  %s\n", f.key, f.name, strings.Join(f.trail, "\n  "))
		for _, call := range c.engine.Calls() {
			if call.Account == f.key {
				fmt.Printf("    %6.2f s  %s %s: %d %s\n", call.At.Sub(c.start).Seconds(), call.Method, call.Path, call.Status,
					call.Header.Get("X-Request-Id"))
			}
		}
	}
}

func (r row) quantile(q float64) float64 {
	if len(r.Took) == 0 {
		return 0
	}
	return r.Took[int(q*float64(len(r.Took)-1))].Seconds()
}

// String is one line for the terminal.
func (r row) String() string {
	return fmt.Sprintf("%-42s n=%d s=%d  QR %d/%d first %d  %.1f/%.1f/%.1f s  polls %.2f calls %.2f  429 %d/%d"+
		"  dup %d wrong %d expired %d foreign %d unexpected %d  healed %s",
		r.Name, r.Replicas, r.PerKey, r.WithQR, r.Created, r.FirstTry, r.quantile(0.5), r.quantile(0.95), r.quantile(1),
		per(r.Polls, r.Created), per(r.Calls, r.Created), r.LimitedPolls, r.LimitedClients,
		r.Duplicates, r.WrongTenant, r.Expired, r.ForeignHits, r.Unexpected, r.healed())
}

// healed is how long the replicas took to use Redis again; "-" if they do not.
func (r row) healed() string {
	if r.Healed < 0 {
		return "-"
	}
	return r.Healed.String()
}

func per(n, of int) float64 { return float64(n) / float64(max(1, of)) }

// healTimeout is how long a case waits for the replicas to use Redis again.
const healTimeout = 12 * time.Second

// awaitHealed returns how long after the last flow every replica uses its Redis again; -1 if none does.
func (k *cluster) awaitHealed(ctx context.Context) time.Duration {
	began := time.Now()
	for time.Since(began) < healTimeout {
		if k.isHealed() {
			return time.Since(began).Round(100 * time.Millisecond)
		}
		sleep(ctx, 100*time.Millisecond)
	}
	return -1
}

// oneRequestPerConnection is the transport of clients in Python, which open a connection for each request.
func oneRequestPerConnection() http.RoundTripper {
	return &http.Transport{DisableKeepAlives: true}
}

// report is the text of docs/RELIABILITY.md.
func report(rows []row, o *options) string {
	var b strings.Builder
	fmt.Fprintf(&b, reportHead, o.Parallel, chosenFlags(rows), o.Flows, o.Over, machine())
	total, runs := row{}, 0
	var below []string
	for _, r := range rows {
		if r.Replicas > 0 {
			if runs++; r.WithQR*100 < r.Created*99 || r.LimitedClients > 0 {
				below = append(below, fmt.Sprintf("%s (%d replicas, %d sessions per key)", r.Name, r.Replicas, r.PerKey))
			}
			total.Flows += r.Flows
			total.WrongTenant += r.WrongTenant
			total.Expired += r.Expired
			total.Duplicates += r.Duplicates
			total.ForeignHits += r.ForeignHits
			total.Unexpected += r.Unexpected
		}
	}
	fmt.Fprintf(&b, reportTotals, runs, total.Flows, total.WrongTenant, total.ForeignHits, total.Expired,
		total.Duplicates, total.Unexpected)
	if len(below) > 0 {
		fmt.Fprintf(&b, "\nLess than 99 %% with a QR, or a 429 to a client: %s.\n", strings.Join(below, "; "))
	}
	if missing := o.missing(rows); len(missing) > 0 {
		fmt.Fprintf(&b, "\nNot run: %s.\n", strings.Join(missing, "; "))
	}
	for _, perKey := range o.Sessions {
		fmt.Fprintf(&b, "\n## %d sessions per key\n\n%s", perKey, tableHead)
		for _, r := range rows {
			if r.PerKey == perKey {
				b.WriteString(r.markdown(calmCalls(rows, r)))
			}
		}
	}
	b.WriteString(reportEnd)
	return b.String()
}

// missing names the runs of every case that rows do not contain.
func (o *options) missing(rows []row) (names []string) {
	all := options{Sessions: o.Sessions}
	for _, c := range cases() {
		var runs []string
		for _, run := range all.runs(regexp.MustCompile("^" + regexp.QuoteMeta(c.name) + "$")) {
			if !slices.ContainsFunc(rows, run.isResult) {
				runs = append(runs, fmt.Sprintf("%d and %d", run.n, run.perKey))
			}
		}
		if len(runs) > 0 {
			names = append(names, fmt.Sprintf("%s (replicas and sessions per key: %s)", c.name, strings.Join(runs, ", ")))
		}
	}
	return names
}

// chosenFlags are the flags that choose the rows.
func chosenFlags(rows []row) string {
	replicas, sessions := map[int]bool{}, map[int]bool{}
	for _, r := range rows {
		replicas[r.Replicas], sessions[r.PerKey] = true, true
	}
	list := func(set map[int]bool) string {
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(slices.Sorted(maps.Keys(set))), " ", ","), "[]")
	}
	return " --replicas " + list(replicas) + " --sessions " + list(sessions)
}

const reportHead = `# Reliability

What clients see while parts fail. [tools/chaos](../tools/chaos) wrote this page:

` + "```sh\ngo -C tools run ./chaos --parallel %d%s --write ../docs/RELIABILITY.md\n```" + `

Each row is one run: replicas of the real program, a real redis-server, a simulated engine, and %d clients that start
within %v and create a session, connect it and request its QR as existing clients do (three requests of at most 12 s).
Each request goes to a replica at random. The engine has a QR 2 to 4 s after the connect, and allows 30 session calls
per minute and key. The fault begins 3 s after the first client. All replicas use the same session names for all keys,
and another key asks for every session all the time.

Machine: %s. Times are those of a machine that does other work, too.
`

const reportTotals = `
In all %d runs (%d clients): **%d** QRs of another session, **%d** responses to the other key, **%d** expired QRs,
**%d** POSTs that the engine got twice, **%d** responses 500 or without JSON.
`

const tableHead = `| Fault | Replicas | QR | at the first request | time to QR: median, 95 %, max ` +
	`| engine calls per client | of calm | 429 to qrgate | 429 to clients | Redis used again after |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
`

const reportEnd = `
- **QR**: clients with a QR, of those whose session could be created. A client gives up after four creates.
- **0 replicas**: clients call the engine themselves.
- **Engine calls per client**: all calls, those of the clients too, for each client whose session could be created. The
  creates of the other clients do not count. **Of calm**: compared with the same number of replicas without a fault, and
  with the run of about as many sessions: while the engine is away, few are created, and fewer of one key share its list
  calls.
- **429 to clients**: compare with 0 replicas. Clients that repeat creates and connects use up the limit by themselves.
- **Redis used again after**: from the end of the last client until every replica uses Redis; "-": it stays away.
`

// calmCalls is the number of engine calls per client without a fault, of the run with about as many sessions as r; 0 if
// there is none.
func calmCalls(rows []row, r row) float64 {
	var calm row
	for _, c := range rows {
		isLike := (c.Name == calmName || c.Name == shortName) && c.Replicas == r.Replicas && c.PerKey == r.PerKey
		distance := func(c row) int { return max(c.Created-r.Created, r.Created-c.Created) }
		if isLike && (calm.Name == "" || distance(c) < distance(calm)) {
			calm = c
		}
	}
	return per(calm.Calls, calm.Created)
}

func (r row) markdown(calm float64) string {
	ratio := ""
	if calm > 0 {
		ratio = fmt.Sprintf("%.2f", per(r.Calls, r.Created)/calm)
	}
	return fmt.Sprintf("| %s | %d | %d/%d | %d | %.1f, %.1f, %.1f s | %.1f | %s | %d | %d | %s |\n",
		r.Name, r.Replicas, r.WithQR, r.Created, r.FirstTry, r.quantile(0.5), r.quantile(0.95), r.quantile(1),
		per(r.Calls, r.Created), ratio, r.LimitedPolls, r.LimitedClients, r.healed())
}

// machine describes this machine.
func machine() string {
	redis, err := exec.Command("redis-server", "--version").Output()
	version := ""
	if fields := strings.Fields(string(redis)); err == nil && len(fields) > 2 {
		version = ", Redis " + strings.TrimPrefix(fields[2], "v=")
	}
	return fmt.Sprintf("%d processors, %s/%s, %s%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH,
		runtime.Version(), version)
}
