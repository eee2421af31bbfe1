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

// Desync is a Redis whose replies can get out of step: after [Desync.Shift] each command gets the reply to the command
// before it, of any client. Every command still gets exactly one reply, so a client cannot detect it by counting.
type Desync struct {
	redis *miniredis.Miniredis
	relay net.Listener

	shifted   atomic.Bool
	swapped   atomic.Int64
	connected atomic.Int64
	work      sync.WaitGroup

	mu     sync.Mutex
	kept   []byte // the reply to the next command
	conns  map[net.Conn]struct{}
	closed bool
}

// StartDesync runs one until the test ends. Its replies are correct until [Desync.Shift].
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

// URL is the relay's URL.
func (d *Desync) URL() string { return "redis://" + d.relay.Addr().String() }

// Shift delays every reply by one command. Replies to connection set-up and PING stay correct.
func (d *Desync) Shift() { d.shifted.Store(true) }

// Realign makes the replies correct again.
func (d *Desync) Realign() {
	d.shifted.Store(false)
	d.mu.Lock()
	d.kept = nil
	d.mu.Unlock()
}

// Swapped counts the commands that got another command's reply.
func (d *Desync) Swapped() int64 { return d.swapped.Load() }

// Connections counts all connections.
func (d *Desync) Connections() int64 { return d.connected.Load() }

func (d *Desync) accept() {
	for {
		client, err := d.relay.Accept()
		if err != nil {
			return
		}
		d.connected.Add(1)
		server, err := net.Dial("tcp", d.redis.Addr())
		if err != nil {
			_ = client.Close()
			continue
		}
		d.track(client, server)
		d.work.Go(func() {
			defer d.drop(client, server)
			_ = d.serve(client, server) // ends when either side closes
		})
	}
}

// serve forwards commands and replies one by one until the client subscribes; then it copies bytes.
func (d *Desync) serve(client, server net.Conn) error {
	commands, replies := bufio.NewReader(client), bufio.NewReader(server)
	for {
		command, err := readValue(commands)
		if err != nil {
			return err
		}
		if _, err := server.Write(command); err != nil {
			return err
		}
		verb := name(command)
		if verb == "subscribe" && !d.shifted.Load() {
			return d.copyBoth(client, replies, server, commands)
		}
		reply, err := readValue(replies)
		if err != nil {
			return err
		}
		if _, err := client.Write(d.exchange(verb, reply)); err != nil {
			return err
		}
	}
}

// exchange keeps reply for the next command and returns the one kept before. The first command after Shift gets its
// own.
func (d *Desync) exchange(verb string, reply []byte) []byte {
	switch verb {
	case "hello", "auth", "select", "client", "ping":
		return reply
	}
	if !d.shifted.Load() {
		return reply
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	late := d.kept
	d.kept = reply
	if late == nil {
		return reply
	}
	d.swapped.Add(1)
	return late
}

func (d *Desync) copyBoth(client net.Conn, replies io.Reader, server net.Conn, commands io.Reader) error {
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, replies)
		_ = client.Close()
	})
	_, err := io.Copy(server, commands)
	_ = server.Close()
	back.Wait()
	return err
}

// track registers conns for close. After close it closes them at once.
func (d *Desync) track(conns ...net.Conn) {
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
