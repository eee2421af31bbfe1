package diagnosis

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
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

// enginePatterns are texts about the engine itself, its proxy, codes and scans, the more specific first. A number must
// be a word of its own: "4051" does not contain "405".
var enginePatterns = slices.Concat(
	each(DiskFull, "enospc", "no space left", "disk is full", "disk full", "edquot", "disk quota exceeded", "erofs",
		"read-only file system", "readonly database", "attempt to write a readonly"),
	[]Pattern{{DiskFull, []string{"eacces", "mkdir"}}, {DiskFull, []string{"eacces", "open"}}},
	// The engine's own database, cache, queue or browser, whose texts may also contain ECONNREFUSED.
	each(Engine5xx, ":6379", ":5432", ":3306", ":27017", ":5672", "redis", "read only replica", "prisma", "postgres",
		"mongo", "mysql", "mariadb", "rabbitmq", "database", "no such table", "foreign key constraint", "connection pool", "too many clients",
		"connection terminated unexpectedly", "connection terminated due to", // of node-postgres; Baileys has no third word
		"launch the browser", "profile appears to be in use"),
	[]Pattern{{Engine5xx, []string{"column", "does not exist"}}, {Engine5xx, []string{"relation", "does not exist"}}},
	each(EngineOverloaded, "pre-key upload timeout", "out of memory", "cannot allocate memory", "enomem", "target closed",
		"page has been closed", "browser has been closed", "browser has disconnected", "page crashed",
		"execution context was destroyed", "too many open files", "emfile"),
	each(EngineUnlicensed, "license_required"), each(EngineStuck, "async-lock timed out"),

	[]Pattern{{QRExpired, []string{"qr channel", "timeout"}}}, // whatsmeow's
	each(QRExpired, "qr refs attempts ended", "qr code limit"), each(PasskeyRequired, "passkey"),
	each(PairingFailed, "companion_reg_refresh", "invalid account signature", "hmac-mismatch", "signature-mismatch"),
	each(Undetermined, "linked devices", "refused the link"), // a limit of the account's
	each(SessionLimit, "session limit", "sessions limit", "too many sessions", "límite de sesiones", "max_sessions"),
	[]Pattern{
		{SessionLimit, []string{"maximum", "sessions"}}, {SessionLimit, []string{"máximo", "sesiones"}},
		{SessionLimit, []string{"limit", "instance"}}, {SessionLimit, []string{"limit", "instânc"}},
		{SessionLimit, []string{"max", "devices"}}, {SessionLimit, []string{"max", "instances"}},
	},

	withNumbers(ProxyRefused, "upgrade answered", "407"),
	[]Pattern{
		{ProxyRefused, []string{"proxy", "authentication"}}, {ProxyRefused, []string{"by the proxy", "upgrade answered"}},
		{ProxyRefused, []string{"proxy", "econnrefused"}}, {ProxyRefused, []string{"socks", "proxy"}},
		{ProxyRefused, []string{"proxy", "connection refused"}}, {ProxyRefused, []string{"proxy", "tunnel"}},
		{ProxyRefused, []string{"net::err_", "proxy"}},
	},
	each(ProxyRefused, "tunneling socket", "connect tunnel failed", "receiving connect response", "proxyconnect", "socks connect", "sockscl", "socks4", "socks5",
		"err_proxy", "err_tunnel", "err_socks", "err_invalid_auth_credentials"),
)

