package whatsappsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"google.golang.org/protobuf/proto"
)

// What Scan returns besides ErrQR, ErrAccount and the context's error.
var (
	// ErrUnknownRef means that the ref belongs to no open connection: its connection has ended, it was
	// used already, or this server never issued it.
	ErrUnknownRef = errors.New("wasim: the code belongs to no open connection")
	// ErrExpiredRef means that the connection is open but the time of this ref is over.
	ErrExpiredRef = errors.New("wasim: the code has expired")
	// ErrForeignKey means that the keys in the code are not those of the client that got the ref.
	ErrForeignKey = errors.New("wasim: the keys in the code are not those of the connection")
	// ErrRefused means that the client did not accept the pairing, hung up, or did not answer in time.
	ErrRefused = errors.New("wasim: the client did not accept the pairing")
	// ErrFull means that the server remembers as many devices as it can.
	ErrFull = errors.New("wasim: too many devices")
)

// answerTime is how long a phone waits for the client to sign.
const answerTime = 10 * time.Second

// code is a QR code taken apart.
type code struct {
	ref                  string
	noise, identity, adv []byte
}

// Scan plays the phone of account a that scans a QR code: it checks the code, sends pair-success, verifies
// what the client signs, remembers the device and asks the client to restart (<stream:error code=515>). It
// returns when the client has signed; the restart and the login are still to come. The fault is that of the
// connection that the code belongs to. A code can be scanned once.
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
	c, id, err := s.claim(q, time.Now())
	if err != nil {
		return err
	}
	if a, err = s.complete(a, user); err != nil {
		return err
	}
	signed, err := s.propose(c, proposal{id: id, code: q, account: a})
	if err != nil {
		return err
	}
	answer, err := c.await(ctx)
	if err != nil {
		return err
	}
	if err := checkSigned(answer, signed, q.identity); err != nil {
		return err
	}
	return s.link(c, a, user)
}

// claim finds the connection of a code, takes its refs out of use and returns the id under which the
// client's answer to pair-success will be awaited.
func (s *Server) claim(q code, now time.Time) (*conn, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.refs[q.ref]
	switch {
	case r == nil:
		return nil, "", ErrUnknownRef
	case r.dead || !now.Before(r.dies):
		return nil, "", ErrExpiredRef
	case !bytes.Equal(q.noise, r.conn.noiseKey),
		!bytes.Equal(q.identity, r.conn.payload.GetDevicePairingData().GetEIdent()):
		return nil, "", ErrForeignKey
	}
	s.forgetRefs(r.conn)
	r.conn.pairID = newID()
	return r.conn, r.conn.pairID, nil
}

// proposal is what a pair-success is made of.
type proposal struct {
	id      string
	code    code
	account Account
}

// propose sends pair-success and returns the identity in it that the client has to sign.
func (s *Server) propose(c *conn, p proposal) (*waAdv.ADVSignedDeviceIdentity, error) {
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

// What the signatures of a pairing cover begins with these (whatsmeow pair.go).
const (
	prefixAccount = "\x06\x00"
	prefixDevice  = "\x06\x01"
)

func signedText(prefix string, parts ...[]byte) []byte {
	return append([]byte(prefix), bytes.Join(parts, nil)...)
}

// seal authenticates an identity with the secret from the code, or with a wrong sum.
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

// pairSuccess tells the client who it is now. Both identities are JID tokens and Baileys needs the second.
func pairSuccess(p proposal, sealed []byte) waBinary.Node {
	return request(p.id, waBinary.Node{Tag: "pair-success", Content: []waBinary.Node{
		{Tag: "device-identity", Content: sealed},
		{Tag: "platform", Attrs: waBinary.Attrs{"name": p.account.Name}},
		{Tag: "device", Attrs: waBinary.Attrs{"jid": p.account.jid(), "lid": p.account.lid()}},
	}})
}

// await waits for the client's answer to pair-success.
func (c *conn) await(ctx context.Context) (*waBinary.Node, error) {
	limit := time.NewTimer(answerTime)
	defer limit.Stop()
	select {
	case n := <-c.answer:
		return n, nil
	case <-c.ctx.Done():
		return nil, fmt.Errorf("%w: it hung up", ErrRefused)
	case <-limit.C:
		return nil, fmt.Errorf("%w: no answer in %v", ErrRefused, answerTime)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// checkSigned verifies the client's signature under the identity that was proposed to it.
func checkSigned(answer *waBinary.Node, want *waAdv.ADVSignedDeviceIdentity, identity []byte) error {
	node := answer.GetChildByTag("pair-device-sign", "device-identity")
	raw, ok := node.Content.([]byte)
	if !ok {
		problem := answer.GetChildByTag("error")
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

// link remembers the new device and lets the client restart.
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

// complete fills in what the caller left out of an account.
func (s *Server) complete(a Account, user uint64) (Account, error) {
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
