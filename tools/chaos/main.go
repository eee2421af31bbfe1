// Command chaos runs real gateways, real Redis servers and a simulated engine, breaks one part after the other while
// clients pair sessions, and counts what the clients see. With --write it writes docs/RELIABILITY.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"qrgate/tools/rig"
)

// options is the command line.
type options struct {
	Cases    string        `default:"." help:"Only cases whose name matches this regular expression."`
	Replicas []int         `help:"Only these numbers of replicas."`
	Sessions []int         `default:"2,4" help:"Sessions per key."`
	Flows    int           `default:"200" help:"Flows in each case."`
	Over     time.Duration `default:"10s" help:"Time over which the flows start."`
	FaultAt  time.Duration `default:"3s" help:"When the fault begins, after the first flow."`
	Gateway  string        `help:"The program cmd/qrgate. Default: it is built."`
	Logs     string        `help:"Directory for the gateways' logs."`
	Parallel int           `default:"1" help:"Cases at the same time."`
	Lost     bool          `help:"Print the requests of each flow without a QR."`
	Results  string        `help:"File with results of earlier runs, whose cases are not run again, and of this one."`
	Write    string        `help:"File to write the report to, as docs/RELIABILITY.md."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	kong.Parse(&o, kong.Description("Breaks gateways, Redis and the engine while clients pair sessions."))
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	chosen, err := regexp.Compile(o.Cases)
	if err != nil {
		return err
	}
	if o.Gateway == "" {
		dir, err := os.MkdirTemp("", "chaos")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if o.Gateway, err = rig.Build(ctx, dir); err != nil {
			return err
		}
	}
	rows, err := o.readResults()
	if err != nil {
		return err
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Parallel)
	for _, run := range o.runs(chosen) {
		if slices.ContainsFunc(rows, run.isResult) {
			continue
		}
		group.Go(func() error {
			r, err := runCase(ctx, o, run.chaosCase, run.n, run.perKey)
			if err != nil {
				return fmt.Errorf("%s: %w", run.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(r)
			rows = append(rows, r)
			return o.writeResults(rows)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("--cases and --replicas leave no case")
	}
	rows = o.sorted(rows)
	if o.Write != "" {
		return os.WriteFile(o.Write, []byte(report(rows, o)), 0o644)
	}
	return nil
}

// chaosRun is a case with its numbers.
type chaosRun struct {
	chaosCase
	n, perKey int
}

// runs are the chosen cases with each number of replicas and of sessions per key.
func (o *options) runs(chosen *regexp.Regexp) (runs []chaosRun) {
	for _, c := range cases() {
		for _, n := range c.replicas {
			if !chosen.MatchString(c.name) || len(o.Replicas) > 0 && !slices.Contains(o.Replicas, n) {
				continue
			}
			for _, perKey := range o.Sessions {
				runs = append(runs, chaosRun{c, n, perKey})
			}
		}
	}
	return runs
}

// isResult reports whether r is the result of the run.
func (c chaosRun) isResult(r row) bool {
	return r.Name == c.name && r.Replicas == c.n && r.PerKey == c.perKey
}

// sorted returns rows in the order of the cases.
func (o *options) sorted(rows []row) (out []row) {
	all := options{Sessions: o.Sessions}
	for _, run := range all.runs(regexp.MustCompile(".")) {
		if i := slices.IndexFunc(rows, run.isResult); i >= 0 {
			out = append(out, rows[i])
		}
	}
	return out
}

func (o *options) readResults() (rows []row, err error) {
	if o.Results == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.Results)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &rows)
	}
	return rows, err
}

func (o *options) writeResults(rows []row) error {
	if o.Results == "" {
		return nil
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return os.WriteFile(o.Results, text, 0o600)
}
