package clienttest

import (
	"context"
	"sync"
	"time"
)

const (
	usualPause   = 5 * time.Second
	longestPause = 30 * time.Second
	patience     = 300 * time.Second // of the whole wizard
)

// verdict is what an answer means to a poller.
type verdict int

const (
	goOn verdict = iota
	slowDown
	stopPolling
)

// poll asks as the browser's setInterval does: on every tick, whether or not the last answer has come, at most
// times over. It returns when it was stopped, gave up or ctx ended, and every answer is there.
//
// On slowDown the pause doubles, and the next question comes after twice the new pause: the page waits once before
// it sets the new interval, and the interval waits again (4.2: 0, 20, 60, 120, 180, 240 s).
func poll(ctx context.Context, times int, ask func() verdict) {
	var asking sync.WaitGroup
	defer asking.Wait()
	verdicts := make(chan verdict, times)
	begin := time.Now()
	giveUp := time.NewTimer(patience + time.Millisecond) // the tick at 300 s still asks
	defer giveUp.Stop()
	pause := usualPause
	tick := time.NewTimer(0)
	defer tick.Stop()
	for asked := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-giveUp.C:
			return
		case <-tick.C:
			if pause > usualPause && time.Since(begin) >= patience {
				return // a stretched interval is younger than the page's deadline and so fires after it
			}
			asked++
			asking.Go(func() { verdicts <- ask() })
			if asked == times {
				return
			}
			tick.Reset(pause)
		case v := <-verdicts:
			if v == stopPolling {
				return
			}
			if v == slowDown {
				pause = min(2*pause, longestPause)
				tick.Reset(2 * pause)
			}
		}
	}
}
