// Package pairpage has what a person needs who links a phone without a key: links, and the page that they open.
package pairpage

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// Lifetimes of links.
const (
	DefaultTTL = 15 * time.Minute
	MaxTTL     = 30 * time.Minute
)

// ErrNoLink means that a token belongs to no link: it is wrong, expired, or revoked.
var ErrNoLink = errors.New("there is no such link")

// Link lets its holder link one session with the credential of the caller who issued it.
type Link struct {
	Ref         session.Ref `json:"ref"`
	Key         string      `json:"key"` // the credential; gone after the link was used
	Bearer      string      `json:"bearer"`
	Locale      string      `json:"locale"` // "": the browser's language
	RedirectURL string      `json:"redirect_url"`
	ByPhone     bool        `json:"by_phone"` // the engine pairs by phone number
	IssuedAt    time.Time   `json:"issued_at"`
	ExpiresAt   time.Time   `json:"expires_at"`
	IsUsed      bool        `json:"is_used"` // the session was linked
	CodesAsked  int         `json:"codes_asked"`
	Generation  int64       `json:"generation"` // a revocation with a later one ends the link
	Revocations string      `json:"revocations"`

	token   secret.Secret
	version int64
}

// Caller is the caller who issued the link.
func (l *Link) Caller() session.Caller {
	return session.Caller{Key: secret.NewSecret(l.Key), Bearer: secret.NewSecret(l.Bearer)}
}

// Links keeps links in a store, which all replicas may share. The store has no token: a link is sealed under a key that
// is derived from its token, and found by a digest of it.
type Links struct {
	sealer *seal.Sealer
	store  store.Store
}

// NewLinks returns the links of a store.
func NewLinks(sealer *seal.Sealer, s store.Store) *Links { return &Links{sealer, s} }

// Issue makes a link for a caller, and returns its token.
func (k *Links) Issue(ctx context.Context, c session.Caller, l Link) (string, error) {
	l.Key, l.Bearer = c.Key.Reveal(), c.Bearer.Reveal()
	l.Revocations = k.revocationKey(c, l.Ref)
	revoked, err := k.store.Get(ctx, l.Revocations)
	if err != nil {
		return "", err
	}
	l.Generation, l.token = revoked[0].Version, secret.NewSecret(rand.Text())
	return l.token.Reveal(), k.save(ctx, &l)
}

// Find returns the link of a token.
func (k *Links) Find(ctx context.Context, token string) (*Link, error) {
	l := &Link{token: secret.NewSecret(token)}
	key := k.key(l.token)
	records, err := k.store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	plain, err := k.sealer.Open(l.token, key, records[0].Value)
	if err != nil || json.Unmarshal(plain, l) != nil || !time.Now().Before(l.ExpiresAt) {
		return nil, ErrNoLink
	}
	l.version = records[0].Version
	revoked, err := k.store.Get(ctx, l.Revocations)
	if err != nil || revoked[0].Version > l.Generation {
		return nil, cmp.Or(err, ErrNoLink)
	}
	return l, nil
}

// Use ends a link whose session was linked. Its credential is removed from the store.
func (k *Links) Use(ctx context.Context, l *Link) error {
	used := *l
	used.Key, used.Bearer, used.IsUsed = "", "", true
	return k.save(ctx, &used)
}

// maxCodes is how many pairing codes the holder of a link may request: each one alerts the phone of a number.
const maxCodes = 5

// CountCode counts a request for a pairing code, and reports whether the link allows it.
func (k *Links) CountCode(ctx context.Context, l *Link) bool {
	counted := *l
	counted.CodesAsked++
	return counted.CodesAsked <= maxCodes && k.save(ctx, &counted) == nil
}

// Revoke ends all links of a session that the caller issued, on every replica.
func (k *Links) Revoke(ctx context.Context, c session.Caller, r session.Ref) error {
	var err error
	for _, known := range []session.Ref{{ID: r.ID}, {Name: r.Name}} { // a link may be older than one of the two
		if !known.IsZero() {
			err = errors.Join(err, k.revoke(ctx, k.revocationKey(c, known)))
		}
	}
	return err
}

func (k *Links) revoke(ctx context.Context, key string) error {
	for {
		now, err := k.store.Get(ctx, key)
		if err != nil {
			return err
		}
		version := max(now[0].Version+1, time.Now().UnixMilli())
		next := store.Record{Version: version, Value: []byte{1}, TTL: MaxTTL + time.Minute}
		if err := k.store.Put(ctx, key, now[0].Version, next); !errors.Is(err, store.ErrVersionConflict) {
			return err
		}
	}
}

// Watch signals when links of the session may have been revoked; stop ends it.
func (k *Links) Watch(l *Link) (changed <-chan struct{}, stop func()) {
	return k.store.Watch(l.Revocations)
}

func (k *Links) save(ctx context.Context, l *Link) error {
	plain, err := json.Marshal(l)
	if err != nil {
		return err
	}
	key := k.key(l.token)
	sealed, err := k.sealer.Seal(l.token, key, plain)
	if err != nil {
		return err
	}
	r := store.Record{Version: l.version + 1, Value: sealed, TTL: time.Until(l.ExpiresAt)}
	return k.store.Put(ctx, key, l.version, r)
}

func (k *Links) key(token secret.Secret) string {
	return "{pair." + k.sealer.Digest("", token.Reveal()) + "}:ln"
}

func (k *Links) revocationKey(c session.Caller, r session.Ref) string {
	return "{" + string(c.Tenant) + "." + k.sealer.Digest(c.Tenant, r.CacheKey()) + "}:rv"
}

// IsToken reports whether a text has the form of a token. Any other text costs no request to the store.
func IsToken(text string) bool {
	return len(text) == len(rand.Text()) && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// Token is the link's token.
func (l *Link) Token() string { return l.token.Reveal() }
