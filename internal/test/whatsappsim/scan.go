package whatsappsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"google.golang.org/protobuf/proto"
)

// Errors of Scan, besides ErrQR, ErrAccount and the context's error.
var (
	// ErrUnknownRef means that the ref belongs to no open connection: its connection has ended, a phone
	// has used it, or this server never issued it.
	ErrUnknownRef = errors.New("whatsappsim: the code belongs to no open connection")
	// ErrExpiredRef means that the connection is open but the ref has expired.
	ErrExpiredRef = errors.New("whatsappsim: the code has expired")
	// ErrForeignKey means that the keys in the code are not those of the client that got the ref.
	ErrForeignKey = errors.New("whatsappsim: the keys in the code are not those of the connection")
	// ErrRefused means that the client refused the pairing, disconnected, or did not respond in time.
	ErrRefused = errors.New("whatsappsim: the client did not accept the pairing")
	// ErrRenew means that the server has asked the client to renew the code's secret.
	ErrRenew = errors.New("whatsappsim: the code's secret must be renewed")
	// ErrPasskey means that the server has asked the client for a passkey, with which the pairing continues.
	ErrPasskey = errors.New("whatsappsim: the account requires a passkey")
	// ErrFull means that the server has its maximum of devices.
	ErrFull = errors.New("whatsappsim: too many devices")
)

// responseTimeout is how long Scan waits for the client's signature.
const responseTimeout = 10 * time.Second

// code is a parsed QR code.
type code struct {
	ref                  string
	noise, identity, adv []byte
}

// Scan simulates a phone of account a that scans a QR code: it checks the code, sends pair-success, verifies the
// client's signature, stores the device and makes the client restart (<stream:error code=515>). It returns after the
// signature; restart and login follow. The fault is that of the code's connection. A code can be scanned once.
func (s *Server) Scan(ctx context.Context, qr string, a Account) error {
	var q code
	var err error
	if q.ref, q.noise, q.identity, q.adv, err = ParseQR(qr); err != nil {
		return err
	}
	user, err := a.number()
	if err != nil {
		return err
	}
	c, err := s.claim(q, time.Now())
	if err != nil {
		return err
	}
	if a, err = s.withDefaults(a, user); err != nil {
		return err
	}
	switch {
	case c.fault.RefreshOnScan && s.retireSecret(c, q.adv):
		return ErrRenew
	case c.fault.Passkey, c.fault.PasskeyByCode:
		if err := s.requestPasskey(c, q, a); err != nil {
			return err
		}
		return ErrPasskey
	}
	return s.pair(ctx, c, q, a)
}

// pair sends pair-success, verifies the client's signature, stores the device and makes the client restart.
func (s *Server) pair(ctx context.Context, c *conn, q code, a Account) error {
	s.mu.Lock()
	s.forgetRefs(c)
	id := newID()
	c.pairID = id
	s.mu.Unlock()
	signed, err := s.sendPairSuccess(c, proposal{id: id, code: q, account: a})
	if err != nil {
		return err
	}
	response, err := c.awaitResponse(ctx)
	if err != nil {
		return err
	}
	if err := checkSigned(response, signed, q.identity); err != nil {
		return err
	}
	user, err := a.number()
	if err != nil {
		return err
	}
	return s.link(c, a, user)
}

// retireSecret reports whether the secret is the one that the client must renew: the first that a phone scanned. It
// asks the client once.
func (s *Server) retireSecret(c *conn, secret []byte) bool {
	s.mu.Lock()
	isFirst := c.retiredSecret == nil
	if isFirst {
		c.retiredSecret = secret
	}
	isRetired := bytes.Equal(c.retiredSecret, secret)
	s.mu.Unlock()
	if isFirst {
		_ = s.send(c, notification("companion_reg_refresh")) // the reader notices a lost connection
	}
	return isRetired
}

// claim returns the connection of a code.
func (s *Server) claim(q code, now time.Time) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.refs[q.ref]
	switch {
	case r == nil:
		return nil, ErrUnknownRef
	case r.retired || !now.Before(r.expiresAt):
		return nil, ErrExpiredRef
	case !bytes.Equal(q.noise, r.conn.noiseKey),
		!bytes.Equal(q.identity, r.conn.payload.GetDevicePairingData().GetEIdent()):
		return nil, ErrForeignKey
	case r.conn.fault.RefreshOnScan:
		return r.conn, nil // the same ref is scanned again
	}
	s.forgetRefs(r.conn)
	return r.conn, nil
}

// proposal holds the parts of a pair-success.
type proposal struct {
	id      string
	code    code
	account Account
}

// sendPairSuccess sends pair-success and returns the identity in it that the client has to sign.
func (s *Server) sendPairSuccess(c *conn, p proposal) (*waAdv.ADVSignedDeviceIdentity, error) {
	details, err := proto.Marshal(&waAdv.ADVDeviceIdentity{
		RawID: proto.Uint32(1), Timestamp: proto.Uint64(uint64(time.Now().Unix())), KeyIndex: proto.Uint32(1)})
	if err != nil {
		return nil, err
	}
	phone := fixedKey(phoneSeed + p.account.User)
	msg := signedText(prefixAccount, details, p.code.identity)
	if c.fault.BadAccountSig {
		msg[0] ^= 1
	}
	sig, err := sign(phone, msg)
	if err != nil {
		return nil, err
	}
	id := &waAdv.ADVSignedDeviceIdentity{
		Details: details, AccountSignatureKey: phone.PublicKey().Bytes(), AccountSignature: sig}
	sealed, err := seal(id, p.code.adv, c.fault.BadPairHMAC)
	if err != nil {
		return nil, err
	}
	return id, s.send(c, pairSuccess(p, sealed))
}

