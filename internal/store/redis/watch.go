package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Watch returns a channel that receives a token after every Put of key by any replica, and after a reconnect of the
// event connection, when events may have been lost; and a function that stops it. The channel buffers one token; it is
// never closed, and stop may be called more than once.
//
// Without [Store.Run] only this store's own writes are noticed. Redis does not keep events: read the record regularly
// too.
func (s *Store) Watch(key string) (changed <-chan struct{}, stop func()) {
	return s.watch.Watch(key)
}

// Wake sends a token to this store's watchers of key.
func (s *Store) Wake(key string) { s.watch.Wake(key) }

const (
	// pingAfter is how long the event connection may be silent before it is pinged; replyTimeout is the timeout of the
	// ping and of a subscription.
	pingAfter    = 3 * time.Second
	replyTimeout = time.Second

	// The delay before the event connection is opened again doubles between these, plus up to half, so that replicas do
	// not reconnect at the same time.
	minReconnectDelay = 50 * time.Millisecond
	maxReconnectDelay = 2 * time.Second
)

// Run maintains the connection that receives the events of other replicas, reconnects when it is lost, and wakes every
// watcher after each connect. When ctx ends it closes the store and returns nil.
func (s *Store) Run(ctx context.Context) error {
	defer s.Close()
	delay := minReconnectDelay
	for ctx.Err() == nil {
		worked, err := s.listen(ctx)
		if worked {
			delay = minReconnectDelay
		}
		if ctx.Err() != nil {
			break
		}
		if _, ok := errors.AsType[redis.Error](err); ok {
			s.refused.Store(&err)
		}
		s.notify("subscribe", 0, translate(ctx, "subscribe", err))
		sleep(ctx, delay+rand.N(delay/2))
		delay = min(2*delay, maxReconnectDelay)
	}
	return nil
}

func sleep(ctx context.Context, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// listen opens one event connection and serves it until it fails. It reports whether it ever worked, and why it ended.
func (s *Store) listen(ctx context.Context) (worked bool, err error) {
	start := time.Now()
	sub := s.events.Subscribe(ctx, channel)
	defer func() { _ = sub.Close() }()
	// The library's reads end at deadlines, not with ctx; closing the connection ends them at once.
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	if err := confirmed(receive(ctx, sub, replyTimeout)); err != nil {
		return false, err
	}
	s.refused.Store(nil)
	s.notify("subscribe", time.Since(start), nil)
	s.watch.WakeAll()
	for {
		message, err := s.next(ctx, sub)
		if err != nil {
			return true, err
		}
		if m, ok := message.(*redis.Message); ok {
			s.watch.Wake(m.Payload)
		}
	}
}

// confirmed reports whether the first reply of an event connection confirms the subscription.
func confirmed(message any, err error) error {
	if sub, ok := message.(*redis.Subscription); err == nil && (!ok || sub.Channel != channel) {
		return errProtocol
	}
	return err
}

// next returns the next message of the event connection. A silent connection is pinged: a server that hangs, or a
// network that drops packets, looks like an idle one.
func (s *Store) next(ctx context.Context, sub *redis.PubSub) (any, error) {
	message, err := receive(ctx, sub, pingAfter)
	var network net.Error
	if !errors.As(err, &network) || !network.Timeout() {
		return message, err
	}
	if err := sub.Ping(ctx); err != nil {
		return nil, err
	}
	return receive(ctx, sub, replyTimeout)
}

// receive is the library's ReceiveTimeout, which panics on an unexpected message. A faulty server must cost a
// connection, not the process.
func receive(ctx context.Context, sub *redis.PubSub, within time.Duration) (message any, err error) {
	defer func() {
		if recover() != nil {
			message, err = nil, errProtocol
		}
	}()
	return sub.ReceiveTimeout(ctx, within)
}
