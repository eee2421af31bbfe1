package metrics_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/metrics"
)

func TestMetricsObserve_CountsEvents(t *testing.T) {
	t.Parallel()
	const s = time.Second
	callEvent := func(fault session.ErrorKind, status int) session.Event {
		return session.Event{Kind: session.EventEngineCall, Op: session.OpQR, ErrorKind: fault, Status: status, Duration: s}
	}
	good := map[string]float64{"qrgate_engine_request_duration_seconds{qr,success}": 1}
	bad := map[string]float64{"qrgate_engine_request_duration_seconds{qr,failure}": 1}
	down := map[string]float64{"qrgate_engine_request_duration_seconds{qr,failure}": 1, "qrgate_engine_up{}": -1}
	with := func(base map[string]float64, fault string) map[string]float64 {
		out := map[string]float64{"qrgate_engine_requests_total{" + fault + ",qr}": 1}
		for k, v := range base {
			out[k] = v
		}
		return out
	}
	for name, x := range map[string]struct {
		event session.Event
		want  map[string]float64
	}{
		"a QR came": {session.Event{Kind: session.EventAcquisition, Outcome: session.Success, Diagnosis: diagnosis.None, Duration: s},
			map[string]float64{"qrgate_qr_acquisitions_total{none,user,success}": 1, "qrgate_qr_time_to_code_seconds{user}": 1}},
		"none came for a probe": {session.Event{Kind: session.EventAcquisition, Traffic: session.SyntheticTraffic, Outcome: session.Failure, Diagnosis: diagnosis.QRNotEmitted},
			map[string]float64{"qrgate_qr_acquisitions_total{qr_not_emitted,synthetic,failure}": 1}},
		"linked already": {session.Event{Kind: session.EventAcquisition, Outcome: session.Abandoned, Diagnosis: diagnosis.AlreadyPaired},
			map[string]float64{"qrgate_qr_acquisitions_total{already_paired,user,abandoned}": 1}},
		"the first code":    {session.Event{Kind: session.EventQR, Sequence: 1}, map[string]float64{"qrgate_qr_codes_total{user,first}": 1}},
		"a refreshed code":  {session.Event{Kind: session.EventQR, Sequence: 2}, map[string]float64{"qrgate_qr_codes_total{user,later}": 1}},
		"a state":           {session.Event{Kind: session.EventState, To: session.Connected}, map[string]float64{"qrgate_session_state_changes_total{connected}": 1}},
		"a mix-up":          {session.Event{Kind: session.EventDecryptFailed}, map[string]float64{"qrgate_store_decrypt_failures_total{}": 1}},
		"the store is away": {session.Event{Kind: session.EventStore}, map[string]float64{"qrgate_store_up{}": -1}},
		"a call":            {callEvent("", 0), with(good, "none")},
		"not ready":         {callEvent(session.KindNotReady, 500), with(good, "not_ready")},
		"rate limited":      {callEvent(session.KindRateLimited, 429), with(bad, "rate_limited")},
		"an engine's error": {callEvent(session.KindServerError, 500), with(bad, "server_error")},
		"unreachable":       {callEvent(session.KindUnreachable, 0), with(down, "unreachable")},
		"no response":       {callEvent(session.KindTimeout, 0), with(down, "timeout")},
		"nginx responds":    {callEvent(session.KindBadResponse, 502), with(down, "bad_response")},
		"nonsense":          {callEvent(session.KindBadResponse, 200), with(bad, "bad_response")},
		"given up":          {callEvent(session.KindCanceled, 0), with(nil, "canceled")},
		"an unknown fault":  {callEvent("strange", 0), with(bad, "server_error")},
		"a strange event":   {session.Event{Kind: "strange"}, map[string]float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := full(t)
			if diff := cmp.Diff(x.want, changed(t, m, func() { m.ObserveEvent(x.event) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMetrics_CountsDroppedWebhookEvents(t *testing.T) {
	t.Parallel()
	m := full(t)
	want := map[string]float64{"qrgate_webhook_events_dropped_total{}": 1}
	if diff := cmp.Diff(want, changed(t, m, m.WebhookDropped)); diff != "" {
		t.Error(diff)
	}
}

func TestMetricsObserve_CountsWaits(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		event session.Event
		want  map[string]float64
	}{
		"a hold with a QR": {session.Event{Kind: session.EventWait, Outcome: session.Success, Duration: time.Second},
			map[string]float64{"qrgate_qr_waits_total{none,success}": 1, "qrgate_qr_wait_duration_seconds{success}": 1}},
		"not yet": {session.Event{Kind: session.EventWait, Outcome: session.Failure, Diagnosis: diagnosis.None},
			map[string]float64{"qrgate_qr_waits_total{none,failure}": 1, "qrgate_qr_wait_duration_seconds{failure}": 1}},
		"waited, and linked": {session.Event{Kind: session.EventWait, Outcome: session.Failure, Diagnosis: diagnosis.AlreadyPaired},
			map[string]float64{"qrgate_qr_waits_total{already_paired,failure}": 1, "qrgate_qr_wait_duration_seconds{failure}": 1}},
		"a client left": {session.Event{Kind: session.EventWait, Outcome: session.Abandoned},
			map[string]float64{"qrgate_qr_waits_total{client_gone,abandoned}": 1, "qrgate_qr_wait_duration_seconds{abandoned}": 1}},
		"a probe's hold": {session.Event{Kind: session.EventWait, Traffic: session.SyntheticTraffic}, map[string]float64{}},
	} {
		m := full(t)
		if diff := cmp.Diff(x.want, changed(t, m, func() { m.ObserveEvent(x.event) })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestMetricsObserve_EngineResponseSetsEngineUp(t *testing.T) {
	t.Parallel()
	m := full(t)
	m.Health(diagnosis.EngineUnreachable)
	got := changed(t, m, func() {
		m.ObserveEvent(session.Event{Kind: session.EventEngineCall, Op: session.OpList, ErrorKind: session.KindNotReady})
	})
	if got["qrgate_engine_up{}"] != 1 {
		t.Errorf("an engine that responds is not up: %v", got)
	}
}

// A refused health check has reached an engine, so QRGateEngineDown must not fire.
func TestMetricsHealth_OnlyConclusiveResultsChangeEngineUp(t *testing.T) {
	t.Parallel()
	for why, want := range map[diagnosis.Code][2]float64{ // :: what it found → up, if it was down and if it was up
		diagnosis.None: {1, 1}, diagnosis.Engine5xx: {1, 1}, diagnosis.EngineBadResponse: {1, 1}, diagnosis.KeyRefused: {1, 1}, diagnosis.RateLimited: {1, 1},
		diagnosis.EngineUnreachable: {0, 0}, diagnosis.EngineTimeout: {0, 0},
		diagnosis.Internal: {0, 1}, diagnosis.Undetermined: {0, 1},
	} {
		for was, before := range []diagnosis.Code{diagnosis.EngineUnreachable, diagnosis.None} {
			m := full(t)
			m.Health(before)
			got := changed(t, m, func() { m.Health(why) })["qrgate_engine_up{}"] // how far it moved
			if now := float64(was) + got; now != want[was] {
				t.Errorf("up is %v after %v and a check that found %s, want %v", now, was, why, want[was])
			}
		}
	}
}

func TestMetricsStore_CountsOperationsAndFailures(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		op   string
		err  error
		want map[string]float64
	}{
		"fine":     {"get", nil, map[string]float64{"qrgate_store_operation_duration_seconds{get}": 1}},
		"a race":   {"put", fmt.Errorf("put: %w", store.ErrVersionConflict), map[string]float64{"qrgate_store_operation_duration_seconds{put}": 1}},
		"gone":     {"acquire", store.ErrStoreUnavailable, map[string]float64{"qrgate_store_operation_duration_seconds{acquire}": 1, "qrgate_store_operation_failures_total{acquire}": 1}},
		"no such":  {"flushall", errors.New("no"), map[string]float64{}},
		"released": {"release", nil, map[string]float64{"qrgate_store_operation_duration_seconds{release}": 1}},
	} {
		m := full(t)
		if diff := cmp.Diff(x.want, changed(t, m, func() { m.Store(x.op, time.Millisecond, x.err) })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestGauges_AreReadDuringScrape(t *testing.T) {
	t.Parallel()
	now := metrics.GaugeValues{Sessions: map[session.State]int{session.Connecting: 2, "strange": 9}, Waiters: 3, Limit: 10, Remaining: -1}
	m := metrics.New(metrics.Config{Read: func() metrics.GaugeValues { return now }})
	before := series(t, m)
	if before["qrgate_sessions{connecting}"] != 2 || before["qrgate_waiters{}"] != 3 || before["qrgate_waiters_limit{}"] != 10 {
		t.Errorf("wrong readings: %v", before)
	}
	if _, ok := before["qrgate_engine_rate_limit_remaining{}"]; ok {
		t.Error("a rate limit is reported that no engine stated")
	}
	now.Remaining = 0
	now.Waiters = 4
	now.Circuit = "half_open"
	after := series(t, m)
	if left, ok := after["qrgate_engine_rate_limit_remaining{}"]; !ok || left != 0 || after["qrgate_waiters{}"] != 4 {
		t.Errorf("a spent budget reads %v, %v", left, ok)
	}
	if diff := cmp.Diff([]float64{1, 0, 0}, circuit(before)); diff != "" {
		t.Errorf("without a breaker: %s", diff)
	}
	if diff := cmp.Diff([]float64{0, 1, 0}, circuit(after)); diff != "" {
		t.Errorf("while it tries: %s", diff)
	}
}

// circuit is the reported state of the breaker: closed, half open, open.
func circuit(now map[string]float64) []float64 {
	const name = "qrgate_engine_circuit_state"
	return []float64{now[name+"{closed}"], now[name+"{half_open}"], now[name+"{open}"]}
}
