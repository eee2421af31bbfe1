package qrgate

import (
	"slices"
	"strings"
)

// tell is what engines say of themselves, and the cause that it names. All its words must be there: a number
// alone is never enough (Baileys' 408 means five things), and neither are some words without their number.
type tell struct {
	code  Code
	words []string // in lower case
}

// believed are the causes that an engine may name by the gate's own word for them. The others are the gate's
// to find: an engine that says "rate_limited" or "internal" means something else.
var believed = []Code{ClientOutdated, AccountBanned, LoggedOut, PairingFailed, PasskeyRequired, DNSFailed, NetworkBlocked,
	TLSIntercepted, ProxyRefused, WhatsAppSilent, WhatsAppDown, SessionLimit, SessionConflict, QRInvalid, QRExpired, EngineOverloaded}

// tells are the words of others, the more telling first. What the libraries say is in wasim 4, what engines
// make of it in engines B.1. A number must stand alone: "405" is not in "4051".
var tells = []tell{
	// The engine's own house, which may also say ECONNREFUSED (engines F14 to F17).
	{EngineFailing, []string{":6379"}}, {EngineFailing, []string{":5432"}}, {EngineFailing, []string{":3306"}},
	{EngineFailing, []string{"redis"}}, {EngineFailing, []string{"prisma"}}, {EngineFailing, []string{"database server"}},
	{EngineFailing, []string{"column", "does not exist"}}, {EngineFailing, []string{"launch the browser"}},
	{EngineFailing, []string{"profile appears to be in use"}},
	{EngineOverloaded, []string{"pre-key upload timeout"}}, {EngineOverloaded, []string{"out of memory"}},
	{EngineOverloaded, []string{"target closed"}}, {EngineOverloaded, []string{"execution context was destroyed"}},

	// Codes and scans.
	{QRExpired, []string{"qr refs attempts ended"}}, {QRExpired, []string{"qr code limit"}},
	{PasskeyRequired, []string{"passkey"}},
	{PairingFailed, []string{"companion_reg_refresh"}}, {PairingFailed, []string{"invalid account signature"}},
	{PairingFailed, []string{"hmac-mismatch"}}, {PairingFailed, []string{"signature-mismatch"}},
	{SessionLimit, []string{"session limit"}}, {SessionLimit, []string{"sessions limit"}}, {SessionLimit, []string{"too many sessions"}},
	{SessionLimit, []string{"límite de sesiones"}}, {SessionLimit, []string{"max_sessions"}},
	{SessionLimit, []string{"maximum", "sessions"}}, {SessionLimit, []string{"máximo", "sesiones"}},

	// The way to WhatsApp.
	{ProxyRefused, []string{"proxy", "authentication"}}, {ProxyRefused, []string{"407", "upgrade answered"}},
	{ProxyRefused, []string{"tunneling socket"}}, {ProxyRefused, []string{"socks"}}, {ProxyRefused, []string{"proxy", "econnrefused"}},
	{DNSFailed, []string{"enotfound"}}, {DNSFailed, []string{"eai_again"}}, {DNSFailed, []string{"no such host"}},
	{TLSIntercepted, []string{"self-signed certificate"}}, {TLSIntercepted, []string{"self signed certificate"}},
	{TLSIntercepted, []string{"self_signed_cert"}}, {TLSIntercepted, []string{"verify the first certificate"}},
	{TLSIntercepted, []string{"unable to get local issuer"}}, {TLSIntercepted, []string{"unable_to_get_issuer"}}, {TLSIntercepted, []string{"unable_to_verify"}},
	{TLSIntercepted, []string{"does not match certificate"}}, {TLSIntercepted, []string{"err_tls_cert"}},
	{TLSIntercepted, []string{"x509:"}}, {TLSIntercepted, []string{"verify server cert"}},
	{TLSIntercepted, []string{"wrong version number"}}, {TLSIntercepted, []string{"invalid wire type"}},
	{NetworkBlocked, []string{"econnrefused"}}, {NetworkBlocked, []string{"connection refused"}},
	{NetworkBlocked, []string{"ehostunreach"}}, {NetworkBlocked, []string{"enetunreach"}}, {NetworkBlocked, []string{"etimedout"}},
	{NetworkBlocked, []string{"opening handshake has timed out"}}, {NetworkBlocked, []string{"whatsapp_unreachable"}},
	{NetworkBlocked, []string{"403", "upgrade answered"}},
	{WhatsAppDown, []string{"429", "upgrade answered"}}, {WhatsAppDown, []string{"500", "upgrade answered"}},
	{WhatsAppDown, []string{"502", "upgrade answered"}}, {WhatsAppDown, []string{"503", "upgrade answered"}},

	// WhatsApp's own no.
	{ClientOutdated, []string{"client outdated"}}, {ClientOutdated, []string{"err-client-outdated"}},
	{ClientOutdated, []string{"client version as outdated"}},
	{ClientOutdated, []string{"405", "connection failure"}}, {ClientOutdated, []string{"405", "method not allowed"}},
	{ClientOutdated, []string{"409", "connection failure"}},
	{AccountBanned, []string{"logged out or banned"}},
	{LoggedOut, []string{"401", "connection failure"}}, {LoggedOut, []string{"401", "stream errored"}},
	{LoggedOut, []string{"was logged out"}}, {LoggedOut, []string{"device_removed"}},
	{AccountBanned, []string{"temporaryban"}}, {AccountBanned, []string{"temporarily banned"}},
	{AccountBanned, []string{"402", "connection failure"}}, {AccountBanned, []string{"403", "connection failure"}},
	{AccountBanned, []string{"406", "connection failure"}},
	{SessionConflict, []string{"440", "stream errored"}}, {SessionConflict, []string{"stream replaced"}}, {SessionConflict, []string{"took this session over"}},
	{WhatsAppDown, []string{"429", "connection failure"}}, {WhatsAppDown, []string{"429", "stream errored"}}, // engines F9
	{WhatsAppDown, []string{"500", "connection failure"}}, {WhatsAppDown, []string{"501", "connection failure"}},
	{WhatsAppDown, []string{"503", "connection failure"}}, {WhatsAppDown, []string{"500", "stream errored"}},
	{WhatsAppDown, []string{"503", "stream errored"}}, {WhatsAppDown, []string{restartRequired}},
	{WhatsAppDown, []string{"connection terminated"}}, // a cut, before the codes or after: the words do not tell
	{WhatsAppSilent, []string{"timed out waiting for handshake"}}, {WhatsAppSilent, []string{"408", "timed out"}},
	{WhatsAppSilent, []string{"connection was lost"}},
}

