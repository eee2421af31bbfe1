package store

// What tests wait for in fake time.
const (
	RetryAfter   = retryAfter
	PingInterval = pingInterval
)
