package redis

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9/maintnotifications"

	"qrgate/internal/secret"
)

// The URL's query cannot raise the timeouts.
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "?read_timeout=1h&write_timeout=1h&dial_timeout=1h&pool_timeout=1h&max_retries=9" +
		"&min_retry_backoff=1h&max_retry_backoff=1h"} {
		s, err := newServer(Config{
			URL: secret.NewSecret("redis://gate:canary@127.0.0.1:6390/3" + query), Timeout: DefaultTimeout,
		})
		if err != nil {
			t.Fatal(err)
		}
		o := s.options.Simple()
		for name, ok := range map[string]bool{
			"address":         o.Addr == "127.0.0.1:6390" && o.DB == 3 && o.Username == "gate" && o.Password == "canary",
			"caller's time":   o.ContextTimeoutEnabled,
			"dial":            o.DialTimeout == 200*time.Millisecond && o.DialerRetries == 1,
			"read and write":  o.ReadTimeout == 150*time.Millisecond && o.WriteTimeout == 150*time.Millisecond,
			"pool":            o.PoolTimeout == 200*time.Millisecond,
			"retries":         o.MaxRetries == 1,
			"back-off":        o.MinRetryBackoff == 5*time.Millisecond && o.MaxRetryBackoff == 20*time.Millisecond,
			"no CLIENT calls": o.DisableIdentity && o.MaintNotificationsConfig.Mode == maintnotifications.ModeDisabled,
		} {
			if !ok {
				t.Errorf("with query %q the options of %q are not the defaults: %+v", query, name, *o)
			}
		}
	}
}
