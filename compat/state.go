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

// stateWords are the words for states that engines or documents have used (contract 3.1).
var stateWords = map[session.State][]string{
	session.Connected: {
		"connected", "open", "working", "logged_in", "paired", "authenticated", "inchat", "islogged", "online", "ready",
		"linked", "authorized", "chatsavailable", "conectado", "conectada",
	},
	session.Connecting: {
		"connecting", "starting", "initializing", "generating", "reconnecting", "restarting", "authenticating",
		"syncing", "loading", "phonecode", "qrreadsuccess", "opening", "pairing", "conectando",
	},
	session.AwaitingScan: {
		"qr_code", "qr", "pending", "qr_required", "qr_code_required", "qr code required", "qr code", "qr pending",
		"qr_ready", "waiting_qr", "waiting_for_qr", "waiting_scan", "awaiting_qr", "awaiting_scan", "qr_pending",
		"qr_generated", "scan_qr_code", "qrcode", "qr-code",
	},
	session.Created: {
		"created",
	},
	session.Disconnected: {
		"disconnected", "disconnecting", "not_found", "closed", "stopped", "unpaired", "desconectado", "desconectada",
		"close", "expired", "logged_out", "loggedout", "notlogged", "notauthorized", "offline", "stopping",
		"unlaunched", "unpaired_idle", "autoclosecalled", "browserclose", "serverclose",
		"desconnectedmobile", "disconnectedmobile", "deletetoken",
	},
	session.Failed: {
		"error", "failed", "timeout", "refused", "rate_limited", "qrreadfail", "qrreaderror", "banned", "blocked",
	},
}

var stateOfWord = func() map[string]session.State {
	states := map[string]session.State{}
	for state, words := range stateWords {
		for _, word := range words {
			states[word] = state
		}
	}
	return states
}()

// ParseState reads a state in any case; Unknown for an unknown word.
func ParseState(word string) session.State {
	return cmp.Or(stateOfWord[strings.ToLower(strings.TrimSpace(word))], session.Unknown)
}
