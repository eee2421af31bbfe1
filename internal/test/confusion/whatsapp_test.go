package confusion_test

import (
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim"
)

// whatsapp is a fault between an engine and WhatsApp, or at WhatsApp.
type whatsapp struct {
	whatsappsim.Fault
	network    *network // nil: the free network
	limits     embedded.Limits
	scan       bool   // a phone scans the first code, and the fault starts then
	again      bool   // engines dial again by themselves, into the same fault
	fullDisk   bool   // the embedded engine's disk is full from the first code on
	needsCheck bool   // Baileys never reports it; only qrgate's connectivity check detects it
	embedded   string // why the embedded engine cannot have it; "" if it can
	baileys    string // why the engine on Baileys cannot have it; "" if it can
}

// Why Baileys cannot have a fault.
const (
	noProxy    = "its websocket uses no proxy"
	noResolver = "the test cannot change its resolver"
	slow       = "it takes longer than the test watches"
)

// whatsappFaults returns the faults between an engine and WhatsApp, with the names of the protocol.
func whatsappFaults() []fault {
	out := []fault{
		{name: "WhatsApp is healthy", want: diagnosis.None, whatsapp: &whatsapp{}},
		{name: "the codes come after four seconds", want: diagnosis.None,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{PairDelay: 4 * time.Second}}},
		{name: "the codes come after five seconds", want: diagnosis.None,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{PairDelay: 5 * time.Second}, baileys: slow}},
		{name: "other sessions dial first, one at a time", want: diagnosis.None, until: 30 * time.Second,
			whatsapp: &whatsapp{limits: embedded.Limits{Dials: 1}, baileys: "it has no queue"}},
	}
	out = append(out, networkFaults()...)
	out = append(out, upgradeFaults()...)
	return append(out, protocolFaults()...)
}

// networkFaults are the faults of the engine's machine and of its network.
func networkFaults() []fault {
	at := func(n *network) *whatsapp { return &whatsapp{network: n} }
	only := func(n *network, why string) *whatsapp { return &whatsapp{network: n, baileys: why} }
	dns := []diagnosis.Code{diagnosis.DNSFailed}
	return []fault{
		{name: "port 443 is closed", want: diagnosis.NetworkBlocked, evidence: "157.240.1.60:443", whatsapp: at(refused)},
		{name: "there is no route to the internet", want: diagnosis.NetworkBlocked, whatsapp: at(unrouted)},
		{name: "packets to port 443 are dropped", want: diagnosis.NetworkBlocked,
			whatsapp: only(dropped, "the test cannot drop its packets")},
		{name: "the server accepts TCP and is silent", want: diagnosis.NetworkBlocked, whatsapp: at(silentTLS)},
		{name: "the connection is closed during TLS", want: diagnosis.NetworkBlocked, whatsapp: at(closedTLS)},
		{name: "the name is not resolved", want: diagnosis.DNSFailed, whatsapp: at(unnamed)},
		{name: "the resolver does not answer", want: diagnosis.DNSFailed, whatsapp: only(unresolved, noResolver)},
		{name: "the resolver answers 0.0.0.0", want: diagnosis.DNSFailed, evidence: "0.0.0.0", whatsapp: at(resolvedToNowhere)},
		{name: "the resolver answers 127.0.0.1", want: diagnosis.DNSFailed, evidence: "127.0.0.1", whatsapp: at(resolvedToLoopback)},
		{name: "the resolver answers a private address", want: diagnosis.DNSFailed, evidence: "192.168.1.1",
			whatsapp: only(resolvedToPortal, noResolver)},
		{name: "a captive portal has a certificate of its own", want: diagnosis.TLSIntercepted, also: dns,
			whatsapp: only(portalTLS, noResolver)},
		{name: "another party terminates TLS", want: diagnosis.TLSIntercepted, evidence: "issued by Test Root", whatsapp: at(foreign)},
		{name: "the certificate is for another name", want: diagnosis.TLSIntercepted, whatsapp: at(misnamed)},
		{name: "plain HTTP in place of TLS", want: diagnosis.TLSIntercepted, whatsapp: at(plainHTTP)},
		{name: "another party's certificate has expired", want: diagnosis.TLSIntercepted, evidence: "issued by Test Root", whatsapp: &whatsapp{network: foreignExpired, needsCheck: true}},
		{name: "this machine's clock is ahead of the certificate", want: diagnosis.ClockWrong, evidence: "2000-01-01 00:00, issued by Test Root, 1999-10-03 00:00, 1999-12-31", whatsapp: &whatsapp{network: clockAhead, needsCheck: true}},
		{name: "this machine's clock is behind the certificate", want: diagnosis.ClockWrong, evidence: "issued by Test Root, 2000-01-02", whatsapp: at(clockBehind)},
		{name: "a proxy requires credentials", want: diagnosis.ProxyRefused, whatsapp: only(proxyRequires(407), noProxy)},
		{name: "a proxy forbids the connection", want: diagnosis.ProxyRefused, evidence: "the proxy proxy.test:3128", whatsapp: only(proxyRequires(403), noProxy)},
		{name: "a proxy cannot connect", want: diagnosis.ProxyRefused, whatsapp: only(proxyRequires(502), noProxy)},
		{name: "a proxy accepts and is silent", want: diagnosis.ProxyRefused, evidence: "the proxy proxy.test:3128", whatsapp: only(proxySilent, noProxy)},
		{name: "a proxy accepts and closes", want: diagnosis.ProxyRefused, whatsapp: only(proxyCloses, noProxy)},
		{name: "the proxy's port is closed", want: diagnosis.ProxyRefused, whatsapp: only(proxyDown, noProxy)},
		{name: "the disk is full at the scan", want: diagnosis.DiskFull, passes: true, // until the next code
			whatsapp: &whatsapp{scan: true, fullDisk: true, baileys: "its files cannot be refused to root"}},
	}
}

