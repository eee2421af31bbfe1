package enginesim_test

import (
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

func TestLimits_ThirtySessionCallsPerMinuteAndKey(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{Limits: enginesim.RecordedLimits()}, func(c *testClient) {
		c.want(c.create("one"), 201)
		c.want(c.create("two"), 201)
		var last reply
		for i := range 28 { // the two creates count, and sessions share
			last = c.want(c.status([]string{"1", "2"}[i%2]), 200)
		}
		want := map[string]string{
			"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "946684860",
			"RateLimit-Policy": "1000;w=900", "RateLimit-Limit": "1000", "RateLimit-Remaining": "970", "RateLimit-Reset": "900",
		}
		for name, value := range want {
			if got := last.header.Get(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
		got := c.want(c.status("1"), 429)
		if got.body.Code != "RATE_LIMIT_EXCEEDED" || got.header.Get("Retry-After") != "" {
			t.Errorf("refused with %s, Retry-After %q", got.text, got.header.Get("Retry-After"))
		}
		c.want(c.do("GET", "/api/messages/one", ""), 200) // another family
		c.key = "key-b"
		c.want(c.create("three"), 201)
		c.key = "key-a"
		sleep(59.9)
		c.want(c.status("1"), 429)
		sleep(0.1)
		c.want(c.status("1"), 200)
	})
}

func TestLimits_General(t *testing.T) {
	t.Parallel()
	small := enginesim.Limits{General: enginesim.Limit{Max: 2, Window: time.Minute}, RetryAfter: true}
	silent := small
	silent.RetryAfter = false
	byAddress := small
	byAddress.GeneralByAddress = true
	tests := map[string]struct {
		limits  enginesim.Limits
		address string // of the third caller
		key     string
		want    int
		after   string // Retry-After
	}{
		"the same key":             {small, "192.0.2.1", "key-a", 429, "40"},
		"without Retry-After":      {silent, "192.0.2.1", "key-a", 429, ""},
		"another key":              {small, "192.0.2.1", "key-b", 200, ""},
		"another key, one address": {byAddress, "192.0.2.1", "key-b", 429, "40"},
		"another address":          {byAddress, "192.0.2.2", "key-a", 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, &enginesim.Engine{Limits: test.limits}, func(c *testClient) {
				for range 2 {
					c.want(c.do("GET", "/health", "", "X-Forwarded-For", "192.0.2.1"), 200)
				}
				sleep(20)
				c.key = test.key
				got := c.want(c.do("GET", "/health", "", "X-Forwarded-For", test.address+", 127.0.0.1"), test.want)
				if got.header.Get("Retry-After") != test.after {
					t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
				}
			})
		})
	}
}

func TestLimits_NoneSendsNoHeaders(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		for range 40 {
			if got := c.want(c.do("GET", "/api/sessions", ""), 200); got.header.Get("X-RateLimit-Limit") != "" {
				t.Fatal("a limit shows")
			}
		}
	})
}
