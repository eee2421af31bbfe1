package acquire

import (
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
)

func openBook(t *testing.T) (*sessionStore, recordKey) {
	t.Helper()
	vault, err := seal.NewVault(secret.NewSecret("a secret of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	c := session.Caller{Key: secret.NewSecret("key-a")}
	c.Tenant = vault.Tenant(c.Credential())
	return &sessionStore{vault, memory.New(memory.Config{}), func(session.Event) {}}, recordKey{c, "1"}
}

// What is read is what was written, with the times as they are; a code outlives neither itself nor the
// state that it belongs to.
func TestBook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, p := openBook(t)
		now := time.Now()
		s := session.Session{Ref: session.Ref{ID: 1, Name: "crm-1"}, CreatedHere: true}.AfterConnect(session.Connect, now)
		s = s.AfterPoll(session.SessionReport{Image: secret.NewSecret("a code")}, nil, now.Add(time.Second))
		time.Sleep(time.Second)
		version, err := b.save(t.Context(), p, s, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		got, read, err := b.load(t.Context(), p, time.Now())
		if err != nil || read != version || got.State != session.AwaitingScan || got.QR.Image.Reveal() != "a code" ||
			!got.QR.Expires.Equal(s.QR.Expires) || !got.QR.Seen.Equal(s.QR.Seen) || !got.ConnectedAt.Equal(s.ConnectedAt) {
			t.Errorf("%v %d %+v", err, read, got)
		}
		linked := s.AfterPoll(session.SessionReport{State: session.Connected}, nil, time.Now())
		if version, err = b.save(t.Context(), p, linked, version, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got, _, _ = b.load(t.Context(), p, time.Now()); got.QR.Present() {
			t.Error("a linked session has a code")
		}
		if _, err = b.save(t.Context(), p, s, version, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, _, _ = b.load(t.Context(), p, time.Now()); got.QR.Present() || got.Ref.Name != "crm-1" {
			t.Errorf("after a minute: %+v", got)
		}
	})
}

// A record opens for its own key, session and kind alone, and a deleted one stays away from late writers.
func TestBookKeepsApart(t *testing.T) {
	t.Parallel()
	b, p := openBook(t)
	mismatches := 0
	b.observe = func(e session.Event) { mismatches++ }
	now := time.Now()
	s := session.Session{Ref: session.Ref{ID: 1}}.AfterConnect(session.Connect, now)
	if _, err := b.save(t.Context(), p, s, 0, now); err != nil {
		t.Fatal(err)
	}
	records, err := b.store.Get(t.Context(), b.key(p, "st"))
	if err != nil || len(records[0].Value) == 0 {
		t.Fatalf("nothing is stored: %v", err)
	}
	other := p
	other.caller.Key = secret.NewSecret("key-b")
	elsewhere := p
	elsewhere.name = "2"
	var kept storedSession
	for name, open := range map[string]func() bool{
		"another key":     func() bool { return b.open(other, "st", records[0], &kept) },
		"another session": func() bool { return b.open(elsewhere, "st", records[0], &kept) },
		"another kind":    func() bool { return b.open(p, "qr", records[0], &kept) },
	} {
		if open() {
			t.Errorf("it opens for %s", name)
		}
	}
	if mismatches != 3 {
		t.Errorf("%d mismatches were counted", mismatches)
	}
	if err := b.tombstone(t.Context(), p, now); err != nil {
		t.Fatal(err)
	}
	if _, err := b.save(t.Context(), p, s, 0, now); err == nil {
		t.Error("a late writer brought a deleted session back")
	}
}
