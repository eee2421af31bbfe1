package whatsappsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Fault is the set of faults of one connection. The zero value is a healthy server. A connection keeps its first fault,
// whatever [Server.SetFault] sets later; Scan uses the fault of the connection that the scanned ref belongs to.
//
// As JSON the field names are those below, in any case; durations are strings like "2s" or numbers of
// nanoseconds; unknown names are errors.
type Fault struct {
	// HTTPStatus is the response status of the websocket upgrade, 400 to 599.
	HTTPStatus int
	// HangUpgrade accepts TCP (and TLS) and never responds to the upgrade.
	HangUpgrade bool

	// HangHello upgrades and never sends the ServerHello.
	HangHello bool
	// CutHello upgrades and drops TCP instead of sending the ServerHello.
	CutHello bool
	// GarbageHello sends a web page, as a captive portal would, in place of the ServerHello.
	GarbageHello bool
	// BadCert presents a Noise certificate chain that another root has signed.
	BadCert bool

	// Failure is the reason of a <failure> sent instead of any other node after the handshake, for instance
	// 401 logged out, 402 temporary ban, 403 banned, 405 client outdated, 500 and 503 server errors.
	Failure int
	// StreamError is the code of a <stream:error> sent instead of any other node after the handshake.
	// "401" carries the conflict device_removed; "conflict" has no code and the conflict replaced.
	StreamError string

	// NoPairDevice never sends the refs: the client is connected and shows no QR.
	NoPairDevice bool
	// PairDelay is the time before the refs are sent.
	PairDelay time.Duration
	// Refs is the number of refs sent, at most 64; zero means 6, which is what the real server sends.
	Refs int
	// CutAfterRefs, if positive, drops TCP this long after the refs were sent.
	CutAfterRefs time.Duration
	// RefreshAfterRefs, if positive, sends <notification type=companion_reg_refresh> this long after the
	// refs: from then on no ref of the connection is valid.
	RefreshAfterRefs time.Duration

	// SilentIQ responds to no <iq> of the client: no keep-alive, no prekeys, no passive, as on a half-open link.
	SilentIQ bool

	// BadPairHMAC sends a pair-success whose HMAC is wrong.
	BadPairHMAC bool
	// BadAccountSig sends a pair-success whose account signature is wrong.
	BadAccountSig bool
	// RefreshOnScan refuses the first scan: the server asks the client to renew its secret
	// (<notification type=companion_reg_refresh>), and accepts the same ref with another secret only.
	RefreshOnScan bool
	// Passkey responds to the scan with a request for a passkey, as for accounts that have one: the pairing
	// continues when the client has sent an assertion and its confirmation. See PasskeyAssertion.
	Passkey bool
	// PasskeyByCode is Passkey for a phone that has not received the client's proof of the scan, as when the assertion
	// takes minutes: an assertion with the proof stays without a response; after one without, the phone shows a code
	// to compare, see Server.PasskeyCode.
	PasskeyByCode bool
	// MinRevision, if positive, refuses clients of an older version as Failure 405 does.
	MinRevision uint32
	// NoRestart omits the <stream:error code=515> that ends a pairing.
	NoRestart bool
	// AfterScan, if set, is the fault of the next connection that begins after a code of this connection was
	// paired: the reconnect of that client, if no other client dials at the same time. It precedes the
	// faults of [Server.QueueFaults].
	AfterScan *Fault

	// UnlinkAfter, if positive, removes the device this long after its login, as the owner of the phone
	// can: <stream:error code=401> with device_removed, and 401 on later logins.
	UnlinkAfter time.Duration
}

// maxRefs is the maximum of Fault.Refs.
const maxRefs = 64

// defaultRefs is the number of refs that the real server sends; only with exactly this many does whatsmeow show the
// first code for 60 seconds (qrchan.go, emitQRs).
const defaultRefs = 6

func (f Fault) refs() int {
	switch {
	case f.Refs <= 0:
		return defaultRefs
	case f.Refs > maxRefs:
		return maxRefs
	}
	return f.Refs
}

// UnmarshalJSON reads a fault as the type's comment describes.
func (f *Fault) UnmarshalJSON(b []byte) error {
	type plain Fault
	in := struct {
		*plain
		PairDelay, CutAfterRefs, RefreshAfterRefs, UnlinkAfter duration
	}{plain: (*plain)(f)}
	*f = Fault{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf("whatsappsim: fault: %w", err)
	}
	f.PairDelay = time.Duration(in.PairDelay)
	f.CutAfterRefs = time.Duration(in.CutAfterRefs)
	f.RefreshAfterRefs = time.Duration(in.RefreshAfterRefs)
	f.UnlinkAfter = time.Duration(in.UnlinkAfter)
	return nil
}

// duration reads "2s" as well as nanoseconds.
type duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return json.Unmarshal(b, (*int64)(d))
	}
	v, err := time.ParseDuration(text)
	*d = duration(v)
	return err
}
