package redistest

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// Desync is a Redis whose replies can shift: after [Desync.Shift] it responds to each command with the reply to the command
// before, of any client. It is the worst that a mix-up of replies
// can do, with the one-question-one-answer rhythm kept, so that no client notices by itself.
type Desync struct {
	redis *miniredis.Miniredis
	relay net.Listener

	shifted atomic.Bool
	swapped atomic.Int64
	dialled atomic.Int64
	work    sync.WaitGroup

	mu     sync.Mutex
	kept   []byte // the answer that the next command will get
	conns  map[net.Conn]struct{}
	closed bool
}

// StartDesync runs one until the test ends. It answers truly until [Desync.Shift].
func StartDesync(t testing.TB) *Desync {
	t.Helper()
	d := &Desync{redis: miniredis.NewMiniRedis(), conns: make(map[net.Conn]struct{})}
	d.redis.ClockTTL(true)
	if err := d.redis.Start(); err != nil {
		t.Fatal(err)
	}
	relay, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.redis.Close()
		t.Fatal(err)
	}
	d.relay = relay
	d.work.Go(d.accept)
	t.Cleanup(d.close)
	return d
}

// URL is where it listens.
func (d *Desync) URL() string { return "redis://" + d.relay.Addr().String() }

// Shift puts every answer from now on one command late. Connection set-up and PING stay true, as after a
// mix-up that happened on a healthy connection.
func (d *Desync) Shift() { d.shifted.Store(true) }

// Realign makes the answers true again.
func (d *Desync) Realign() {
	d.shifted.Store(false)
	d.mu.Lock()
	d.kept = nil
	d.mu.Unlock()
}

// Swapped is how many commands got the answer to another.
func (d *Desync) Swapped() int64 { return d.swapped.Load() }

// Connections is how many connections were ever made to it.
func (d *Desync) Connections() int64 { return d.dialled.Load() }

func (d *Desync) accept() {
	for {
		client, err := d.relay.Accept()
		if err != nil {
			return
		}
		d.dialled.Add(1)
		server, err := net.Dial("tcp", d.redis.Addr())
		if err != nil {
			_ = client.Close()
			continue
		}
		d.hold(client, server)
		d.work.Go(func() {
			defer d.drop(client, server)
			_ = d.serve(client, server) // ends when either side hangs up
		})
	}
}

// serve passes commands and answers on, one by one, until the client subscribes; then bytes just flow.
func (d *Desync) serve(client, server net.Conn) error {
	questions, answers := bufio.NewReader(client), bufio.NewReader(server)
	for {
		command, err := readValue(questions)
		if err != nil {
			return err
		}
		if _, err := server.Write(command); err != nil {
			return err
		}
		verb := name(command)
		if verb == "subscribe" && !d.shifted.Load() {
			return d.flow(client, answers, server, questions)
		}
		answer, err := readValue(answers)
		if err != nil {
			return err
		}
		if _, err := client.Write(d.exchange(verb, answer)); err != nil {
			return err
		}
	}
}

// exchange keeps answer for the next command and returns the one kept from the last. The first command
// after Shift has no predecessor and gets its own.
func (d *Desync) exchange(verb string, answer []byte) []byte {
	switch verb {
	case "hello", "auth", "select", "client", "ping":
		return answer
	}
	if !d.shifted.Load() {
		return answer
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	late := d.kept
	d.kept = answer
	if late == nil {
		return answer
	}
	d.swapped.Add(1)
	return late
}

func (d *Desync) flow(client net.Conn, answers io.Reader, server net.Conn, questions io.Reader) error {
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, answers)
		_ = client.Close()
	})
	_, err := io.Copy(server, questions)
	_ = server.Close()
	back.Wait()
	return err
}

// hold remembers conns for close; one that comes too late is closed here, and its serve ends at once.
func (d *Desync) hold(conns ...net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range conns {
		d.conns[c] = struct{}{}
		if d.closed {
			_ = c.Close()
		}
	}
}

func (d *Desync) drop(conns ...net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(d.conns, c)
	}
}

func (d *Desync) close() {
	_ = d.relay.Close()
	d.mu.Lock()
	d.closed = true
	for c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.work.Wait()
	d.redis.Close()
}
