package acquire

import (
	"context"
	"reflect"
	"testing"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/store"
)

// A record of another version of qrgate is read without harm, whatever it contains. A record that was altered, or is
// another session's, is absent.
func FuzzStoredRecords(f *testing.F) {
	f.Add([]byte(`{"session":{"Ref":{"ID":7},"State":"awaiting_scan","Sequence":1},"saved_at":"2026-01-01T00:00:00Z"}`), uint16(0), byte(1))
	f.Add([]byte(`{"session":{"State":7},"saved_at":"0001-01-01T00:00:00Z"}`), uint16(20), byte(0x80))
	f.Add([]byte(`{"windows":[{"Max":30,"Remaining":-5,"Reset":9223372036854775807,"Length":-1}],"pause":-9223372036854775808}`), uint16(9), byte(3))
	f.Add([]byte(`{"image":"data:","qr":{"Sequence":1,"ExpiresAt":"9999-12-31T23:59:59Z"}}`), uint16(1000), byte(0))
	f.Fuzz(func(t *testing.T, plain []byte, at uint16, change byte) {
		st, k := newSessionStore(t)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		head := make([]byte, 16)
		for _, kind := range []string{kindSession, kindQR, kindAlias, kindLimits} {
			value, err := st.sealer.Seal(k.caller.Credential(), aad(k, kind, head), plain)
			if err != nil {
				t.Fatal(err)
			}
			putRaw(t, st, k, kind, append(head[:16:16], value...))
		}
		s, _, err := st.load(t.Context(), k, now)
		if err != nil || s.QR.Present() && s.State != session.AwaitingScan {
			t.Errorf("loaded %+v, %v", s, err)
		}
		_, _ = st.lookupAlias(t.Context(), k)
		checkLimits(t, st, k, now)

		records, _ := st.store.Get(t.Context(), st.key(k, kindSession))
		altered := append([]byte(nil), records[0].Value...)
		altered[int(at)%len(altered)] ^= change | 1
		other := recordKey{k.caller, "another session"}
		putRaw(t, st, other, kindSession, altered)
		putRaw(t, st, other, kindQR, records[0].Value)
		if s, version, err := st.load(t.Context(), other, now); err != nil || version == 0 || !reflect.ValueOf(s).IsZero() {
			t.Errorf("of another session: %+v, %v", s, err)
		}
		again := recordKey{k.caller, k.name}
		if err := st.store.Put(t.Context(), st.key(again, kindSession), 1, store.Record{Version: 2, Value: altered, TTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if s, _, err := st.load(t.Context(), again, now); err != nil || !reflect.ValueOf(s).IsZero() {
			t.Errorf("altered: %+v, %v", s, err)
		}
	})
}

func putRaw(t *testing.T, st *sessionStore, k recordKey, kind string, value []byte) {
	t.Helper()
	err := st.store.Put(context.Background(), st.key(k, kind), 0, store.Record{Version: 1, Value: value, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
}

// checkLimits merges a record of limits into those that a replica knows.
func checkLimits(t *testing.T, st *sessionStore, k recordKey, now time.Time) {
	t.Helper()
	records, _ := st.store.Get(t.Context(), st.key(k, kindLimits))
	var stored storedLimits
	if !st.open(k, kindLimits, records[0], &stored) {
		return
	}
	mine := rateLimiter{}.update([]session.RateLimit{{Max: 30, Remaining: 20, Reset: time.Minute}}, now)
	merged := mine.merge(stored, now, 1, true, now)
	for _, w := range merged.windows {
		if w.remaining < 0 {
			t.Errorf("%+v", merged)
		}
	}
	_ = merged.consume(now).export(now)
}
