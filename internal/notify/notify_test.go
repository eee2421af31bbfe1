package notify

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
)

// webhook records the bodies that it receives.
type webhook struct {
	mu     sync.Mutex
	bodies []string
	status int
}

// ServeHTTP implements [http.Handler].
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.status != 0 {
		w.WriteHeader(h.status)
		_, _ = io.WriteString(w, "refused: "+r.URL.String())
		return
	}
	h.bodies = append(h.bodies, string(body))
}

func (h *webhook) received() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.bodies)
}

func (h *webhook) start(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return "generic+" + server.URL + "/hook/a-secret-token?template=json"
}

// mailServer accepts mail and records it.
type mailServer struct {
	mu    sync.Mutex
	mails []string
}

func (m *mailServer) start(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { m.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return "smtp://" + l.Addr().String() + "/?from=qrgate@localhost&to=operator@localhost&usestarttls=no&encryption=None&auth=None"
}

func (m *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	reply := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	reply("220 test")
	lines, text, isData := bufio.NewScanner(conn), "", false
	for lines.Scan() {
		line := lines.Text()
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
		case isData && line == ".":
			m.mu.Lock()
			m.mails = append(m.mails, text)
			m.mu.Unlock()
			text, isData = "", false
			reply("250 ok")
		case isData:
			text += line + "\n"
		case verb == "DATA":
			isData = true
			reply("354 go on")
		case verb == "QUIT":
			reply("221 bye")
			return
		default:
			reply("250 ok")
		}
	}
}

func (m *mailServer) received() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

// table is a shared table in memory. It fails while isDown.
type table struct {
	mu     sync.Mutex
	rows   map[string][]byte
	isDown bool
}

var errDown = errors.New("the store is down")

// Drop implements [store.Table].
func (x *table) Drop(context.Context, string) error { return errors.ErrUnsupported }

// Put implements [store.Table].
func (x *table) Put(_ context.Context, row string, value []byte) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.isDown {
		return errDown
	}
	x.rows[row] = value
	return nil
}

// All implements [store.Table].
func (x *table) All(context.Context) (map[string][]byte, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.isDown {
		return nil, errDown
	}
	return map[string][]byte{stateRow: x.rows[stateRow], probeRow: x.rows[probeRow]}, nil
}

// cluster is several replicas with one table and one set of leases.
type cluster struct {
	t         *testing.T
	addresses string
	table     *table
	leases    *memory.Store
}

