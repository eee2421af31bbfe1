package proxy

import (
	"errors"
	"sync"
	"time"
)

// errIdle is the cause of a call to the engine that was given up because no byte came.
var errIdle = errors.New("no byte from the engine within the idle bound")

// idle ends something after a time without a byte from the engine. While the gate waits for the client
// instead, it is paused: that wait has a deadline of its own, so whoever stalls is the one who is named.
type idle struct {
	limit  time.Duration
	expire func()

	mu      sync.Mutex
	timer   *time.Timer
	paused  int
	stopped bool
}

// startIdle begins to count. The caller must stop it.
func startIdle(limit time.Duration, expire func()) *idle {
	return &idle{limit: limit, expire: expire, timer: time.AfterFunc(limit, expire)}
}

// touch says that a byte came.
func (i *idle) touch() { i.change(0) }

// pause says that it is the client's turn.
func (i *idle) pause() { i.change(+1) }

// resume says that the client's turn is over.
func (i *idle) resume() { i.change(-1) }

// stop ends the counting for good.
func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stopped = true
	i.timer.Stop()
}

func (i *idle) change(by int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paused += by
	switch {
	case i.stopped:
	case i.paused > 0:
		i.timer.Stop()
	default:
		i.timer.Reset(i.limit)
	}
}
