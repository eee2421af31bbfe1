package whatsappsim

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// ErrCode means that no client shows a pairing code for the account, or that it shows another one.
var ErrCode = errors.New("whatsappsim: the pairing code is not valid")

// linkCode is the pairing by a code of eight characters that the phone's owner enters.
type linkCode struct {
	user    string
	wrapped []byte // the client's ephemeral key, encrypted under the code
	ref     []byte

	account   Account
	key       *ecdh.PrivateKey // of the phone, for this pairing
	companion []byte           // the client's ephemeral key
	finished  chan code
	at        time.Time // when the code was requested
}

// linkCodeStage handles the client's two messages and returns the content of the response.
func (s *Server) linkCodeStage(c *conn, n waBinary.Node) []waBinary.Node {
	content := func(tag string) []byte {
		b, _ := n.GetChildByTag(tag).Content.([]byte)
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.Attrs["stage"] == "companion_hello" {
		jid, _ := n.Attrs["jid"].(types.JID)
		c.link = &linkCode{user: jid.User, ref: []byte(newRef(0)), finished: make(chan code, 1), at: time.Now(),
			wrapped: content("link_code_pairing_wrapped_companion_ephemeral_pub")}
		return []waBinary.Node{{Tag: "link_code_companion_reg", Content: []waBinary.Node{
			{Tag: "link_code_pairing_ref", Content: c.link.ref}}}}
	}
	if l := c.link; l != nil && l.key != nil {
		q, err := l.open(content("link_code_pairing_wrapped_key_bundle"), content("companion_identity_public"))
		if err == nil {
			q.noise = c.noiseKey
		}
		l.finished <- q // without an identity if the client used another code
		c.link = nil
	}
	return nil
}

// EnterCode simulates a phone of account a whose owner enters a pairing code, with or without its hyphen. It returns
// when the client has signed; restart and login follow.
func (s *Server) EnterCode(ctx context.Context, text string, a Account) error {
	user, err := a.number()
	if err != nil {
		return err
	}
	if a, err = s.withDefaults(a, user); err != nil {
		return err
	}
	c, l := s.findLinkCode(a.User)
	if c == nil || len(l.wrapped) != 80 {
		return ErrCode
	}
	text = strings.ReplaceAll(text, "-", "")
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	companion, err := cryptWithCode(text, l.wrapped[:48], l.wrapped[48:])
	if err != nil {
		return err
	}
	prefix := make([]byte, 48)
	_, _ = rand.Read(prefix) // never fails
	wrapped, err := cryptWithCode(text, prefix, key.PublicKey().Bytes())
	if err != nil {
		return err
	}
	s.mu.Lock()
	l.account, l.key, l.companion = a, key, companion
	s.mu.Unlock()
	err = s.send(c, notification("link_code_companion_reg", waBinary.Node{Tag: "link_code_companion_reg",
		Attrs: waBinary.Attrs{"stage": "primary_hello"}, Content: []waBinary.Node{
			{Tag: "link_code_pairing_wrapped_primary_ephemeral_pub", Content: append(prefix, wrapped...)},
			{Tag: "primary_identity_pub", Content: fixedKey(phoneSeed + a.User).PublicKey().Bytes()},
			{Tag: "link_code_pairing_ref", Content: l.ref},
		}}))
	if err != nil {
		return err
	}
	select {
	case q := <-l.finished:
		if q.identity == nil {
			return ErrCode
		}
		return s.pair(ctx, c, q, a)
	case <-c.ctx.Done():
		return ErrRefused
	case <-ctx.Done():
		return ctx.Err()
	}
}

// findLinkCode returns the connection that shows a code for a number.
func (s *Server) findLinkCode(user string) (*conn, *linkCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest *conn // a later code of a number ends an earlier one
	for c := range s.state.conns {
		if c.link != nil && c.link.user == user && (newest == nil || c.link.at.After(newest.link.at)) {
			newest = c
		}
	}
	if newest == nil {
		return nil, nil
	}
	return newest, newest.link
}

// open reads the client's last message: its identity and the secret that authenticates pair-success.
func (l *linkCode) open(bundle, identity []byte) (code, error) {
	if len(bundle) < 44 {
		return code{}, ErrCode
	}
	companion, err := ecdh.X25519().NewPublicKey(l.companion)
	if err != nil {
		return code{}, err
	}
	shared, err := l.key.ECDH(companion)
	if err != nil {
		return code{}, err
	}
	key, err := hkdf.Key(sha256.New, shared, bundle[:32], "link_code_pairing_key_bundle_encryption_key", 32)
	if err != nil {
		return code{}, err
	}
	plain, err := openGCM(key, bundle[32:44], bundle[44:])
	if err != nil || len(plain) != 96 {
		return code{}, ErrCode
	}
	public, err := ecdh.X25519().NewPublicKey(identity)
	if err != nil {
		return code{}, err
	}
	both, err := fixedKey(phoneSeed + l.user).ECDH(public)
	if err != nil {
		return code{}, err
	}
	adv, err := hkdf.Key(sha256.New, append(append(shared, both...), plain[64:]...), nil, "adv_secret", 32)
	return code{identity: identity, adv: adv}, err
}

// cryptWithCode encrypts or decrypts under a pairing code; prefix is salt and counter.
func cryptWithCode(text string, prefix, data []byte) ([]byte, error) {
	key, err := pbkdf2.Key(sha256.New, text, prefix[:32], 2<<16, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	cipher.NewCTR(block, prefix[32:48]).XORKeyStream(out, data)
	return out, nil
}