// replica starts the receivers of a replica, not its loop: the test gives the time.
func (c *cluster) replica(owner string, now time.Time) (n *Notifier, stop func()) {
	c.t.Helper()
	n, err := New(Config{
		Addresses: ParseAddresses(c.addresses), WhatsApp: func() diagnosis.Code { return "" },
		Leases: c.leases, Owner: owner, Storages: []store.Table{c.table, FileStorage(c.t.TempDir())},
		StatusURL: "http://127.0.0.1:8081/status", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	n.startedAt, n.observed.startedAt = now, now
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, r := range n.receivers {
		running.Go(func() { r.run(ctx) })
	}
	return n, func() { cancel(); running.Wait(); n.resign(context.Background()) }
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for ticker := time.Tick(10 * time.Millisecond); !done(); {
		select {
		case <-ticker:
		case <-timeout:
			t.Fatal(what)
		}
	}
}

// An outage of the engine is one message at its begin and one at its end, to every receiver, with two replicas of which
// the leader restarts.
func TestNotifier_OutageIsTwoMessages(t *testing.T) {
	hook, mail := &webhook{}, &mailServer{}
	c := &cluster{
		t: t, addresses: hook.start(t) + "\n" + mail.start(t), table: &table{rows: map[string][]byte{}},
		leases: memory.New(memory.Config{}),
	}
	at := epoch
	a, stopA := c.replica("a", at)
	b, stopB := c.replica("b", at)
	defer func() { stopB() }()
	advance := func(length time.Duration, health diagnosis.Code, replicas ...*Notifier) {
		for end := at.Add(length); at.Before(end); at = at.Add(judgeInterval) {
			for _, n := range replicas {
				n.Health(health)
				n.step(t.Context(), at)
			}
		}
	}
	advance(2*time.Minute, diagnosis.EngineUnreachable, a, b)
	waitUntil(t, "no begin arrived", func() bool { return len(hook.received()) == 1 && len(mail.received()) == 1 })
	stopA() // its lease is released: b leads
	advance(2*time.Minute, diagnosis.EngineUnreachable, b)
	a, stopA = c.replica("a", at)
	defer func() { stopA() }()
	advance(5*time.Minute, diagnosis.EngineUnreachable, b, a)
	advance(30*time.Minute, diagnosis.None, b, a)
	waitUntil(t, "no end arrived", func() bool { return len(hook.received()) == 2 && len(mail.received()) == 2 })
	for name, received := range map[string][]string{"webhook": hook.received(), "mail": mail.received()} {
		if len(received) != 2 || !strings.Contains(received[0], "qrgate: No replica gets a response from the engine") ||
			!strings.Contains(received[1], "qrgate: over: No replica gets") ||
			!strings.Contains(received[0], "http://127.0.0.1:8081/status") {
			t.Errorf("%s received %q", name, received)
		}
	}
}

// While the store is down only the leader sends, and what it sent is known afterwards.
func TestNotifier_StoreOutageIsReportedOnce(t *testing.T) {
	hook := &webhook{}
	c := &cluster{t: t, addresses: hook.start(t), table: &table{rows: map[string][]byte{}}, leases: memory.New(memory.Config{})}
	down := &downLeases{Store: c.leases}
	at := epoch
	var replicas []*Notifier
	for _, owner := range []string{"a", "b"} {
		n, stop := c.replica(owner, at)
		n.cfg.Leases = down
		defer stop()
		replicas = append(replicas, n)
	}
	advance := func(length time.Duration, isDown bool) {
		down.isDown, c.table.isDown = isDown, isDown
		for end := at.Add(length); at.Before(end); at = at.Add(judgeInterval) {
			for _, n := range replicas {
				n.observed.mu.Lock()
				n.observed.isStoreDown = isDown
				n.observed.mu.Unlock()
				n.step(t.Context(), at)
			}
		}
	}
	advance(time.Minute, false)
	advance(10*time.Minute, true)
	advance(30*time.Minute, false)
	waitUntil(t, "no end arrived", func() bool { return len(hook.received()) == 2 })
	if got := hook.received(); !strings.Contains(got[0], "No replica reaches Redis") || !strings.Contains(got[1], "over:") {
		t.Errorf("received %q", got)
	}
}

// downLeases fail while isDown.
type downLeases struct {
	*memory.Store
	isDown bool
}

// Acquire implements [store.Leases].
func (l *downLeases) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if l.isDown {
		return false, errDown
	}
	return l.Store.Acquire(ctx, key, owner, ttl)
}

// Neither errors nor logs contain an address, whatever a receiver returns.
func TestNotifier_ErrorsContainNoSecret(t *testing.T) {
	hook := &webhook{status: http.StatusForbidden}
	var logs strings.Builder
	n, err := New(Config{
		Addresses: ParseAddresses(hook.start(t)), WhatsApp: func() diagnosis.Code { return "" },
		Logger: slog.New(slog.NewTextHandler(&logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := n.Test(t.Context())
	if err != nil || len(results) != 1 || results[0].Err == "" {
		t.Fatalf("%+v, %v", results, err)
	}
	_, invalid := New(Config{
		Addresses: ParseAddresses("discord://a-secret-token nonsense://a-secret-token@host"), Logger: slog.New(slog.DiscardHandler),
	})
	if invalid == nil || !strings.Contains(invalid.Error(), "address 2 (nonsense)") {
		t.Errorf("invalid addresses: %v", invalid)
	}
	for _, text := range []string{results[0].Err, invalid.Error(), logs.String()} {
		if strings.Contains(text, "a-secret-token") {
			t.Errorf("%q", text)
		}
	}
}

func TestNotifier_TestReachesReceivers(t *testing.T) {
	hook, mail := &webhook{}, &mailServer{}
	n, err := New(Config{
		Addresses: ParseAddresses(hook.start(t) + " " + mail.start(t)), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := n.Test(t.Context())
	if err != nil || len(results) != 2 || results[0].Err != "" || results[1].Err != "" {
		t.Errorf("%+v, %v", results, err)
	}
	if len(hook.received()) != 1 || len(mail.received()) != 1 || !strings.Contains(mail.received()[0], "Subject: qrgate: test") {
		t.Errorf("received %q and %q", hook.received(), mail.received())
	}
}
