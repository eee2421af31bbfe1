// Package faultnet puts TCP faults between two programs: delay, loss in one direction, resets, cuts in mid-body, low
// bandwidth, refused connections. Faults are switched at run time. The proxy is Toxiproxy's.
package faultnet

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Direction is which part of a connection a fault affects.
type Direction string

// The directions.
const (
	Requests  Direction = "upstream"   // from the client to the server
	Responses Direction = "downstream" // from the server to the client
)

// Fault is one fault of all connections, of those that exist too.
type Fault struct {
	Type       string         `json:"type"`
	Direction  Direction      `json:"stream"`
	Attributes map[string]any `json:"attributes"`
}

// Delay delays all data.
func Delay(d Direction, by time.Duration) Fault {
	return Fault{"latency", d, map[string]any{"latency": by.Milliseconds()}}
}

// Loss drops all data and leaves the connections open. They are closed when the fault ends.
func Loss(d Direction) Fault { return Fault{"timeout", d, map[string]any{"timeout": 0}} }

// Reset closes each connection with a TCP reset when data arrives.
func Reset(d Direction) Fault { return Fault{"reset_peer", d, map[string]any{"timeout": 0}} }

// Cut closes each connection after so many bytes.
func Cut(d Direction, after int) Fault { return Fault{"limit_data", d, map[string]any{"bytes": after}} }

// Bandwidth limits each connection to so many KB/s.
func Bandwidth(d Direction, rate int) Fault {
	return Fault{"bandwidth", d, map[string]any{"rate": rate}}
}

// Link is a proxy in front of one server.
type Link struct{ proxy *toxiproxy.Proxy }

// New starts a proxy on a free loopback port in front of the server at addr.
func New(addr string) (*Link, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &Link{toxiproxy.NewProxy(server, addr, "127.0.0.1:0", addr)}
	return l, l.proxy.Start()
}

// Addr is the proxy's address. It stays the same while the link is down.
func (l *Link) Addr() string { return l.proxy.Listen }

// Set replaces the faults.
func (l *Link) Set(faults ...Fault) error {
	l.proxy.Toxics.ResetToxics(context.Background())
	for _, f := range faults {
		text, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if _, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
			return err
		}
	}
	return nil
}

// Down closes all connections and refuses new ones.
func (l *Link) Down() { l.proxy.Stop() }

// Up ends Down.
func (l *Link) Up() error { return l.proxy.Start() }
