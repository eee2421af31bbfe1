package store

// Durations for tests in fake time.
const (
	RetryAfter   = retryAfter
	PingInterval = pingInterval
)