// upgradeFaults are the responses to the upgrade. A server in front of WhatsApp may send some of them.
func upgradeFaults() []fault {
	answers := func(status int) *whatsapp { return &whatsapp{Fault: whatsappsim.Fault{HTTPStatus: status}} }
	between := []diagnosis.Part{diagnosis.WhatsApp, diagnosis.Network}
	silent := &whatsapp{Fault: whatsappsim.Fault{HangUpgrade: true}}
	return []fault{
		{name: "the upgrade gets 302 to a portal", want: diagnosis.NetworkBlocked, evidence: "redirect to portal.test", whatsapp: &whatsapp{network: redirected}},
		{name: "the upgrade gets a web page", want: diagnosis.NetworkBlocked, whatsapp: &whatsapp{network: webPage}},
		{name: "the upgrade gets 511 of a captive portal", want: diagnosis.NetworkBlocked, whatsapp: &whatsapp{network: portal511}},
		{name: "the upgrade gets 503 of a proxy", want: diagnosis.ProxyRefused, evidence: "squid",
			whatsapp: &whatsapp{network: transparentProxy}},
		{name: "the upgrade gets 400", want: diagnosis.NetworkBlocked, parts: between, whatsapp: answers(400)},
		{name: "the upgrade gets 403", want: diagnosis.NetworkBlocked, parts: between, whatsapp: answers(403)},
		{name: "the upgrade gets 404", want: diagnosis.NetworkBlocked, parts: between, whatsapp: answers(404)},
		{name: "the upgrade gets 429", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(429)},
		{name: "the upgrade gets 500", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(500)},
		{name: "the upgrade gets 502", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(502)},
		{name: "the upgrade gets 503", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(503)},
		{name: "the upgrade gets 504", want: diagnosis.WhatsAppUnavailable, whatsapp: answers(504)},
		{name: "the upgrade gets no response", want: diagnosis.WhatsAppSilent, parts: between, whatsapp: silent,
			also: []diagnosis.Code{diagnosis.NetworkBlocked}}, // Baileys reports the same for a dropped packet
		{name: "the connection closes in place of a response", want: diagnosis.WhatsAppUnavailable, parts: between,
			also: []diagnosis.Code{diagnosis.NetworkBlocked}, whatsapp: &whatsapp{network: closedUpgrade}},
	}
}

