package diagnosis

import (
	"slices"
	"strings"
)

// Pattern is what engines say of themselves, and the cause that it names. All its words must be there: a number
// alone is never enough (Baileys' 408 means five things), and neither are some words without their number.
type Pattern struct {
	Code  Code
	Words []string // in lower case
}

// trustedCodes are the causes that an engine may name by the gate's own word for them. The others are the gate's
// to find: an engine that says "rate_limited" or "internal" means something else.
var trustedCodes = []Code{ClientOutdated, AccountBanned, LoggedOut, PairingFailed, PasskeyRequired, DNSFailed, NetworkBlocked,
	TLSIntercepted, ProxyRefused, WhatsAppSilent, WhatsAppUnavailable, SessionLimit, SessionConflict, QRInvalid, QRExpired, EngineOverloaded}

// patterns are the words of others, the more telling first. What the libraries say is in wasim 4, what engines
// make of it in engines B.1. A number must stand alone: "405" is not in "4051".
var patterns = []Pattern{
	// The engine's own house, which may also say ECONNREFUSED (engines F14 to F17).
	{Engine5xx, []string{":6379"}}, {Engine5xx, []string{":5432"}}, {Engine5xx, []string{":3306"}},
	{Engine5xx, []string{"redis"}}, {Engine5xx, []string{"prisma"}}, {Engine5xx, []string{"database server"}},
	{Engine5xx, []string{"column", "does not exist"}}, {Engine5xx, []string{"launch the browser"}},
	{Engine5xx, []string{"profile appears to be in use"}},
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
	{WhatsAppUnavailable, []string{"429", "upgrade answered"}}, {WhatsAppUnavailable, []string{"500", "upgrade answered"}},
	{WhatsAppUnavailable, []string{"502", "upgrade answered"}}, {WhatsAppUnavailable, []string{"503", "upgrade answered"}},

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
	{WhatsAppUnavailable, []string{"429", "connection failure"}}, {WhatsAppUnavailable, []string{"429", "stream errored"}}, // engines F9
	{WhatsAppUnavailable, []string{"500", "connection failure"}}, {WhatsAppUnavailable, []string{"501", "connection failure"}},
	{WhatsAppUnavailable, []string{"503", "connection failure"}}, {WhatsAppUnavailable, []string{"500", "stream errored"}},
	{WhatsAppUnavailable, []string{"503", "stream errored"}}, {WhatsAppUnavailable, []string{RestartRequired}},
	{WhatsAppUnavailable, []string{"connection terminated"}}, // a cut, before the codes or after: the words do not tell
	{WhatsAppSilent, []string{"timed out waiting for handshake"}}, {WhatsAppSilent, []string{"408", "timed out"}},
	{WhatsAppSilent, []string{"connection was lost"}},
}

// MatchCause finds the cause that an engine's words name.
func MatchCause(text string) (Pattern, bool) {
	text = strings.ToLower(text)
	all := strings.FieldsFunc(text, func(r rune) bool {
		return !(r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z')
	})
	for _, c := range trustedCodes {
		if slices.Contains(all, string(c)) {
			return Pattern{c, []string{string(c)}}, true
		}
	}
	for _, t := range patterns {
		if !slices.ContainsFunc(t.Words, func(w string) bool { return !contains(text, all, w) }) {
			return t, true
		}
	}
	return Pattern{}, false
}

// contains reports whether a text holds some words: a number must be one of all its words.
func contains(text string, all []string, words string) bool {
	if strings.Trim(words, "0123456789") == "" {
		return slices.Contains(all, words)
	}
	return strings.Contains(text, words)
}

// RestartRequired is what Baileys says of a 515. After a scan that is the usual course (engines F7), and only
// an end of a session that wants codes if it lasts.
const RestartRequired = "restart required"
