package confusion_test

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim"
)

// whatsapp is a fault beyond an engine.
type whatsapp struct {
	whatsappsim.Fault
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
	says := func(reason int) *whatsapp { return &whatsapp{Fault: whatsappsim.Fault{Failure: reason}} }
	streams := func(code string) *whatsapp { return &whatsapp{Fault: whatsappsim.Fault{StreamError: code}} }
	answers := func(status int) *whatsapp { return &whatsapp{Fault: whatsappsim.Fault{HTTPStatus: status}} }
	return []fault{
		{name: "WhatsApp is healthy", want: diagnosis.None, whatsapp: &whatsapp{}},
		{name: "the codes come after four seconds", want: diagnosis.None, whatsapp: &whatsapp{Fault: whatsappsim.Fault{PairDelay: 4 * time.Second}}},
		{name: "port 443 is closed", want: diagnosis.NetworkBlocked, whatsapp: &whatsapp{way: refused}},
		{name: "the name is not resolved", want: diagnosis.DNSFailed, whatsapp: &whatsapp{way: unnamed}},
		{name: "TLS ends at somebody else", want: diagnosis.TLSIntercepted, whatsapp: &whatsapp{way: foreign}},
		{name: "a proxy wants credentials", want: diagnosis.ProxyRefused, whatsapp: &whatsapp{way: proxied, baileys: "its websocket uses no proxy"}},
		{name: "the upgrade is answered with 403", want: diagnosis.NetworkBlocked, whatsapp: answers(403)},
		{name: "the upgrade is answered with 429", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(429)},
		{name: "the upgrade is answered with 503", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(503)},
		{name: "the upgrade is not answered", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{HangUpgrade: true}},
			also: []diagnosis.Code{diagnosis.NetworkBlocked}}, // Baileys says the same of a packet that is dropped
		{name: "the handshake is not answered", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{HangHello: true}}},
		{name: "the handshake is cut", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{CutHello: true}},
			also: []diagnosis.Code{diagnosis.WhatsAppUnavailable}}, // Baileys says the same of a cut after the codes
		{name: "a web page for a handshake", want: diagnosis.TLSIntercepted, whatsapp: &whatsapp{Fault: whatsappsim.Fault{GarbageHello: true}}},
		{name: "another's key in the handshake", want: diagnosis.TLSIntercepted, whatsapp: &whatsapp{Fault: whatsappsim.Fault{BadCert: true}, baileys: "it does not look, and shows a QR"}},
		{name: "failure 401, logged out", want: diagnosis.LoggedOut, whatsapp: says(401)},
		{name: "failure 402, banned for a time", want: diagnosis.AccountBanned, whatsapp: says(402)},
		{name: "failure 403, locked", want: diagnosis.AccountBanned, whatsapp: says(403),
			also: []diagnosis.Code{diagnosis.LoggedOut}}, // whatsmeow's name for it is "main device gone"
		{name: "failure 405, client outdated", want: diagnosis.ClientOutdated, whatsapp: says(405)},
		{name: "failure 406, banned", want: diagnosis.AccountBanned, whatsapp: says(406)},
		{name: "failure 409, unknown kind of client", want: diagnosis.ClientOutdated, whatsapp: says(409)},
		{name: "failure 500", want: diagnosis.WhatsAppUnavailable, whatsapp: says(500)},
		{name: "failure 503", want: diagnosis.WhatsAppUnavailable, whatsapp: says(503)},
		{name: "failure 400, which has no name", want: diagnosis.QRNotEmitted, whatsapp: says(400)},
		{name: "stream error 401, device removed", want: diagnosis.LoggedOut, whatsapp: streams("401")},
		{name: "stream error 500", want: diagnosis.WhatsAppUnavailable, whatsapp: streams("500")},
		{name: "stream error 503", want: diagnosis.WhatsAppUnavailable, whatsapp: streams("503")},
		{name: "stream error 515 again and again", want: diagnosis.WhatsAppUnavailable, whatsapp: &whatsapp{Fault: whatsappsim.Fault{StreamError: "515"}, again: true}},
		{name: "stream replaced", want: diagnosis.SessionConflict, whatsapp: streams("conflict")},
		{name: "no codes are sent", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{NoPairDevice: true}, looks: true}},
		{name: "cut just after the codes", want: diagnosis.WhatsAppUnavailable, passes: true, whatsapp: &whatsapp{Fault: whatsappsim.Fault{CutAfterRefs: 500 * time.Millisecond}, again: true}},
		{name: "a forged pairing", want: diagnosis.PairingFailed, passes: true, whatsapp: &whatsapp{Fault: whatsappsim.Fault{BadPairHMAC: true}, scan: true}},
		{name: "scanned and linked", want: diagnosis.AlreadyPaired, whatsapp: &whatsapp{scan: true}},
	}
}
