package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// quiet is how long the event connection may bring nothing before it is asked whether it lives, and
	// answerWithin how long it has to answer that, or a subscription.
	quiet        = 3 * time.Second
	answerWithin = time.Second

	// The pause before the event connection is made anew doubles between these, with up to half as much
	// again, so that replicas do not come back in step.
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// Run keeps the connection that brings the events of other replicas, makes it anew when it is lost, and
// wakes every watcher each time it has been made. When ctx ends it closes the store and returns nil.
func (s *Store) Run(ctx context.Context) error {
	defer s.Close()
	pause := firstPause
	for ctx.Err() == nil {
		heard, err := s.listen(ctx)
		if heard {
			pause = firstPause
		}
		if ctx.Err() != nil {
			break
		}
		s.notify("subscribe", 0, translate(ctx, "subscribe", err))
		sleep(ctx, pause+rand.N(pause/2))
		pause = min(2*pause, lastPause)
	}
	return nil
}

func sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// listen makes one event connection and serves it until it fails. It reports whether it ever worked, and
// why it ended.
func (s *Store) listen(ctx context.Context) (worked bool, err error) {
	start := time.Now()
	sub := s.events.Subscribe(ctx, channel)
	defer func() { _ = sub.Close() }()
	// The library's reads end at deadlines, not when ctx does; closing the connection ends them at once.
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	if err := confirmed(receive(ctx, sub, answerWithin)); err != nil {
		return false, err
	}
	s.notify("subscribe", time.Since(start), nil)
	s.watch.wakeAll()
	for {
		message, err := s.next(ctx, sub)
		if err != nil {
			return true, err
		}
		if m, ok := message.(*redis.Message); ok {
			s.watch.wake(m.Payload)
		}
	}
}

// confirmed says whether the first answer of an event connection is that it will bring our events.
func confirmed(message any, err error) error {
	if sub, ok := message.(*redis.Subscription); err == nil && (!ok || sub.Channel != channel) {
		return errProtocol
	}
	return err
}

// next returns what the event connection brings next. When it has been quiet, it is asked for a sign of
// life: a server that hangs, or a network that drops packets, looks like one where nothing happens.
func (s *Store) next(ctx context.Context, sub *redis.PubSub) (any, error) {
	message, err := receive(ctx, sub, quiet)
	var network net.Error
	if !errors.As(err, &network) || !network.Timeout() {
		return message, err
	}
	if err := sub.Ping(ctx); err != nil {
		return nil, err
	}
	return receive(ctx, sub, answerWithin)
}

// receive is the library's ReceiveTimeout, which panics when a message has not the shape it expects.
// A server that is out of step must cost a connection, not the process.
func receive(ctx context.Context, sub *redis.PubSub, within time.Duration) (message any, err error) {
	defer func() {
		if recover() != nil {
			message, err = nil, errProtocol
		}
	}()
	return sub.ReceiveTimeout(ctx, within)
}
