package causes_test

import (
	"time"

	"qrgate"
	"qrgate/internal/wasim"
)

// whatsapp is a fault beyond an engine.
type whatsapp struct {
	wasim.Fault
	way      way
	scan     bool   // somebody's phone scans the first code, and the fault begins then
	again    bool   // engines dial again by themselves, and meet it again
	looks    bool   // Baileys says nothing of it, ever: the gate's own look at WhatsApp must tell
	embedded string // why it cannot happen to the embedded engine; "" when it can
	baileys  string // why it cannot happen to the engine on Baileys
}

// way is what lies between an engine and WhatsApp.
type way string

// The ways.
const (
	free    way = ""
	refused way = "port 443 is closed"
	unnamed way = "no name is resolved"
	foreign way = "TLS ends at somebody else"
	proxied way = "a proxy refuses"
)

// whatsappFaults are what can go wrong beyond an engine. The names of the faults are those of the protocol;
// wasim 4 says what each library makes of them.
func whatsappFaults() []fault {
	says := func(reason int) *whatsapp { return &whatsapp{Fault: wasim.Fault{Failure: reason}} }
	streams := func(code string) *whatsapp { return &whatsapp{Fault: wasim.Fault{StreamError: code}} }
	answers := func(status int) *whatsapp { return &whatsapp{Fault: wasim.Fault{HTTPStatus: status}} }
	return []fault{
		{name: "WhatsApp is healthy", want: qrgate.None, whatsapp: &whatsapp{}},
		{name: "the codes come after four seconds", want: qrgate.None, whatsapp: &whatsapp{Fault: wasim.Fault{PairDelay: 4 * time.Second}}},
		{name: "port 443 is closed", want: qrgate.NetworkBlocked, whatsapp: &whatsapp{way: refused}},
		{name: "the name is not resolved", want: qrgate.DNSFailed, whatsapp: &whatsapp{way: unnamed}},
		{name: "TLS ends at somebody else", want: qrgate.TLSIntercepted, whatsapp: &whatsapp{way: foreign}},
		{name: "a proxy wants credentials", want: qrgate.ProxyRefused, whatsapp: &whatsapp{way: proxied, baileys: "its websocket uses no proxy"}},
		{name: "the upgrade is answered with 403", want: qrgate.NetworkBlocked, whatsapp: answers(403)},
		{name: "the upgrade is answered with 429", want: qrgate.WhatsAppUnavailable, whatsapp: answers(429)},
		{name: "the upgrade is answered with 503", want: qrgate.WhatsAppUnavailable, whatsapp: answers(503)},
		{name: "the upgrade is not answered", want: qrgate.WhatsAppSilent, whatsapp: &whatsapp{Fault: wasim.Fault{HangUpgrade: true}},
			also: []qrgate.Code{qrgate.NetworkBlocked}}, // Baileys says the same of a packet that is dropped
		{name: "the handshake is not answered", want: qrgate.WhatsAppSilent, whatsapp: &whatsapp{Fault: wasim.Fault{HangHello: true}}},
		{name: "the handshake is cut", want: qrgate.WhatsAppSilent, whatsapp: &whatsapp{Fault: wasim.Fault{CutHello: true}},
			also: []qrgate.Code{qrgate.WhatsAppUnavailable}}, // Baileys says the same of a cut after the codes
		{name: "a web page for a handshake", want: qrgate.TLSIntercepted, whatsapp: &whatsapp{Fault: wasim.Fault{GarbageHello: true}}},
		{name: "another's key in the handshake", want: qrgate.TLSIntercepted, whatsapp: &whatsapp{Fault: wasim.Fault{BadCert: true}, baileys: "it does not look, and shows a QR"}},
		{name: "failure 401, logged out", want: qrgate.LoggedOut, whatsapp: says(401)},
		{name: "failure 402, banned for a time", want: qrgate.AccountBanned, whatsapp: says(402)},
		{name: "failure 403, locked", want: qrgate.AccountBanned, whatsapp: says(403),
			also: []qrgate.Code{qrgate.LoggedOut}}, // whatsmeow's name for it is "main device gone"
		{name: "failure 405, client outdated", want: qrgate.ClientOutdated, whatsapp: says(405)},
		{name: "failure 406, banned", want: qrgate.AccountBanned, whatsapp: says(406)},
		{name: "failure 409, unknown kind of client", want: qrgate.ClientOutdated, whatsapp: says(409)},
		{name: "failure 500", want: qrgate.WhatsAppUnavailable, whatsapp: says(500)},
		{name: "failure 503", want: qrgate.WhatsAppUnavailable, whatsapp: says(503)},
		{name: "failure 400, which has no name", want: qrgate.QRNotEmitted, whatsapp: says(400)},
		{name: "stream error 401, device removed", want: qrgate.LoggedOut, whatsapp: streams("401")},
		{name: "stream error 500", want: qrgate.WhatsAppUnavailable, whatsapp: streams("500")},
		{name: "stream error 503", want: qrgate.WhatsAppUnavailable, whatsapp: streams("503")},
		{name: "stream error 515 again and again", want: qrgate.WhatsAppUnavailable, whatsapp: &whatsapp{Fault: wasim.Fault{StreamError: "515"}, again: true}},
		{name: "stream replaced", want: qrgate.SessionConflict, whatsapp: streams("conflict")},
		{name: "no codes are sent", want: qrgate.WhatsAppSilent, whatsapp: &whatsapp{Fault: wasim.Fault{NoPairDevice: true}, looks: true}},
		{name: "cut just after the codes", want: qrgate.WhatsAppUnavailable, passes: true, whatsapp: &whatsapp{Fault: wasim.Fault{CutAfterRefs: 500 * time.Millisecond}, again: true}},
		{name: "a forged pairing", want: qrgate.PairingFailed, passes: true, whatsapp: &whatsapp{Fault: wasim.Fault{BadPairHMAC: true}, scan: true}},
		{name: "scanned and linked", want: qrgate.AlreadyPaired, whatsapp: &whatsapp{scan: true}},
	}
}
