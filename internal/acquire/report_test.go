package acquire_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// changes are the states that a manager reported.
type changes struct {
	mu     sync.Mutex
	states []session.State
	phone  string
}

func (c *changes) record(change session.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if change.Before.State != change.After.State {
		c.states = append(c.states, change.After.State)
	}
	c.phone = change.After.Phone.Reveal()
}

// read returns what was reported.
func (c *changes) read() (states []session.State, phone string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.states), c.phone
}

// With OnChange, the scan of a shown code is noticed although no client asks, within the recorded rate limit, and so
// are later codes and their end.
func TestTracker_ReportsScanWithoutClients(t *testing.T) {
	incident := enginesim.Incident()
	incident.Rotation = enginesim.WhatsAppRotation()
	var scanned changes
	bubbleIn(t, "scan of the second code", incident, func(r *rig) {
		r.connect("key-a", r.createUnlisted("key-a", "crm-1"))
		time.Sleep(90 * time.Second)
		if err := r.engine.Link("crm-1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		want := []session.State{session.Disconnected, session.Connecting, session.AwaitingScan, session.Connected}
		states, phone := scanned.read()
		if diff := cmp.Diff(want, states); diff != "" || phone == "" {
			t.Errorf("phone %q (-want +got)\n%s", phone, diff)
		}
		r.none429()
	}, func(c *acquire.Config) { c.OnChange = scanned.record })

	var expired changes
	bubbleIn(t, "no scan", &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}, func(r *rig) {
		r.connect("key-a", r.createUnlisted("key-a", "crm-1"))
		time.Sleep(5 * time.Minute)
		if states, _ := expired.read(); states[len(states)-1] != session.Disconnected {
			t.Errorf("%v", states)
		}
		if n := r.polls(time.Now().Add(-time.Minute)); n > 0 {
			t.Errorf("%d polls in the last minute", n)
		}
	}, func(c *acquire.Config) { c.OnChange = expired.record })
}