// protocolFaults are faults after the upgrade.
func protocolFaults() []fault {
	has := func(f whatsappsim.Fault) *whatsapp { return &whatsapp{Fault: f} }
	says := func(reason int) *whatsapp { return has(whatsappsim.Fault{Failure: reason}) }
	streams := func(code string) *whatsapp { return has(whatsappsim.Fault{StreamError: code}) }
	scanned := func(f whatsappsim.Fault) *whatsapp { return &whatsapp{Fault: f, scan: true} }
	after := func(f whatsappsim.Fault) *whatsapp { return scanned(whatsappsim.Fault{AfterScan: &f}) }
	unavailable := []diagnosis.Code{diagnosis.WhatsAppUnavailable}
	loggedOut := []diagnosis.Code{diagnosis.LoggedOut}
	return []fault{
		{name: "the handshake gets no response", want: diagnosis.WhatsAppSilent, whatsapp: has(whatsappsim.Fault{HangHello: true})},
		{name: "the connection closes in the handshake", want: diagnosis.WhatsAppSilent, also: unavailable,
			whatsapp: has(whatsappsim.Fault{CutHello: true})}, // Baileys reports the same for a connection that closes after the codes
		{name: "a web page instead of the handshake", want: diagnosis.TLSIntercepted, whatsapp: has(whatsappsim.Fault{GarbageHello: true})},
		{name: "a foreign key in the handshake", want: diagnosis.TLSIntercepted,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{BadCert: true}, baileys: "it does not check, and shows a QR"}},
		{name: "failure 401, logged out", want: diagnosis.LoggedOut, whatsapp: says(401)},
		{name: "failure 402, banned for a time", want: diagnosis.AccountBanned, whatsapp: says(402)},
		{name: "failure 403, locked", want: diagnosis.AccountBanned, also: loggedOut, whatsapp: says(403)}, // whatsmeow calls it "main device gone"
		{name: "failure 405, client outdated", want: diagnosis.ClientOutdated, whatsapp: says(405)},
		{name: "failure 406, banned", want: diagnosis.AccountBanned, whatsapp: says(406)},
		{name: "failure 409, unknown kind of client", want: diagnosis.ClientOutdated, whatsapp: says(409)},
		{name: "failure 500", want: diagnosis.WhatsAppUnavailable, whatsapp: says(500)},
		{name: "failure 501", want: diagnosis.WhatsAppUnavailable, whatsapp: says(501)},
		{name: "failure 503", want: diagnosis.WhatsAppUnavailable, whatsapp: says(503)},
		{name: "failure 400, which has no name", want: diagnosis.QRNotEmitted, whatsapp: says(400)},
		{name: "stream error 401, device removed", want: diagnosis.LoggedOut, whatsapp: streams("401")},
		{name: "stream error 500", want: diagnosis.WhatsAppUnavailable, whatsapp: streams("500")},
		{name: "stream error 503", want: diagnosis.WhatsAppUnavailable, whatsapp: streams("503")},
		{name: "stream error 515 after every dial", want: diagnosis.WhatsAppUnavailable,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{StreamError: "515"}, again: true}},
		{name: "stream replaced", want: diagnosis.SessionConflict, whatsapp: streams("conflict")},
		{name: "no codes are sent", want: diagnosis.WhatsAppSilent,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{NoPairDevice: true}, needsCheck: true}},
		{name: "the connection closes just after the codes", want: diagnosis.WhatsAppUnavailable, passes: true,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{CutAfterRefs: 500 * time.Millisecond}, again: true}},
		{name: "a forged pairing", want: diagnosis.PairingFailed, passes: true, whatsapp: scanned(whatsappsim.Fault{BadPairHMAC: true})},
		{name: "a forged account signature", want: diagnosis.PairingFailed, passes: true,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{BadAccountSig: true}, scan: true, baileys: "it does not check"}},
		{name: "scanned and linked", want: diagnosis.AlreadyPaired, whatsapp: &whatsapp{scan: true}},
		{name: "scanned, and no request to reconnect", want: diagnosis.AlreadyPaired,
			whatsapp: &whatsapp{Fault: whatsappsim.Fault{NoRestart: true}, scan: true, baileys: slow}},
		{name: "scanned, and the login meets an outage once", want: diagnosis.AlreadyPaired, before: unavailable,
			parts: []diagnosis.Part{diagnosis.WhatsApp}, whatsapp: after(whatsappsim.Fault{Failure: 503})},
		{name: "scanned, and the login is refused as logged out", want: diagnosis.LoggedOut, passes: true, whatsapp: after(whatsappsim.Fault{Failure: 401})},
		{name: "scanned, and the login is refused as banned", want: diagnosis.AccountBanned, passes: true, whatsapp: &whatsapp{
			Fault: whatsappsim.Fault{AfterScan: &whatsappsim.Fault{Failure: 406}}, scan: true, baileys: "its next login succeeds"}},
		{name: "linked, and the phone unlinks the device", want: diagnosis.LoggedOut, passes: true, before: []diagnosis.Code{diagnosis.AlreadyPaired},
			whatsapp: scanned(whatsappsim.Fault{UnlinkAfter: 2 * time.Second})},
	}
}
