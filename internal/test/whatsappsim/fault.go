package whatsappsim

import "time"

// Fault says what goes wrong on one connection. The zero value is a healthy server. A connection keeps the
// fault it began with until it ends, whatever [Server.SetFault] says later; Scan uses the fault of the
// connection that the scanned ref belongs to.
//
// As JSON the field names are those below, in any case; durations are strings like "2s" or numbers of
// nanoseconds; unknown names are errors.
type Fault struct {
	// HTTPStatus answers the websocket upgrade with this status, 400 to 599.
	HTTPStatus int
	// HangUpgrade accepts TCP (and TLS) and never answers the upgrade.
	HangUpgrade bool

	// HangHello upgrades and never sends the ServerHello.
	HangHello bool
	// CutHello upgrades and drops TCP instead of sending the ServerHello.
	CutHello bool
	// GarbageHello sends a web page, as a captive portal would, in place of the ServerHello.
	GarbageHello bool
	// BadCert presents a Noise certificate chain that another root has signed.
	BadCert bool

	// Failure is the reason of a <failure> sent in place of anything else after the handshake, for instance
	// 401 logged out, 402 temporary ban, 403 banned, 405 client outdated, 500 and 503 server trouble.
	Failure int
	// StreamError is the code of a <stream:error> sent in place of anything else after the handshake.
	// "401" comes with the conflict device_removed; "conflict" has no code and the conflict replaced.
	StreamError string

	// NoPairDevice never sends the refs: the client is connected and shows no QR.
	NoPairDevice bool
	// PairDelay sends the refs this late.
	PairDelay time.Duration
	// Refs is the number of refs sent, at most 64; zero means 6, which is what the real server sends.
	Refs int
	// CutAfterRefs, if positive, drops TCP this long after the refs were sent.
	CutAfterRefs time.Duration
	// RefreshAfterRefs, if positive, sends <notification type=companion_reg_refresh> this long after the
	// refs: all refs of the connection are dead from then on, though they look valid.
	RefreshAfterRefs time.Duration

	// SilentIQ answers no <iq> of the client: no keep-alive, no prekeys, no passive. A half-dead link.
	SilentIQ bool

	// BadPairHMAC sends a pair-success whose HMAC is wrong.
	BadPairHMAC bool
	// BadAccountSig sends a pair-success whose account signature is wrong.
	BadAccountSig bool
	// NoRestart keeps the <stream:error code=515> back that ends a pairing.
	NoRestart bool
	// AfterScan, if set, is the fault of the next connection that begins after a code of this connection was
	// paired: the reconnect of that client, as long as no other client dials at the same time. It goes
	// before everything queued by [Server.QueueFaults].
	AfterScan *Fault

	// UnlinkAfter, if positive, removes the device this long after its login, as the owner of the phone
	// does: <stream:error code=401> with device_removed, and 401 on later logins.
	UnlinkAfter time.Duration
}

// maxRefs bounds Fault.Refs.
const maxRefs = 64

// defaultRefs is the number of refs the real server sends; whatsmeow gives the first code its 60 seconds
// only if there are exactly this many (qrchan.go, emitQRs).
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