// tellOf finds the cause that an engine's words name.
func tellOf(text string) (tell, bool) {
	text = strings.ToLower(text)
	all := strings.FieldsFunc(text, func(r rune) bool {
		return !(r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z')
	})
	for _, c := range believed {
		if slices.Contains(all, string(c)) {
			return tell{c, []string{string(c)}}, true
		}
	}
	for _, t := range tells {
		if !slices.ContainsFunc(t.words, func(w string) bool { return !says(text, all, w) }) {
			return t, true
		}
	}
	return tell{}, false
}

// says reports whether a text holds some words: a number must be one of all its words.
func says(text string, all []string, words string) bool {
	if strings.Trim(words, "0123456789") == "" {
		return slices.Contains(all, words)
	}
	return strings.Contains(text, words)
}

// restartRequired is what Baileys says of a 515. After a scan that is the usual course (engines F7), and only
// an end of a session that wants codes if it lasts.
const restartRequired = "restart required"

// sign is what the words mean for a session. A connection that WhatsApp ends after it sent codes was not
// silent. The engine's text itself stays out of the evidence: the words that decided say enough.
func (t tell) sign(at *scene) sign {
	code := t.code
	if t.words[0] == restartRequired && at.now.Sub(at.Since) < PatienceTime {
		return sign{}
	}
	if code == WhatsAppSilent && at.Sequence > 0 {
		code = WhatsAppDown
	}
	return sign{code: code, sure: true, evidence: []string{"the engine names this cause itself: " + strings.Join(t.words, ", ")}}
}

// answered: the words of the engine's present error, or of the one with which it refuses to connect.
func answered(at *scene) sign {
	heard := []Trouble{at.trouble()}
	if at.refusing() {
		heard = append(heard, at.Past.Refusal)
	}
	for _, trouble := range heard {
		if trouble.Kind == BadAnswer && trouble.Code == codeQRInvalid {
			return sign{code: QRInvalid, sure: true, evidence: []string{"what the engine hands out as a QR is too large, no image, or no code"}}
		}
		if _, gone := absences[trouble.Kind]; gone {
			return sign{}
		}
		if t, ok := tellOf(trouble.Text + " " + trouble.Code); ok {
			return t.sign(at)
		}
	}
	return sign{}
}

// codeQRInvalid is what an engine adapter says of a QR that is no image.
const codeQRInvalid = "QR_INVALID"

// reasoned: what the engine says of the session's last disconnect.
func reasoned(at *scene) sign {
	if at.State == AwaitingScan && !at.over() {
		return sign{} // a newer connect brought a code
	}
	if t, ok := tellOf(at.Reason); ok {
		return t.sign(at)
	}
	return sign{}
}

// remembered: the engine named a cause before the gate connected again by itself, and nothing has come of
// that yet. Without this the diagnosis would vanish at each attempt and come back seconds later.
func remembered(at *scene) sign {
	n := at.Past.Named
	if n.Code == "" || at.State != Connecting || at.Sequence > 0 || !at.ownConnect() ||
		n.Last.Before(at.Since) || at.now.Sub(n.Last) > restartTime {
		return sign{}
	}
	return sign{code: n.Code, sure: true, evidence: []string{
		"the engine named this cause before it was asked to connect again, and no QR has come since"}}
}