// connectionPatterns are texts about the connection to WhatsApp. They hold if the text names no other peer.
var connectionPatterns = slices.Concat(
	// A block list or a captive portal resolves the name to this machine.
	[]Pattern{
		{DNSFailed, []string{"econnrefused", "127.0.0.1:443"}}, {DNSFailed, []string{"econnrefused", "0.0.0.0:443"}},
		{DNSFailed, []string{"econnrefused", "::1:443"}}, {DNSFailed, []string{"lookup", "i/o timeout"}},
		{ClockWrong, []string{"current time", "is before"}},
	},
	each(ClockWrong, "certificate is not yet valid", "cert_not_yet_valid"),
	// An expired certificate is WhatsApp's where the clock is wrong, or another server's.
	each(Undetermined, "certificate has expired", "cert_has_expired", "err_cert_date_invalid"),
	each(DNSFailed, "enotfound", "eai_again", "eservfail", "etimeout", "no such host", "server misbehaving",
		"err_name_not_resolved", "name or service not known", "temporary failure in name resolution",
		"temporary error during hostname resolution", "could not resolve host", "nodename nor servname"),
	// An alert is the other side's word, which may be WhatsApp, a proxy, or a server between them.
	each(Undetermined, "ssl alert", "alert number", "tls: handshake failure"),
	each(TLSIntercepted, "self-signed certificate", "self signed certificate", "self_signed_cert",
		"verify the first certificate", "unable to get local issuer", "unable_to_get_issuer", "unable_to_verify",
		"does not match certificate", "err_tls_cert", "err_cert_", "x509:", "verify server cert", "eproto",
		"wrong version number", "err_ssl_", "invalid wire type"),
	each(NetworkBlocked, "econnrefused", "connection refused", "ehostunreach", "enetunreach", "etimedout",
		"no route to host", "network is unreachable", "opening handshake has timed out", "whatsapp_unreachable",
		"tls handshake timeout", "connect timeout error", "couldn't connect to server",
		"actively refused", "did not properly respond", "host has failed to respond", // Windows
		"unreachable network", "unreachable host",
		"err_connection_refused", "err_connection_timed_out", "err_address_unreachable", "err_internet_disconnected"),
	[]Pattern{{NetworkBlocked, []string{"dial tcp", "i/o timeout"}}},
	withNumbers(WhatsAppUnavailable, "upgrade answered", "429", "500", "502", "503", "504"),
	each(NetworkBlocked, "upgrade answered", "disconnected before secure tls connection"),

	// Refusals of WhatsApp.
	each(ClientOutdated, "client outdated", "err-client-outdated", "client version as outdated"),
	withNumbers(ClientOutdated, "connection failure", "405", "409"),
	withNumbers(ClientOutdated, "method not allowed", "405"),
	each(AccountBanned, "logged out or banned"),
	withNumbers(LoggedOut, "connection failure", "401"), withNumbers(LoggedOut, "stream errored", "401"),
	withNumbers(LoggedOut, "logged out", "401"),
	each(LoggedOut, "was logged out", "device_removed"), each(AccountBanned, "temporaryban", "temporarily banned"),
	withNumbers(AccountBanned, "connection failure", "402", "403", "406"),
	withNumbers(SessionConflict, "stream errored", "440"),
	each(SessionConflict, "stream replaced", "took this session over"),
	// "connection terminated": the connection was closed, before or after the codes.
	each(WhatsAppUnavailable, "rate-overlimit", RestartRequired, "connection terminated"),
	withNumbers(WhatsAppUnavailable, "unexpected status", "429"),
	withNumbers(WhatsAppUnavailable, "connection failure", "429", "500", "501", "503"),
	withNumbers(WhatsAppUnavailable, "stream errored", "429", "500", "503"),
	each(WhatsAppSilent, "timed out waiting for handshake", "connection was lost"),
	withNumbers(Undetermined, "request timed out", "408"), // the engine's own
	withNumbers(WhatsAppSilent, "timed out", "408"),
)

// aboutConnection are words of an error about a connection that leave open whose fault it is.
var aboutConnection = regexp.MustCompile(`connection (?:failure|closed|reset|terminated|lost|errored)|stream[ :]error|` +
	`connect failure|failure location=|<failure |logged out|timed out|\beconnreset\b|\bepipe\b|broken pipe|` +
	`forcibly closed|socket hang up|fetch failed|baileyserror|` +
	`(?:failed|could not|unable) to connect|navigation timeout|waiting for selector|net::err_|timeout of \d+ ?ms|` +
	`i/o timeout|context deadline exceeded|\beof\b|bad handshake|whatsapp web websocket|web\.whatsapp\.com`)

// ConnectionWords returns the words by which the text of an error is about a connection, so that an engine that reports
// it is not to blame; "" if there are none.
func ConnectionWords(text string) string { return aboutConnection.FindString(strings.ToLower(text)) }

// ownFault are words of an error that is the engine's own, whatever else it says.
var ownFault = regexp.MustCompile(`(?:type|reference|syntax|range|assertion|validation|attribute|key|nullpointer)` +
	` ?(?:error|exception)|is not a (?:function|constructor)|is not (?:defined|iterable)|cannot read propert|` +
	`undefined is not|null is not|nil pointer|qr channel closed|stack size exceeded|segmentation fault|cannot find module|` +
	`out of range|unmarshal|unexpected token|not allowed by cors|\benoent\b|eaddrinuse|no such file|not implemented|` +
	`could not find (?:expected browser|chrome)|browser (?:was not found|is already running)|executable|` +
	`resource temporarily unavailable|os thread|licen[cs]e|licen[cç]|payment required|trial|subscription|suscripci|assinatura|\bplan\b`)

// genericWords are all the words of an error that says only that something failed. In other words an error may be about
// anything: WhatsApp, the network, an account.
var genericWords = setOf("an a the this of to for while when during with is was not from in on at del de la el ao o da " +
	"do os error errors err erro exception failed failure fail fails falha falló fallo gagal unable cannot can could " +
	"couldn't can't unexpected unknown internal interno interna server servidor something went wrong algo salió mal " +
	"try again later please tente novamente intente nuevamente más tarde occurred ocurrió ocorreu happened processing " +
	"request solicitud session sesión sesion sessão sessao sesi instance instancia instância client cliente device " +
	"qr qrcode code código codigo kode connect connecting conectar conectando create creating crear creando criar " +
	"criando start starting iniciar iniciando iniciado init initialize initializing initialise inicializar " +
	"inicializando restart restarting reiniciar generate generating generar generando gerar gerando get getting " +
	"obtain obtener obteniendo obter obtendo retrieve retrieving recuperar fetch load loading no se pudo pudieron " +
	"puede não nao foi possível possivel pôde al generation creation initialization qr_generation_error " +
	"bad unprocessable entity content conflict gone service unavailable temporarily busy acceptable invalid") // of statuses

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// IsOwnFault reports whether the text of an error shows that the engine itself failed: it is a fault of its program, or
// it says nothing but that the call failed. Names with digits in them, such as a session's, say nothing either; what
// was redacted may be anything.
func IsOwnFault(text string) bool {
	text = strings.ToLower(text)
	if ownFault.MatchString(text) {
		return true
	}
	isSeparator := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_'-…", r)
	}
	for word := range strings.FieldsFuncSeq(text, isSeparator) {
		isName := strings.ContainsAny(word, "0123456789") && strings.Trim(word, "0123456789") != ""
		if !isName && !genericWords[strings.Trim(word, "'-")] && word != "500" {
			return false
		}
	}
	return true
}

