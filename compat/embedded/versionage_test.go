package embedded

import (
	"strings"
	"testing"
	"time"
)

func TestDescribeVersion_Age(t *testing.T) {
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		date  time.Time
		days  int
		want  string
		isOld bool
	}{
		"of today": {date, 0, "2.3000.1, 0 days old", false},
		"59 days":  {date, 59, "2.3000.1, 59 days old", false},
		"60 days":  {date, 60, "2.3000.1, 60 days old; WhatsApp may refuse it soon", true},
		"no date":  {time.Time{}, 0, "2.3000.1", false},
	} {
		text, isOld := describeVersion("2.3000.1", test.date, date.AddDate(0, 0, test.days))
		if !strings.HasPrefix(text, test.want) || isOld != test.isOld {
			t.Errorf("%s: %q %t", name, text, isOld)
		}
	}
}
