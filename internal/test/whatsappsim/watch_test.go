package whatsappsim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/socket"
	"go.mau.fi/whatsmeow/types/events"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// watch is a client and everything it reports, each line with the time since the connect.
type watch struct {
	cli *whatsmeow.Client

	mu    sync.Mutex
	began time.Time
	lines []string
	codes []string    // all there will be
	code  chan string // those shown so far
}

func newWatch(t *testing.T, cli *whatsmeow.Client) *watch {
	t.Helper()
	w := &watch{cli: cli, code: make(chan string, 64), began: time.Now()}
	// Before the QR channel asks for the events too: it closes itself at some of them, and unless this
	// handler has taken its lock by then, the race detector sees whatsmeow close what it may be sending to.
	cli.AddEventHandler(w.event)
	codes, err := cli.GetQRChannel(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	go w.follow(t.Context(), codes)
	return w
}

// onPipe starts a server with faults queued in a bubble, and a watched client of it.
func onPipe(t *testing.T, srv *whatsappsim.Server, faults ...whatsappsim.Fault) *watch {
	t.Helper()
	pipe := &whatsappsim.Pipe{}
	srv.QueueFaults(faults...)
	whatsappsimtest.StartOn(t, srv, pipe)
	return newWatch(t, whatsappsimtest.ClientOn(t, pipe.HTTPClient()))
}

// connect connects and reports the error. ctx is that of the connection: if it ends before the client has
// disconnected, whatsmeow has a race with itself, so t.Context() will not do.
func (w *watch) connect(ctx context.Context) {
	w.mu.Lock()
	w.began = time.Now()
	w.mu.Unlock()
	if err := w.cli.ConnectContext(ctx); err != nil {
		w.add("Connect: " + explain(err))
	}
}

func explain(err error) string {
	var status socket.ErrWithStatusCode
	switch {
	case errors.As(err, &status):
		return fmt.Sprintf("status %d", status.StatusCode)
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	}
	return strings.ReplaceAll(err.Error(), "\u00a0", " ") // protobuf varies its spaces on purpose
}

// follow writes down what the QR channel says until it closes or the test ends.
func (w *watch) follow(ctx context.Context, codes <-chan whatsmeow.QRChannelItem) {
	for {
		select {
		case item, open := <-codes:
			if !open {
				w.add("qr closed")
				return
			}
			w.add("qr " + item.Event)
			if item.Event == whatsmeow.QRChannelEventCode {
				w.code <- item.Code
			}
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) event(e any) {
	switch e := e.(type) {
	case *events.QR:
		w.mu.Lock()
		w.codes = e.Codes
		w.mu.Unlock()
		w.add(fmt.Sprintf("QR %d codes", len(e.Codes)))
	case *events.LoggedOut:
		w.add(fmt.Sprintf("LoggedOut on connect %v reason %d", e.OnConnect, e.Reason))
	case *events.ConnectFailure:
		w.add(fmt.Sprintf("ConnectFailure %d", e.Reason))
	case *events.StreamError:
		w.add("StreamError " + e.Code)
	case *events.PairError:
		w.add("PairError " + e.Error.Error())
	case *events.KeepAliveTimeout:
		w.add("KeepAliveTimeout")
	case *events.OfflineSyncCompleted, *events.AppStateSyncComplete:
	default:
		w.add(fmt.Sprintf("%T", e)[len("*events."):])
	}
}

func (w *watch) add(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%v %s", time.Since(w.began), line))
}

// report returns the lines so far; those of one instant have no order.
func (w *watch) report() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Clone(w.lines)
	slices.Sort(out)
	return out
}

// count says how often a line was reported, at whatever time.
func (w *watch) count(what string) int {
	n := 0
	for _, line := range w.report() {
		if strings.HasSuffix(line, "s "+what) {
			n++
		}
	}
	return n
}

// all waits, in a bubble, for the codes and returns them, including those still to be shown.
func (w *watch) all() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.codes
}

func sorted(lines []string) []string {
	out := slices.Clone(lines)
	slices.Sort(out)
	return out
}

// eventually waits, on real time, for something that takes milliseconds.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in ten seconds")
		}
	}
}
