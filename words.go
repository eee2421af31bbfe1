package qrgate

import "strings"

// tells maps what engines say of themselves, in their error text or code, to a cause. Both libraries'
// words for it are in wasim 4; a number alone is never enough (Baileys' 408 means five things).
var tells = []struct {
	words string
	code  Code
}{
	{"client_outdated", ClientOutdated},
	{"client outdated", ClientOutdated},
	{"account_banned", AccountBanned},
	{"temporaryban", AccountBanned},
	{"passkey", PasskeyRequired},
	{"tls_intercepted", TLSIntercepted},
	{"self-signed certificate", TLSIntercepted},
	{"x509:", TLSIntercepted},
	{"dns_failed", DNSFailed},
	{"enotfound", DNSFailed},
	{"eai_again", DNSFailed},
	{"no such host", DNSFailed},
	{"proxy_refused", ProxyRefused},
	{"proxy authentication", ProxyRefused},
	{"econnrefused", NetworkBlocked},
	{"opening handshake has timed out", NetworkBlocked},
	{"whatsapp_unreachable", NetworkBlocked},
	{"whatsapp_silent", WhatsAppSilent},
	{"whatsapp_unavailable", WhatsAppDown},
	{"logged_out", LoggedOut},
	{"session limit", SessionLimit},
	{"session_limit", SessionLimit},
	{"pairing_failed", PairingFailed},
	{"qr_invalid", QRInvalid},
	{"qr_expired", QRExpired},
}

// fromWords believes an engine that names its own cause.
func fromWords(s Session) Diagnosis {
	text := strings.ToLower(strings.Join([]string{s.Trouble.Text, s.Trouble.Code, s.Reason}, " "))
	for _, t := range tells {
		if strings.Contains(text, t.words) {
			return About(t.code, "the engine names this cause itself")
		}
	}
	return Diagnosis{Code: None}
}
