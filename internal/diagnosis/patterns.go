package diagnosis

import (
	"regexp"
	"slices"
	"strings"
)

// Pattern is a text of an engine and the cause that it names. All its words must occur: a number alone is never
// enough (Baileys' 408 means five things), and neither are some words without their number.
type Pattern struct {
	Code  Code
	Words []string // in lower case
}

// trustedCodes are the causes that an engine may name by qrgate's own code. Other codes mean something else in an
// engine's text, such as "rate_limited" or "internal".
var trustedCodes = []Code{
	ClientOutdated, AccountBanned, LoggedOut, PairingFailed, PasskeyRequired, ClockWrong, DiskFull, DNSFailed,
	NetworkBlocked, TLSIntercepted, ProxyRefused, WhatsAppSilent, WhatsAppUnavailable, SessionLimit, SessionConflict,
	QRInvalid, QRExpired, EngineOverloaded,
}

// patterns are texts of engines and of the WhatsApp libraries, the more specific first. A number must be a word of its
// own: "4051" does not contain "405".
var patterns = []Pattern{
	// The engine's own database, cache or browser, whose texts may also contain ECONNREFUSED.
	{Engine5xx, []string{":6379"}}, {Engine5xx, []string{":5432"}}, {Engine5xx, []string{":3306"}},
	{Engine5xx, []string{"redis"}}, {Engine5xx, []string{"prisma"}}, {Engine5xx, []string{"database server"}},
	{Engine5xx, []string{"column", "does not exist"}}, {Engine5xx, []string{"launch the browser"}},
	{Engine5xx, []string{"profile appears to be in use"}},
	{EngineOverloaded, []string{"pre-key upload timeout"}}, {EngineOverloaded, []string{"out of memory"}},
	{EngineOverloaded, []string{"target closed"}}, {EngineOverloaded, []string{"execution context was destroyed"}},

	{EngineUnlicensed, []string{"license_required"}}, {EngineStuck, []string{"async-lock timed out"}},

	// The engine's disk.
	{DiskFull, []string{"enospc"}}, {DiskFull, []string{"no space left"}}, {DiskFull, []string{"disk is full"}},
	{DiskFull, []string{"disk full"}}, {DiskFull, []string{"edquot"}}, {DiskFull, []string{"disk quota exceeded"}},
	{DiskFull, []string{"erofs"}}, {DiskFull, []string{"read-only file system"}}, {DiskFull, []string{"readonly database"}},
	{DiskFull, []string{"attempt to write a readonly"}},

	// Codes and scans.
	{QRExpired, []string{"qr refs attempts ended"}}, {QRExpired, []string{"qr code limit"}},
	{PasskeyRequired, []string{"passkey"}},
	{PairingFailed, []string{"companion_reg_refresh"}}, {PairingFailed, []string{"invalid account signature"}},
	{PairingFailed, []string{"hmac-mismatch"}}, {PairingFailed, []string{"signature-mismatch"}},
	{SessionLimit, []string{"session limit"}}, {SessionLimit, []string{"sessions limit"}}, {SessionLimit, []string{"too many sessions"}},
	{SessionLimit, []string{"límite de sesiones"}}, {SessionLimit, []string{"max_sessions"}},
	{SessionLimit, []string{"maximum", "sessions"}}, {SessionLimit, []string{"máximo", "sesiones"}},

	// The connection to WhatsApp.
	{ProxyRefused, []string{"proxy", "authentication"}}, {ProxyRefused, []string{"407", "upgrade answered"}},
	{ProxyRefused, []string{"by the proxy", "upgrade answered"}},
	{ProxyRefused, []string{"tunneling socket"}}, {ProxyRefused, []string{"socks"}}, {ProxyRefused, []string{"proxy", "econnrefused"}},
	// A block list or a captive portal resolves the name to this machine.
	{DNSFailed, []string{"econnrefused", "127.0.0.1:443"}}, {DNSFailed, []string{"econnrefused", "0.0.0.0:443"}},
	{DNSFailed, []string{"econnrefused", "::1:443"}},
	{ClockWrong, []string{"certificate is not yet valid"}}, {ClockWrong, []string{"cert_not_yet_valid"}},
	// An expired certificate is WhatsApp's where the clock is wrong, or another server's.
	{Undetermined, []string{"certificate has expired"}}, {Undetermined, []string{"cert_has_expired"}},
	{DNSFailed, []string{"enotfound"}}, {DNSFailed, []string{"eai_again"}}, {DNSFailed, []string{"no such host"}},
	{TLSIntercepted, []string{"self-signed certificate"}}, {TLSIntercepted, []string{"self signed certificate"}},
	{TLSIntercepted, []string{"self_signed_cert"}}, {TLSIntercepted, []string{"verify the first certificate"}},
	{TLSIntercepted, []string{"unable to get local issuer"}}, {TLSIntercepted, []string{"unable_to_get_issuer"}}, {TLSIntercepted, []string{"unable_to_verify"}},
	{TLSIntercepted, []string{"does not match certificate"}}, {TLSIntercepted, []string{"err_tls_cert"}},
	{TLSIntercepted, []string{"x509:"}}, {TLSIntercepted, []string{"verify server cert"}},
	{TLSIntercepted, []string{"eproto"}}, {TLSIntercepted, []string{"wrong version number"}}, {TLSIntercepted, []string{"invalid wire type"}},
	{NetworkBlocked, []string{"econnrefused"}}, {NetworkBlocked, []string{"connection refused"}},
	{NetworkBlocked, []string{"ehostunreach"}}, {NetworkBlocked, []string{"enetunreach"}}, {NetworkBlocked, []string{"etimedout"}},
	{NetworkBlocked, []string{"opening handshake has timed out"}}, {NetworkBlocked, []string{"whatsapp_unreachable"}},
	{WhatsAppUnavailable, []string{"429", "upgrade answered"}}, {WhatsAppUnavailable, []string{"500", "upgrade answered"}},
	{WhatsAppUnavailable, []string{"502", "upgrade answered"}}, {WhatsAppUnavailable, []string{"503", "upgrade answered"}},
	{WhatsAppUnavailable, []string{"504", "upgrade answered"}}, {NetworkBlocked, []string{"upgrade answered"}},
	{NetworkBlocked, []string{"disconnected before secure tls connection"}},

	// Refusals of WhatsApp.
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
	{WhatsAppUnavailable, []string{"rate-overlimit"}}, {WhatsAppUnavailable, []string{"429", "unexpected status"}},
	{WhatsAppUnavailable, []string{"429", "connection failure"}}, {WhatsAppUnavailable, []string{"429", "stream errored"}},
	{WhatsAppUnavailable, []string{"500", "connection failure"}}, {WhatsAppUnavailable, []string{"501", "connection failure"}},
	{WhatsAppUnavailable, []string{"503", "connection failure"}}, {WhatsAppUnavailable, []string{"500", "stream errored"}},
	{WhatsAppUnavailable, []string{"503", "stream errored"}}, {WhatsAppUnavailable, []string{RestartRequired}},
	{WhatsAppUnavailable, []string{"connection terminated"}}, // the connection was closed, before or after the codes
	{WhatsAppSilent, []string{"timed out waiting for handshake"}}, {WhatsAppSilent, []string{"408", "timed out"}},
	{WhatsAppSilent, []string{"connection was lost"}},
}

// MatchCause finds the cause that an engine's text names.
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

// contains reports whether text contains words; all are the words of text, and a number must be one of them.
func contains(text string, all []string, words string) bool {
	if strings.Trim(words, "0123456789") == "" {
		return slices.Contains(all, words)
	}
	return strings.Contains(text, words)
}

// RestartRequired is Baileys' text for a 515. It is normal after a scan, and a failure only for a session that still
// waits for codes.
const RestartRequired = "restart required"

// detail is a part of an engine's text that explains a cause and cannot be a secret: an address, a date, or a name that
// qrgate's own engine writes.
var detail = regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?\b|\[[0-9a-f:]{2,39}\](:\d{1,5})?|` +
	`\b\d{4}-\d\d-\d\d( \d\d:\d\d)?|\b(issued by|redirect to|the proxy|Server:|Via: \d\.\d) [A-Za-z0-9.:/_-]{2,40}( [A-Z0-9][A-Za-z0-9.]*)*`)

// Details returns the addresses, dates and names in an engine's text that explain its cause, at most six.
func Details(text string) []string { return detail.FindAllString(text, 6) }
