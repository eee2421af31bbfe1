package store

// Durations for tests in fake time.
const (
	PingInterval   = pingInterval
	ReportInterval = reportInterval
)