// Prefixes of the signed data (whatsmeow pair.go).
const (
	prefixAccount = "\x06\x00"
	prefixDevice  = "\x06\x01"
)

func signedText(prefix string, parts ...[]byte) []byte {
	return append([]byte(prefix), bytes.Join(parts, nil)...)
}

// seal adds the HMAC of the code's secret to an identity, or a wrong HMAC.
func seal(id *waAdv.ADVSignedDeviceIdentity, adv []byte, wrong bool) ([]byte, error) {
	raw, err := proto.Marshal(id)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, adv)
	mac.Write(raw)
	sum := mac.Sum(nil)
	if wrong {
		sum[0] ^= 1
	}
	return proto.Marshal(&waAdv.ADVSignedDeviceIdentityHMAC{Details: raw, HMAC: sum})
}

// pairSuccess returns the <iq> with the client's new identities. Both are JID tokens; Baileys needs the second.
func pairSuccess(p proposal, sealed []byte) waBinary.Node {
	return newIQ(p.id, waBinary.Node{Tag: "pair-success", Content: []waBinary.Node{
		{Tag: "device-identity", Content: sealed},
		{Tag: "platform", Attrs: waBinary.Attrs{"name": p.account.Name}},
		{Tag: "device", Attrs: waBinary.Attrs{"jid": p.account.jid(), "lid": p.account.lid()}},
	}})
}

// awaitResponse waits for the client's response to pair-success.
func (c *conn) awaitResponse(ctx context.Context) (*waBinary.Node, error) {
	limit := time.NewTimer(responseTimeout)
	defer limit.Stop()
	select {
	case n := <-c.response:
		return n, nil
	case <-c.ctx.Done():
		return nil, fmt.Errorf("%w: it disconnected", ErrRefused)
	case <-limit.C:
		return nil, fmt.Errorf("%w: no response in %v", ErrRefused, responseTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// checkSigned verifies the client's signature of the identity in pair-success.
func checkSigned(response *waBinary.Node, want *waAdv.ADVSignedDeviceIdentity, identity []byte) error {
	node := response.GetChildByTag("pair-device-sign", "device-identity")
	raw, ok := node.Content.([]byte)
	if !ok {
		problem := response.GetChildByTag("error")
		text, _ := problem.Attrs["text"].(string)
		return fmt.Errorf("%w: %q", ErrRefused, text)
	}
	var got waAdv.ADVSignedDeviceIdentity
	if err := proto.Unmarshal(raw, &got); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	msg := signedText(prefixDevice, want.GetDetails(), identity, want.GetAccountSignatureKey())
	if err := verify(identity, msg, got.GetDeviceSignature()); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// link stores the new device and makes the client restart.
func (s *Server) link(c *conn, a Account, user uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.state
	if len(st.devices) >= maxDevices {
		return ErrFull
	}
	if st.devices == nil {
		st.devices = map[deviceID]*device{}
	}
	st.devices[deviceID{user, uint32(a.Device)}] = &device{noiseKey: c.noiseKey, lid: a.lid(), preKeys: s.PreKeys}
	st.stats.Pairings++
	if next := c.fault.AfterScan; next != nil {
		st.queue = append([]Fault{*next}, st.queue...)
	}
	if !c.fault.NoRestart {
		c.requestClose("515")
	}
	return nil
}

// withDefaults fills in the empty fields of an account.
func (s *Server) withDefaults(a Account, user uint64) (Account, error) {
	if a.LID == "" {
		a.LID = "9" + a.User
	}
	if a.Name == "" {
		a.Name = "android"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for next := uint16(1); a.Device == 0 && next <= maxDevice; next++ {
		if s.state.devices[deviceID{user, uint32(next)}] == nil {
			a.Device = next
		}
	}
	if a.Device == 0 {
		return a, ErrFull
	}
	return a, nil
}

// ErrQR is the error of ParseQR for a text that is no WhatsApp code.
var ErrQR = errors.New("whatsappsim: not a WhatsApp QR code")

// ParseQR returns the parts of a code: the server's ref and the client's Noise key, identity key and ADV secret, 32
// bytes each. It reads both formats: the bare list "ref,noise,identity,adv" of older libraries, and
// "https://wa.me/settings/linked_devices#ref,noise,identity,adv,client" of whatsmeow since May 2026 and
// Baileys 7. It returns ErrQR for anything else.
func ParseQR(code string) (ref string, noise, identity, adv []byte, err error) {
	_, list, isURL := strings.Cut(code, "#")
	if !isURL {
		list = code
	}
	fields := strings.Split(list, ",")
	if len(fields) < 4 || fields[0] == "" {
		return "", nil, nil, nil, fmt.Errorf("%w: %d fields", ErrQR, len(fields))
	}
	var keys [3][]byte
	for i := range keys {
		key, err := base64.StdEncoding.DecodeString(fields[i+1])
		if err != nil || len(key) != 32 {
			return "", nil, nil, nil, fmt.Errorf("%w: field %d is not a key", ErrQR, i+2)
		}
		keys[i] = key
	}
	return fields[0], keys[0], keys[1], keys[2], nil
}
