package confusion_test

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim"
)

// whatsapp is a fault between an engine and WhatsApp, or at WhatsApp.
type whatsapp struct {
	whatsappsim.Fault
	route      route
	scan       bool   // a phone scans the first code, and the fault starts then
	again      bool   // engines dial again by themselves, into the same fault
	needsCheck bool   // Baileys never reports it; only qrgate's connectivity check detects it
	embedded   string // why the embedded engine cannot have it; "" if it can
	baileys    string // why the engine on Baileys cannot have it; "" if it can
}

// route is the network between an engine and WhatsApp.
type route string

// The routes.
const (
	free    route = ""
	refused route = "port 443 is closed"
	unnamed route = "no name is resolved"
	foreign route = "another party terminates TLS"
	proxied route = "a proxy refuses"
)

// whatsappFaults returns the faults between an engine and WhatsApp, with the names of the protocol.
func whatsappFaults() []fault {
	says := func(reason int) *whatsapp { return &whatsapp{Fault: whatsappsim.Fault{Failure: reason}} }
	streams := func(code string) *whatsapp { return &whatsapp{Fault: whatsappsim.Fault{StreamError: code}} }
	answers := func(status int) *whatsapp { return &whatsapp{Fault: whatsappsim.Fault{HTTPStatus: status}} }
	return []fault{
		{name: "WhatsApp is healthy", want: diagnosis.None, whatsapp: &whatsapp{}},
		{name: "the codes come after four seconds", want: diagnosis.None, whatsapp: &whatsapp{Fault: whatsappsim.Fault{PairDelay: 4 * time.Second}}},
		{name: "port 443 is closed", want: diagnosis.NetworkBlocked, whatsapp: &whatsapp{route: refused}},
		{name: "the name is not resolved", want: diagnosis.DNSFailed, whatsapp: &whatsapp{route: unnamed}},
		{name: "another party terminates TLS", want: diagnosis.TLSIntercepted, whatsapp: &whatsapp{route: foreign}},
		{name: "a proxy requires credentials", want: diagnosis.ProxyRefused, whatsapp: &whatsapp{route: proxied, baileys: "its websocket uses no proxy"}},
		{name: "the upgrade gets 403", want: diagnosis.NetworkBlocked, whatsapp: answers(403)},
		{name: "the upgrade gets 429", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(429)},
		{name: "the upgrade gets 503", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(503)},
		{name: "the upgrade gets no response", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{HangUpgrade: true}},
			also: []diagnosis.Code{diagnosis.NetworkBlocked}}, // Baileys reports the same for a dropped packet
		{name: "the handshake gets no response", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{HangHello: true}}},
		{name: "the connection closes in the handshake", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{CutHello: true}},
			also: []diagnosis.Code{diagnosis.WhatsAppUnavailable}}, // Baileys reports the same for a connection that closes after the codes
		{name: "a web page instead of the handshake", want: diagnosis.TLSIntercepted, whatsapp: &whatsapp{Fault: whatsappsim.Fault{GarbageHello: true}}},
		{name: "a foreign key in the handshake", want: diagnosis.TLSIntercepted, whatsapp: &whatsapp{Fault: whatsappsim.Fault{BadCert: true}, baileys: "it does not check, and shows a QR"}},
		{name: "failure 401, logged out", want: diagnosis.LoggedOut, whatsapp: says(401)},
		{name: "failure 402, banned for a time", want: diagnosis.AccountBanned, whatsapp: says(402)},
		{name: "failure 403, locked", want: diagnosis.AccountBanned, whatsapp: says(403),
			also: []diagnosis.Code{diagnosis.LoggedOut}}, // whatsmeow calls it "main device gone"
		{name: "failure 405, client outdated", want: diagnosis.ClientOutdated, whatsapp: says(405)},
		{name: "failure 406, banned", want: diagnosis.AccountBanned, whatsapp: says(406)},
		{name: "failure 409, unknown kind of client", want: diagnosis.ClientOutdated, whatsapp: says(409)},
		{name: "failure 500", want: diagnosis.WhatsAppUnavailable, whatsapp: says(500)},
		{name: "failure 503", want: diagnosis.WhatsAppUnavailable, whatsapp: says(503)},
		{name: "failure 400, which has no name", want: diagnosis.QRNotEmitted, whatsapp: says(400)},
		{name: "stream error 401, device removed", want: diagnosis.LoggedOut, whatsapp: streams("401")},
		{name: "stream error 500", want: diagnosis.WhatsAppUnavailable, whatsapp: streams("500")},
		{name: "stream error 503", want: diagnosis.WhatsAppUnavailable, whatsapp: streams("503")},
		{name: "stream error 515 after every dial", want: diagnosis.WhatsAppUnavailable, whatsapp: &whatsapp{Fault: whatsappsim.Fault{StreamError: "515"}, again: true}},
		{name: "stream replaced", want: diagnosis.SessionConflict, whatsapp: streams("conflict")},
		{name: "no codes are sent", want: diagnosis.WhatsAppSilent, whatsapp: &whatsapp{Fault: whatsappsim.Fault{NoPairDevice: true}, needsCheck: true}},
		{name: "the connection closes just after the codes", want: diagnosis.WhatsAppUnavailable, passes: true, whatsapp: &whatsapp{Fault: whatsappsim.Fault{CutAfterRefs: 500 * time.Millisecond}, again: true}},
		{name: "a forged pairing", want: diagnosis.PairingFailed, passes: true, whatsapp: &whatsapp{Fault: whatsappsim.Fault{BadPairHMAC: true}, scan: true}},
		{name: "scanned and linked", want: diagnosis.AlreadyPaired, whatsapp: &whatsapp{scan: true}},
	}
}
