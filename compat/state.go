package compat

import (
	"cmp"
	"strings"

	"qrgate/internal/session"
)

// The only states on the documented wire: any other word stops some client's polling for good (contract 3.2).
const (
	WireConnecting   = "connecting"
	WireQR           = "qr_code"
	WireConnected    = "connected"
	WireDisconnected = "disconnected"
	WireError        = "error"
)

// wireStates has no entry for the states that are disconnected on the wire.
var wireStates = map[session.State]string{
	session.Connecting:   WireConnecting,
	session.AwaitingScan: WireQR,
	session.Connected:    WireConnected,
	session.Failed:       WireError,
}

// Wire returns the wire state of s.
func Wire(s session.State) string { return cmp.Or(wireStates[s], WireDisconnected) }

// stateAliases are the words for states that engines or documents have used (contract 3.1).
var stateAliases = map[string]session.State{
	"connected":        session.Connected,
	"open":             session.Connected,
	"working":          session.Connected,
	"logged_in":        session.Connected,
	"paired":           session.Connected,
	"authenticated":    session.Connected,
	"inchat":           session.Connected,
	"islogged":         session.Connected,
	"online":           session.Connected,
	"ready":            session.Connected,
	"linked":           session.Connected,
	"conectado":        session.Connected,
	"conectada":        session.Connected,
	"connecting":       session.Connecting,
	"starting":         session.Connecting,
	"initializing":     session.Connecting,
	"generating":       session.Connecting,
	"reconnecting":     session.Connecting,
	"restarting":       session.Connecting,
	"authenticating":   session.Connecting,
	"syncing":          session.Connecting,
	"loading":          session.Connecting,
	"phonecode":        session.Connecting,
	"qrreadsuccess":    session.Connecting,
	"opening":          session.Connecting,
	"pairing":          session.Connecting,
	"conectando":       session.Connecting,
	"qr_code":          session.AwaitingScan,
	"qr":               session.AwaitingScan,
	"pending":          session.AwaitingScan,
	"qr_required":      session.AwaitingScan,
	"qr_code_required": session.AwaitingScan,
	"qr code required": session.AwaitingScan,
	"qr code":          session.AwaitingScan,
	"qr pending":       session.AwaitingScan,
	"qr_ready":         session.AwaitingScan,
	"waiting_qr":       session.AwaitingScan,
	"waiting_for_qr":   session.AwaitingScan,
	"waiting_scan":     session.AwaitingScan,
	"awaiting_qr":      session.AwaitingScan,
	"awaiting_scan":    session.AwaitingScan,
	"qr_pending":       session.AwaitingScan,
	"qr_generated":     session.AwaitingScan,
	"scan_qr_code":     session.AwaitingScan,
	"qrcode":           session.AwaitingScan,
	"qr-code":          session.AwaitingScan,
	"created":          session.Created,
	"disconnected":     session.Disconnected,
	"disconnecting":    session.Disconnected,
	"not_found":        session.Disconnected,
	"closed":           session.Disconnected,
	"stopped":          session.Disconnected,
	"unpaired":         session.Disconnected,
	"desconectado":     session.Disconnected,
	"desconectada":     session.Disconnected,
	"close":            session.Disconnected,
	"expired":          session.Disconnected,
	"logged_out":       session.Disconnected,
	"loggedout":        session.Disconnected,
	"notlogged":        session.Disconnected,
	"offline":          session.Disconnected,
	"stopping":         session.Disconnected,
	"unlaunched":       session.Disconnected,
	"unpaired_idle":    session.Disconnected,
	"autoclosecalled":  session.Disconnected,
	"browserclose":     session.Disconnected,
	"serverclose":      session.Disconnected,
	"error":            session.Failed,
	"failed":           session.Failed,
	"timeout":          session.Failed,
	"refused":          session.Failed,
	"rate_limited":     session.Failed,
	"qrreadfail":       session.Failed,
	"qrreaderror":      session.Failed,
	"banned":           session.Failed,
}

// ParseState reads a state in any case; Unknown for an unknown word.
func ParseState(word string) session.State {
	return cmp.Or(stateAliases[strings.ToLower(strings.TrimSpace(word))], session.Unknown)
}
