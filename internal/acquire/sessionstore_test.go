package acquire

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
)

func newSessionStore(t *testing.T) (*sessionStore, recordKey) {
	t.Helper()
	vault, err := seal.New(secret.NewSecret("a secret of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	c := session.Caller{Key: secret.NewSecret("key-a")}
	c.Tenant = vault.Tenant(c.Credential())
	return &sessionStore{vault, memory.New(memory.Config{}), func(session.Event) {}}, recordKey{c, "1"}
}

// What is read is what was written, with the times as they are; a code outlives neither itself nor the
// state that it belongs to.
func TestSessionStore_LoadReturnsWhatWasSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, p := newSessionStore(t)
		now := time.Now()
		s := session.Session{Ref: session.Ref{ID: 1, Name: "crm-1"}, CreatedHere: true}.AfterConnect(now)
		s = s.AfterPoll(session.SessionReport{Image: secret.NewSecret("a code")}, nil, now.Add(time.Second))
		time.Sleep(time.Second)
		version, err := b.save(t.Context(), p, s, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		got, read, err := b.load(t.Context(), p, time.Now())
		if err != nil || read != version || got.State != session.AwaitingScan || got.QR.Image.Reveal() != "a code" ||
			!got.QR.ExpiresAt.Equal(s.QR.ExpiresAt) || !got.QR.SeenAt.Equal(s.QR.SeenAt) || !got.ConnectedAt.Equal(s.ConnectedAt) {
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
func TestSessionStore_KeepsCallersApart(t *testing.T) {
	t.Parallel()
	b, p := newSessionStore(t)
	mismatches := 0
	b.onEvent = func(e session.Event) { mismatches++ }
	now := time.Now()
	s := session.Session{Ref: session.Ref{ID: 1}}.AfterConnect(now)
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
	if err := b.deleteSession(t.Context(), p, now); err != nil {
		t.Fatal(err)
	}
	if _, err := b.save(t.Context(), p, s, 0, now); err == nil {
		t.Error("a late writer brought a deleted session back")
	}
}

// Every time in a session, however deep it stands, is moved by the difference of the clocks.
func TestShiftTimes_MovesEveryTimeField(t *testing.T) {
	t.Parallel()
	var s session.Session
	fields := 0
	eachTime(reflect.ValueOf(&s).Elem(), func(at *time.Time) {
		fields++
		*at = t0.Add(time.Duration(fields) * time.Second)
	})
	if fields < 20 {
		t.Fatalf("only %d times were found", fields)
	}
	shiftTimes(reflect.ValueOf(&s).Elem(), time.Hour)
	n := 0
	eachTime(reflect.ValueOf(&s).Elem(), func(at *time.Time) {
		n++
		if want := t0.Add(time.Duration(n)*time.Second + time.Hour); !at.Equal(want) {
			t.Errorf("time %d of %d is %v, want %v", n, fields, at, want)
		}
	})
	var zero session.Session
	shiftTimes(reflect.ValueOf(&zero).Elem(), time.Hour)
	if zero != (session.Session{}) {
		t.Error("a zero time was moved")
	}
}

// eachTime visits the times in v in the order of their declaration.
func eachTime(v reflect.Value, visit func(*time.Time)) {
	if at, ok := v.Addr().Interface().(*time.Time); ok {
		visit(at)
		return
	}
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[secret.Secret]() {
		return
	}
	for i := range v.NumField() {
		eachTime(v.Field(i), visit)
	}
}

// A reader whose clock differs from the writer's sees the session's times on its own clock.
func TestSessionStore_CorrectsTheClockOfAnotherHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, k := newSessionStore(t)
		ahead := time.Now().Add(time.Hour) // the writer's clock
		s := session.Session{Ref: session.Ref{ID: 1}}.AfterConnect(ahead)
		if _, err := st.save(t.Context(), k, s, 0, ahead); err != nil {
			t.Fatal(err)
		}
		got, _, err := st.load(t.Context(), k, time.Now())
		if err != nil || !got.ConnectedAt.Equal(time.Now()) || !got.AcquiringSince.Equal(time.Now()) {
			t.Errorf("connected at %v, want %v; %v", got.ConnectedAt, time.Now(), err)
		}
	})
}
