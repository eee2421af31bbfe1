package compat

import (
	"strings"

	"qrgate"
)

// The only states that may appear on the documented wire: each further word stops some client's poller
// for good (contract 3.2).
const (
	WireConnecting   = "connecting"
	WireQR           = "qr_code"
	WireConnected    = "connected"
	WireDisconnected = "disconnected"
	WireError        = "error"
)

// Wire is s as existing clients may see it.
func Wire(s qrgate.State) string {
	switch s {
	case qrgate.Connecting:
		return WireConnecting
	case qrgate.AwaitingScan:
		return WireQR
	case qrgate.Connected:
		return WireConnected
	case qrgate.Failed:
		return WireError
	}
	return WireDisconnected
}

// stateAliases is every word for a state that engines or documents have used (contract 3.1).
var stateAliases = map[string]qrgate.State{
	"connected":        qrgate.Connected,
	"open":             qrgate.Connected,
	"connecting":       qrgate.Connecting,
	"starting":         qrgate.Connecting,
	"initializing":     qrgate.Connecting,
	"generating":       qrgate.Connecting,
	"reconnecting":     qrgate.Connecting,
	"qr_code":          qrgate.AwaitingScan,
	"qr":               qrgate.AwaitingScan,
	"pending":          qrgate.AwaitingScan,
	"qr_required":      qrgate.AwaitingScan,
	"qr_code_required": qrgate.AwaitingScan,
	"qr code required": qrgate.AwaitingScan,
	"qr code":          qrgate.AwaitingScan,
	"qr pending":       qrgate.AwaitingScan,
	"qr_ready":         qrgate.AwaitingScan,
	"waiting_qr":       qrgate.AwaitingScan,
	"created":          qrgate.Created,
	"disconnected":     qrgate.Disconnected,
	"disconnecting":    qrgate.Disconnected,
	"not_found":        qrgate.Disconnected,
	"closed":           qrgate.Disconnected,
	"close":            qrgate.Disconnected,
	"expired":          qrgate.Disconnected,
	"error":            qrgate.Failed,
	"failed":           qrgate.Failed,
	"timeout":          qrgate.Failed,
	"rate_limited":     qrgate.Failed,
}

// ParseState reads any spelling, in any case; Unknown for a word nobody has used yet.
func ParseState(word string) qrgate.State {
	if s, ok := stateAliases[strings.ToLower(strings.TrimSpace(word))]; ok {
		return s
	}
	return qrgate.Unknown
}
