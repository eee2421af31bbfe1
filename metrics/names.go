package metrics

// The names of all families that the gate itself fills. Dashboards, rules and docs/METRICS.md are tested
// against them; what each one means is in [Catalogue].
const (
	QRAcquisitions     = "qrgate_qr_acquisitions_total"
	QRTimeToCode   = "qrgate_qr_time_to_code_seconds"
	QRCodes        = "qrgate_qr_codes_total"
	QRWaits        = "qrgate_qr_waits_total"
	QRWaitDuration = "qrgate_qr_wait_duration_seconds"

	Sessions       = "qrgate_sessions"
	StateChanges   = "qrgate_session_state_changes_total"
	Waiters        = "qrgate_waiters"
	WaitersLimit   = "qrgate_waiters_limit"
	RateLimitRemaining     = "qrgate_engine_rate_limit_remaining"
	EngineUp       = "qrgate_engine_up"
	EngineRequests = "qrgate_engine_requests_total"
	EngineDuration = "qrgate_engine_request_duration_seconds"
	EngineRetries  = "qrgate_engine_retries_total"
	EngineCircuit  = "qrgate_engine_circuit_state"

	StoreUp         = "qrgate_store_up"
	StoreDecryptFailures = "qrgate_store_decrypt_failures_total"
	StoreDuration   = "qrgate_store_operation_duration_seconds"
	StoreFailures   = "qrgate_store_operation_failures_total"

	HTTPRequests   = "http_server_requests_total"
	HTTPDuration   = "http_server_request_duration_seconds"
	HTTPActive     = "http_server_active_requests"
	HTTPBodyBytes  = "qrgate_http_body_bytes_total"
	HTTPClientGone = "qrgate_http_client_gone_total"
	HTTPFailures     = "qrgate_http_failures_total"
	HTTPRejected   = "qrgate_requests_rejected_total"

	ProbeRuns            = "qrgate_probe_runs_total"
	ProbeErrors          = "qrgate_probe_errors_total"
	ProbeSkipped         = "qrgate_probe_skipped_total"
	ProbeDuration        = "qrgate_probe_duration_seconds"
	ProbeStepDuration    = "qrgate_probe_step_duration_seconds"
	ProbeStepFailures    = "qrgate_probe_step_failures_total"
	ProbeLastRun         = "qrgate_probe_last_run_timestamp_seconds"
	ProbeLastSuccess     = "qrgate_probe_last_success_timestamp_seconds"
	ProbeInterval        = "qrgate_probe_interval_seconds"
	ProbeLeader          = "qrgate_probe_leader"
	ProbeOrphans         = "qrgate_probe_orphaned_sessions"
	ProbeCleanupFailures = "qrgate_probe_cleanup_failures_total"

	BuildInfo      = "qrgate_build_info"
	ExportFailures = "qrgate_otel_export_failures_total"
	LogMessages    = "qrgate_log_messages_total"
)

// MaxSeries is the most series that one replica can ever expose, the Go runtime's own included and native
// histograms counted beside the classic ones (sre.md 2.2).
const MaxSeries = 1500