// each returns one pattern of a cause for each text.
func each(code Code, texts ...string) (out []Pattern) {
	for _, text := range texts {
		out = append(out, Pattern{code, []string{text}})
	}
	return out
}

// withNumbers returns one pattern of a cause for a text with each of the numbers.
func withNumbers(code Code, text string, numbers ...string) (out []Pattern) {
	for _, number := range numbers {
		out = append(out, Pattern{code, []string{number, text}})
	}
	return out
}

// sameWords are other words for those of the patterns: how websocket libraries of Node.js and Go report a response other
// than 101, and how whatsmeow reports what Baileys calls a connection failure.
var sameWords = strings.NewReplacer(
	"unexpected server response:", "upgrade answered", "status code 101 but got", "upgrade answered",
	"connect failure", "connection failure", "<failure ", "connection failure ", "failure location=", "connection failure ",
	"<stream:error ", "stream errored ")

// peer finds the other side of a connection in a text of Node.js, Go, curl or Python: a host name, or the port behind an
// address.
var peer = regexp.MustCompile(
	`(?:\b(?:enotfound|eai_again|eservfail|etimeout|lookup|resolve host:?)\s|\b(?:https?|wss?)://)([a-z0-9._-]+)|` +
		`(?:\b(?:econnrefused|etimedout|ehostunreach|enetunreach|econnreset|dial tcp[46]?|address(?:es)?:|connect to) |` +
		`\bhost=')([^\s,;']+)(?::|',? port[= ]| port )(\d{1,5})\b`)

// peersOf returns the peers in a text that are not WhatsApp's, and whether it names WhatsApp: by its name, by a public
// address and one of its ports 443 and 5222, or as the other side of a websocket or of a browser's page.
func peersOf(text string) (others []string, isWhatsApp bool) {
	isWhatsApp = aboutWhatsApp.MatchString(text)
	for _, found := range peer.FindAllStringSubmatch(text, -1) {
		host, address, port := found[1], found[2], found[3]
		ip, _ := netip.ParseAddr(strings.Trim(address, "[]"))
		switch {
		case host != "" && !strings.Contains(host, "whatsapp."):
			others = append(others, host)
		case port != "" && (port != "443" && port != "5222" || ip.IsPrivate()):
			others = append(others, address+":"+port)
		case port != "":
			isWhatsApp = true
		}
	}
	return others, isWhatsApp
}

var aboutWhatsApp = regexp.MustCompile(`whatsapp|websocket|\bwss:|net::err_`)

// MatchCause finds the cause that the reason of a session's disconnect names. A connection to another peer than WhatsApp
// leaves the cause open: it may be a proxy, or a service of the engine's.
func MatchCause(text string) (Pattern, bool) { return match(text, true) }

// MatchError finds the cause that the text of an error names. The error may be about any connection: a cause in the
// network counts only if the text names WhatsApp.
func MatchError(text string) (Pattern, bool) { return match(text, false) }

func match(text string, isAboutWhatsApp bool) (Pattern, bool) {
	text = strings.ToLower(text)
	others, namesWhatsApp := peersOf(text)
	text = sameWords.Replace(text)
	all := strings.FieldsFunc(text, func(r rune) bool {
		return !(r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z')
	})
	for _, c := range trustedCodes {
		if slices.Contains(all, string(c)) {
			return Pattern{c, []string{string(c)}}, true
		}
	}
	find := func(patterns []Pattern) (Pattern, bool) {
		i := slices.IndexFunc(patterns, func(t Pattern) bool {
			return !slices.ContainsFunc(t.Words, func(w string) bool { return !contains(text, all, w) })
		})
		if i < 0 {
			return Pattern{}, false
		}
		return patterns[i], true
	}
	if found, ok := find(enginePatterns); ok {
		return found, true
	}
	if len(others) > 0 {
		return Pattern{Undetermined, others[:1]}, true
	}
	found, ok := find(connectionPatterns)
	isUpgrade := slices.Contains(found.Words, "upgrade answered")
	if !isAboutWhatsApp && !namesWhatsApp && (found.Code.Part() == Network || isUpgrade) {
		found.Code = Undetermined
	}
	return found, ok
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
