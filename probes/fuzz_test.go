package probes_test

import (
	"testing"
	"time"

	"qrgate/probes"
)

// A text of windows is refused, or each of them is open or closed at any time.
func FuzzParseWindows(f *testing.F) {
	for _, text := range []string{"Sun 02:00-04:00", "02:00-04:00,Mon-Fri 23:00-01:00 Europe/Madrid", "24:00-25:00", "-", ",,", "Sun"} {
		f.Add(text, int64(1762410821))
	}
	f.Fuzz(func(_ *testing.T, text string, at int64) {
		windows, err := probes.ParseWindows(text)
		for _, w := range windows {
			if err == nil {
				w.IsOpen(time.Unix(at, 0))
			}
		}
	})
}
