// Command soak runs two gateways for a long time while clients wait, stream, pair sessions and send wrong keys, and
// fails if memory, goroutines, descriptors or Redis keys grow. With --write it writes docs/SOAK.md and its plot.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"qrgate/internal/test/redistest"
	"qrgate/tools/rig"
)

// options is the command line.
type options struct {
	For      time.Duration `default:"30m" help:"How long the load lasts."`
	Waiters  int           `default:"2000" help:"Clients that request a QR and wait for it."`
	Streams  int           `default:"200" help:"Event streams."`
	Sessions int           `default:"200" help:"Sessions that are created, paired and deleted, over and over, each with a key of its own."`
	Every    time.Duration `default:"5s" help:"Time between two samples."`
	Pace     float64       `default:"1" help:"Factor of all pauses of the clients and of the engine."`
	Gateway  string        `help:"The program cmd/qrgate. Default: it is built."`
	Results  string        `help:"File for the result of the run; if it exists, it is reported again instead of a run."`
	Write    string        `help:"Directory to write SOAK.md and images/soak.svg to, as docs."`
}

const (
	replicas  = 2
	engineKey = "key-%03d"
)

const description = `Loads two gateways for a long time and fails if anything grows, or if a client gets an error.

The first 16 minutes, at most 8/15 of the time, are left out of the verdict: Redis keeps sessions and links for 15
minutes, so its number of keys grows until then. Of the rest, the median of the last third may be a tenth and a small
margin above that of the first third. Revocations of links live for 31 minutes and are counted on their own. A run
shorter than half an hour still sees keys that only wait for their end, and may fail.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	kong.Parse(&o, kong.Description(description))
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	r, err := o.result(ctx)
	if err != nil {
		return err
	}
	fmt.Print(r.text())
	if o.Write != "" {
		if err := r.write(o.Write); err != nil {
			return err
		}
	}
	return errors.Join(r.problems()...)
}

// result reads the result of an earlier run, or runs and saves it.
func (o *options) result(ctx context.Context) (r result, err error) {
	r.options = o
	if text, err := os.ReadFile(o.Results); err == nil {
		return r, json.Unmarshal(text, &r)
	}
	if o.Gateway == "" {
		dir, err := os.MkdirTemp("", "soak")
		if err != nil {
			return r, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if o.Gateway, err = rig.Build(ctx, dir); err != nil {
			return r, err
		}
	}
	host := &rig.Host{}
	defer host.Close()
	r, err = o.measure(ctx, host)
	if err != nil || o.Results == "" {
		return r, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	return r, os.WriteFile(o.Results, text, 0o600)
}

// measure starts everything, applies the load and samples it.
func (o *options) measure(ctx context.Context, host *rig.Host) (r result, err error) {
	defer rig.Recover(&err)
	l, err := newLoad(o)
	if err != nil {
		return r, err
	}
	defer l.close()
	redis := redistest.Start(host)
	var gateways []*rig.Replica
	for range replicas {
		gateway, err := rig.NewReplica(o.Gateway, []string{
			"QRGATE_ENGINE_URL=http://" + l.engineAddr, "QRGATE_SECRET=a secret of the soak run",
			"QRGATE_REDIS_URL=" + redis.URL(), "QRGATE_WHATSAPP_CHECK=false", "QRGATE_LOG_LEVEL=warn", "QRGATE_PPROF=true",
			fmt.Sprintf("QRGATE_PROBE_API_KEY="+engineKey, 0), "QRGATE_PROBE_INTERVAL=30s",
		}, os.Stderr)
		if err != nil {
			return r, err
		}
		if err := gateway.Start(ctx); err != nil {
			return r, err
		}
		defer gateway.Stop(syscall.SIGKILL)
		gateways = append(gateways, gateway)
		l.targets = append(l.targets, "http://"+gateway.Addr)
	}
	loading, stop := context.WithTimeout(ctx, o.For)
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); l.run(loading) }()
	r.options = o
	began := time.Now()
	for tick := time.NewTicker(o.Every); loading.Err() == nil; {
		select {
		case <-tick.C:
		case <-loading.Done():
			tick.Stop()
			continue
		}
		s, err := takeSample(time.Since(began), gateways, redis)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			l.count("samples that failed")
			continue
		}
		if loading.Err() != nil {
			continue // the load ended meanwhile
		}
		r.Samples = append(r.Samples, s)
		if len(r.Samples)%12 == 0 {
			fmt.Fprintf(os.Stderr, "%v: %s; %s\n", s.At.Round(time.Second), s, l)
		}
	}
	<-done
	r.Counts, r.Delays = l.counts(), l.delays
	return r, context.Cause(ctx)
}
