package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
)

var epoch = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// play runs decide every five seconds while condition names the active alerts, and returns "minute kind alert" of every
// message.
func play(length time.Duration, mayEnd bool, active func(at time.Duration) []string) (messages []string, last state) {
	for at := time.Duration(0); at <= length; at += judgeInterval {
		findings := map[string]finding{}
		for _, name := range active(at) {
			findings[name] = finding{"all users", diagnosis.EngineUnreachable}
		}
		var due []Message
		last, due = decide(last, findings, mayEnd, epoch.Add(at))
		for _, m := range due {
			messages = append(messages, fmt.Sprintf("%v %s %s", at, m.Kind, strings.TrimPrefix(m.Alert, "QRGate")))
		}
	}
	return messages, last
}

func between(from, to time.Duration, names ...string) func(time.Duration) []string {
	return func(at time.Duration) []string {
		if at >= from && at < to {
			return names
		}
		return nil
	}
}

func TestDecide_SendsBeginReminderAndEnd(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for name, x := range map[string]struct {
		length time.Duration
		active func(time.Duration) []string
		want   []string
	}{
		"short outage":   {time.Hour, between(0, 20*time.Second, "QRGateEngineDown"), nil},
		"outage":         {time.Hour, between(0, 10*minute, "QRGateEngineDown"), []string{"30s begin EngineDown", "16m55s end EngineDown"}},
		"long outage":    {5 * time.Hour, between(0, 4*time.Hour, "QRGateEngineDown"), []string{"30s begin EngineDown", "1h0m30s reminder EngineDown", "4h6m55s end EngineDown"}},
		"cause inhibits": {10 * minute, between(0, time.Hour, "QRGateEngineDown", "QRGateNoQRDelivered", "QRGateProbeNotSucceeding"), []string{"30s begin EngineDown"}},
		"two outages":    {10 * minute, between(0, time.Hour, "QRGateEngineDown", "QRGateRedisDown"), []string{"30s begin EngineDown", "30s begin RedisDown"}},
	} {
		if got, _ := play(x.length, true, x.active); !slices.Equal(got, x.want) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

// A replica that just started does not know that an outage is over.
func TestDecide_UnsettledReplicaEndsNothing(t *testing.T) {
	t.Parallel()
	got, last := play(time.Hour, false, between(0, 5*time.Minute, "QRGateEngineDown"))
	if len(got) != 1 || last.Alerts["QRGateEngineDown"].BegunAt.IsZero() {
		t.Errorf("messages %q, state %+v", got, last)
	}
}

func TestDecide_FlappingSendsAtMostSixMessagesAnHour(t *testing.T) {
	t.Parallel()
	const length = 20 * time.Hour
	names := []string{"QRGateNoQRDelivered", whatsAppUnreachable, "QRGateProbeStale", "QRGateRedisDown"}
	got, _ := play(length, true, func(at time.Duration) []string {
		var active []string
		for i, name := range names { // 1,000 periods of all together
			if period := time.Duration(3+i) * time.Minute; at%period < 90*time.Second {
				active = append(active, name)
			}
		}
		return active
	})
	var times []time.Duration
	for _, m := range got {
		at, err := time.ParseDuration(strings.Fields(m)[0])
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, at)
	}
	for i, at := range times {
		if j := i + maxPerHour; j < len(times) && times[j]-at <= time.Hour {
			t.Errorf("%d messages from %v to %v", maxPerHour+1, at, times[j])
		}
	}
	if len(times) < 20 {
		t.Errorf("only %d messages: %q", len(times), got)
	}
}

// One flapping alert leaves messages to others.
func TestDecide_FlappingAlertDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	got, _ := play(2*time.Hour, true, func(at time.Duration) []string {
		active := []string{}
		if at%(5*time.Minute) < 2*time.Minute {
			active = append(active, "QRGateNoQRDelivered")
		}
		if at >= 100*time.Minute {
			active = append(active, "QRGateRedisDown")
		}
		return active
	})
	if !slices.Contains(got, "1h40m30s begin RedisDown") {
		t.Errorf("%q", got)
	}
}

func TestMessage_NamesCauseActionAndPeriod(t *testing.T) {
	t.Parallel()
	_, messages := decide(state{Alerts: map[string]record{
		"QRGateEngineDown": {PendingSince: epoch, ActiveAt: epoch, FiringSince: epoch},
	}}, map[string]finding{"QRGateEngineDown": {"all users", diagnosis.EngineUnreachable}}, true, epoch.Add(time.Minute))
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	for _, part := range []string{
		"No user can get a QR", "The engine cannot be reached (engine_unreachable)", "What to do (operator): Start the engine",
		"Since: 2026-11-28 12:00:00 UTC, 1m0s", "Affected: all users", "Alert: QRGateEngineDown",
	} {
		if !strings.Contains(messages[0].Text, part) {
			t.Errorf("the message lacks %q: %s", part, messages[0].Text)
		}
	}
	if messages[0].Title != "qrgate: No replica gets a response from the engine" {
		t.Errorf("title %q", messages[0].Title)
	}
}
