package acquire

import (
	"testing"
	"time"

	"qrgate/internal/session"
)

func TestEngineHealth_MinLatency(t *testing.T) {
	t.Parallel()
	type answer struct {
		kind session.ErrorKind
		took float64 // seconds
		at   float64
	}
	slow := func(at float64) answer { return answer{session.KindNotReady, 4, at} }
	for name, c := range map[string]struct {
		answers []answer
		now     float64
		want    time.Duration
	}{
		"nothing is known":              {nil, 0, 0},
		"two answers are too few":       {[]answer{slow(4), slow(8)}, 8, 0},
		"three slow ones":               {[]answer{slow(4), slow(8), slow(12)}, 12, 4 * time.Second},
		"one of them was quick":         {[]answer{slow(4), {"", 0.25, 5}, slow(9)}, 9, 250 * time.Millisecond},
		"it was quick before":           {[]answer{{"", 0.25, 1}, slow(5), slow(9), slow(13)}, 13, 4 * time.Second},
		"no answer is no slow one":      {[]answer{slow(4), slow(8), {session.KindTimeout, 5, 13}, {session.KindUnreachable, 3, 16}}, 16, 0},
		"an hour ago is not now":        {[]answer{slow(4), slow(8), slow(12)}, 3600, 0},
		"an error is an answer as well": {[]answer{{session.KindServerError, 3, 3}, {session.KindRateLimited, 3, 6}, {session.KindBadResponse, 3, 9}}, 9, 3 * time.Second},
	} {
		var h engineHealth
		for _, a := range c.answers {
			h.recordCall(a.kind, time.Duration(a.took*float64(time.Second)), at(a.at))
		}
		if got := h.minLatency(at(c.now)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
