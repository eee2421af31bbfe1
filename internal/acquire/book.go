package acquire

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// Lives of what is stored. A code's record lives exactly as long as the code.
const (
	beliefLife   = 15 * time.Minute
	aliasLife    = 24 * time.Hour
	tombstoneTTL = time.Minute
)

// sessionStore keeps beliefs in a store: sealed for the credential that they were obtained with, and in two
// records, because a code must not outlive itself.
type sessionStore struct {
	vault   *seal.Sealer
	store   store.Store
	observe session.EventHandler
}

// recordKey is where a session's records are.
type recordKey struct {
	caller session.Caller
	name   string // canonical name of the session
}

func (b *sessionStore) key(p recordKey, kind string) string {
	return fmt.Sprintf("{%s.%s}:%s", p.caller.Tenant, b.vault.Digest(p.caller.Tenant, p.name), kind)
}

// storedSession is a session as stored, with what a reader on another host needs to set its clock right.
type storedSession struct {
	Session session.Session `json:"session"`
	Saved   time.Time       `json:"saved"`
}

// storedQR is a QR as stored.
type storedQR struct {
	Image     string        `json:"image"`
	Sequence  int           `json:"sequence"`
	Age       time.Duration `json:"age"`       // when it was saved
	Confirmed time.Duration `json:"confirmed"` // how long before it was saved
	Life      time.Duration `json:"life"`      // that was left
}

// load reads what is believed of a session; version 0 means that nothing is.
func (b *sessionStore) load(ctx context.Context, p recordKey, now time.Time) (session.Session, int64, error) {
	records, err := b.store.Get(ctx, b.key(p, "st"), b.key(p, "qr"))
	if err != nil {
		return session.Session{}, 0, err
	}
	version := records[0].Version
	var kept storedSession
	if !b.open(p, "st", records[0], &kept) {
		return session.Session{}, version, nil
	}
	s := kept.Session.Shifted(now.Add(records[0].TTL - beliefLife).Sub(kept.Saved))
	var c storedQR
	if s.State == session.AwaitingScan && b.open(p, "qr", records[1], &c) && c.Sequence == s.Sequence {
		saved := now.Add(records[1].TTL - c.Life)
		s.QR = session.QR{Image: secret.NewSecret(c.Image), Sequence: c.Sequence, Seen: saved.Add(-c.Age),
			Confirmed: saved.Add(-c.Confirmed), Expires: now.Add(records[1].TTL)}
	}
	return s, version, nil
}

// save writes what is believed, and returns its version. It returns qrgate.ErrVersionConflict when somebody else
// has written since prev was read.
func (b *sessionStore) save(ctx context.Context, p recordKey, s session.Session, prev int64, now time.Time) (int64, error) {
	version := max(prev+1, now.UnixMilli())
	if s.QR.Present() && s.QR.TTL(now) > 0 {
		c := storedQR{Image: s.QR.Image.Reveal(), Sequence: s.QR.Sequence, Age: now.Sub(s.QR.Seen),
			Confirmed: now.Sub(s.QR.Confirmed), Life: s.QR.TTL(now)}
		r, err := b.sealed(p, "qr", c, store.Record{Version: version, TTL: c.Life})
		if err != nil {
			return prev, err
		}
		if err := b.store.Put(ctx, b.key(p, "qr"), version-1, r); err != nil && !errors.Is(err, store.ErrVersionConflict) {
			return prev, err
		}
	}
	r, err := b.sealed(p, "st", storedSession{s, now}, store.Record{Version: version, TTL: beliefLife})
	if err != nil {
		return prev, err
	}
	if err := b.store.Put(ctx, b.key(p, "st"), prev, r); err != nil {
		return prev, err
	}
	return version, nil
}

// tombstone forgets a session so that no late writer brings it back.
func (b *sessionStore) tombstone(ctx context.Context, p recordKey, now time.Time) error {
	grave := store.Record{Version: now.UnixMilli() + 1, TTL: tombstoneTTL}
	return errors.Join(
		b.store.Put(ctx, b.key(p, "qr"), grave.Version-1, grave),
		b.store.Put(ctx, b.key(p, "st"), grave.Version-1, grave),
	)
}

// deleteAlias forgets what a name means.
func (b *sessionStore) deleteAlias(ctx context.Context, p recordKey, now time.Time) error {
	grave := store.Record{Version: now.UnixMilli() + 1, TTL: time.Second}
	return b.store.Put(ctx, b.key(p, "id"), grave.Version-1, grave)
}

// alias remembers which ref a name means; meant reads it.
func (b *sessionStore) alias(ctx context.Context, p recordKey, r session.Ref, now time.Time) error {
	sealed, err := b.sealed(p, "id", r, store.Record{Version: now.UnixMilli(), TTL: aliasLife})
	if err != nil {
		return err
	}
	if err := b.store.Put(ctx, b.key(p, "id"), sealed.Version-1, sealed); !errors.Is(err, store.ErrVersionConflict) {
		return err
	}
	return nil
}

func (b *sessionStore) lookupAlias(ctx context.Context, p recordKey) (session.Ref, bool) {
	records, err := b.store.Get(ctx, b.key(p, "id"))
	var r session.Ref
	return r, err == nil && b.open(p, "id", records[0], &r)
}

// sealed fills r.Value: sixteen plain bytes, the version and the life, then v under a key of the caller,
// bound to tenant, session, kind, version and life.
func (b *sessionStore) sealed(p recordKey, kind string, v any, r store.Record) (store.Record, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return r, err
	}
	head := make([]byte, 16, 16+len(plain)+28)
	binary.BigEndian.PutUint64(head[:8], uint64(r.Version))
	binary.BigEndian.PutUint64(head[8:], uint64(r.TTL))
	sealed, err := b.vault.Seal(p.caller.Credential(), aad(p, kind, head), plain)
	r.Value = append(head, sealed...)
	return r, err
}

// open reads r into v. What does not open is absent, and counted: somebody mixed the store's answers up.
func (b *sessionStore) open(p recordKey, kind string, r store.Record, v any) bool {
	if len(r.Value) == 0 {
		return false
	}
	if len(r.Value) > 16 {
		plain, err := b.vault.Open(p.caller.Credential(), aad(p, kind, r.Value[:16]), r.Value[16:])
		if err == nil && json.Unmarshal(plain, v) == nil {
			return true
		}
	}
	b.observe(session.Event{Kind: session.EventDecryptFailed, At: time.Now(), Traffic: p.caller.Traffic})
	return false
}

func aad(p recordKey, kind string, head []byte) string {
	return fmt.Sprintf("%s\x00%s\x00%s\x00%x", p.caller.Tenant, p.name, kind, head)
}
