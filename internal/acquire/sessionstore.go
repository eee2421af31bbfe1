package acquire

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// How long records live. A code's record lives exactly as long as the code.
const (
	sessionTTL   = 15 * time.Minute
	aliasTTL     = 24 * time.Hour
	tombstoneTTL = time.Minute
	clockSlack   = 250 * time.Millisecond // a difference between two hosts' clocks that is not worth correcting
)

// The kinds of records.
const (
	kindSession = "st"
	kindQR      = "qr"
	kindAlias   = "id"
	kindLease   = "lk"
)

// sessionStore keeps sessions in a store: sealed for the credential that they were obtained with, and in two
// records, because a code must not outlive itself.
type sessionStore struct {
	sealer  *seal.Sealer
	store   store.LeasedStore
	onEvent session.EventHandler
}

// recordKey is where a session's records are.
type recordKey struct {
	caller session.Caller
	name   string // canonical name of the session
}

func aliasKey(c session.Caller, id string) recordKey { return recordKey{c, "alias:" + id} }

func (st *sessionStore) key(k recordKey, kind string) string {
	return fmt.Sprintf("{%s.%s}:%s", k.caller.Tenant, st.sealer.Digest(k.caller.Tenant, k.name), kind)
}

// storedSession is a session as stored, with what a reader on another host needs to correct its times.
type storedSession struct {
	Session session.Session `json:"session"`
	SavedAt time.Time       `json:"saved_at"`
}

// storedQR is a QR as stored.
type storedQR struct {
	Image string     `json:"image"`
	QR    session.QR `json:"qr"` // without its image, which is a secret.Secret
}

// load reads a session; version 0 means that nothing is stored.
func (st *sessionStore) load(ctx context.Context, k recordKey, now time.Time) (session.Session, int64, error) {
	records, err := st.store.Get(ctx, st.key(k, kindSession), st.key(k, kindQR))
	if err != nil {
		return session.Session{}, 0, err
	}
	version := records[0].Version
	var stored storedSession
	if !st.open(k, kindSession, records[0], &stored) {
		return session.Session{}, version, nil
	}
	s := stored.Session
	var q storedQR
	if s.State == session.AwaitingScan && st.open(k, kindQR, records[1], &q) && q.QR.Sequence == s.Sequence {
		s.QR = q.QR
		s.QR.Image = secret.NewSecret(q.Image)
	}
	if skew := now.Add(records[0].TTL - sessionTTL).Sub(stored.SavedAt); skew.Abs() >= clockSlack {
		shiftTimes(reflect.ValueOf(&s).Elem(), skew)
	}
	return s, version, nil
}

// shiftTimes moves every time in v by d, for a reader whose clock differs from the writer's. By reflection, no field is
// forgotten.
func shiftTimes(v reflect.Value, d time.Duration) {
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		if !t.IsZero() {
			*t = t.Add(d)
		}
		return
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			shiftTimes(v.Field(i), d)
		}
	}
}

// save writes a session and returns its version. It returns store.ErrVersionConflict when another replica has
// written since prev was read.
func (st *sessionStore) save(
	ctx context.Context, k recordKey, s session.Session, prev int64, now time.Time,
) (int64, error) {
	version := max(prev+1, now.UnixMilli())
	if s.QR.Present() && s.QR.TTL(now) > 0 {
		q := storedQR{Image: s.QR.Image.Reveal(), QR: s.QR}
		err := st.put(ctx, k, kindQR, q, version-1, store.Record{Version: version, TTL: s.QR.TTL(now)})
		if err != nil && !errors.Is(err, store.ErrVersionConflict) {
			return prev, err
		}
	}
	err := st.put(ctx, k, kindSession, storedSession{s, now}, prev, store.Record{Version: version, TTL: sessionTTL})
	if err != nil {
		return prev, err
	}
	return version, nil
}

// delete replaces a record of k by a tombstone, so that no late writer brings it back. The record may have been written
// by a replica whose clock is ahead: its version counts then, not the time.
func (st *sessionStore) delete(ctx context.Context, k recordKey, kind string, ttl time.Duration, now time.Time) error {
	key, version := st.key(k, kind), now.UnixMilli()+1
	for range maxSaveAttempts {
		err := st.store.Put(ctx, key, version-1, store.Record{Version: version, TTL: ttl})
		if !errors.Is(err, store.ErrVersionConflict) {
			return err
		}
		records, err := st.store.Get(ctx, key)
		if err != nil {
			return err
		}
		version = records[0].Version + 1
	}
	return store.ErrVersionConflict
}

// deleteSession deletes a session and its code.
func (st *sessionStore) deleteSession(ctx context.Context, k recordKey, now time.Time) error {
	return errors.Join(st.delete(ctx, k, kindQR, tombstoneTTL, now), st.delete(ctx, k, kindSession, tombstoneTTL, now))
}

// saveAlias remembers which ref an id means, unless a newer alias is stored.
func (st *sessionStore) saveAlias(ctx context.Context, k recordKey, r session.Ref, now time.Time) error {
	version := now.UnixMilli()
	err := st.put(ctx, k, kindAlias, r, version-1, store.Record{Version: version, TTL: aliasTTL})
	if errors.Is(err, store.ErrVersionConflict) {
		return nil
	}
	return err
}

// lookupAlias reads which ref an id means.
func (st *sessionStore) lookupAlias(ctx context.Context, k recordKey) (session.Ref, bool) {
	records, err := st.store.Get(ctx, st.key(k, kindAlias))
	var r session.Ref
	return r, err == nil && st.open(k, kindAlias, records[0], &r)
}

// put writes v with the version and the TTL of r: both in sixteen plain bytes, then v, sealed under a key of the caller
// and bound to tenant, session, kind, version and TTL.
func (st *sessionStore) put(ctx context.Context, k recordKey, kind string, v any, prev int64, r store.Record) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(r.Version))
	head = binary.BigEndian.AppendUint64(head, uint64(r.TTL))
	sealed, err := st.sealer.Seal(k.caller.Credential(), aad(k, kind, head), plain)
	if err != nil {
		return err
	}
	r.Value = append(head, sealed...)
	return st.store.Put(ctx, st.key(k, kind), prev, r)
}

// open reads r into v. What does not decrypt is absent, and reported: the store mixed up its responses.
func (st *sessionStore) open(k recordKey, kind string, r store.Record, v any) bool {
	if len(r.Value) == 0 {
		return false
	}
	if len(r.Value) > 16 {
		plain, err := st.sealer.Open(k.caller.Credential(), aad(k, kind, r.Value[:16]), r.Value[16:])
		if err == nil && json.Unmarshal(plain, v) == nil {
			return true
		}
	}
	st.onEvent(session.Event{Kind: session.EventDecryptFailed, At: time.Now(), Traffic: k.caller.Traffic})
	return false
}

// aad is the associated data of a sealed value.
func aad(k recordKey, kind string, head []byte) string {
	return fmt.Sprintf("%s\x00%s\x00%s\x00%x", k.caller.Tenant, k.name, kind, head)
}
