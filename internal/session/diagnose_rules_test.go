package session_test

import (
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Texts of real engines: Baileys' code and message, error codes of the operating system, and texts of the embedded
// WhatsApp responded once there was a code: a query that timed out afterwards blames nobody.
func TestDiagnose_SilenceAfterACode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]diagnosis.Code{
		"408 Timed Out":           diagnosis.Undetermined,
		"408 Connection was lost": diagnosis.WhatsAppUnavailable,
	} {
		s := session.Session{State: session.Connecting, CreatedHere: true, Since: noon, Sequence: 1}
		for i := range 3 {
			err := &session.EngineError{Op: session.OpConnect, Kind: session.KindServerError, Status: 500, Text: text}
			s = s.AfterConnectError(err, noon.Add(time.Duration(i)*time.Second))
		}
		if got := session.Diagnose(s, session.Environment{}, noon.Add(4*time.Second)); got.Code != want {
			t.Errorf("%q is %s %q, want %s", text, got.Code, got.Evidence, want)
		}
	}
}

// engine.
func TestDiagnose_NamesCauseOfEngineText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]diagnosis.Code{
		"client_outdated WhatsApp refuses this version of the library; update qrgate.": diagnosis.ClientOutdated,
		"Error obteniendo código QR: network_blocked. No TCP connection.":              diagnosis.NetworkBlocked,
		"whatsapp_unavailable WhatsApp closed the connection.":                         diagnosis.WhatsAppUnavailable,
		"VALIDATION_ERROR Maximum number of sessions reached":                          diagnosis.SessionLimit,
		"Se alcanzó el máximo de sesiones":                                             diagnosis.SessionLimit,
		"405 Connection Failure":                                                       diagnosis.ClientOutdated,
		"409 Connection Failure":                                                       diagnosis.ClientOutdated,
		"401 Connection Failure":                                                       diagnosis.LoggedOut,
		"402 Connection Failure":                                                       diagnosis.AccountBanned,
		"403 Connection Failure":                                                       diagnosis.AccountBanned,
		"406 Connection Failure":                                                       diagnosis.AccountBanned,
		"429 Connection Failure":                                                       diagnosis.WhatsAppUnavailable,
		"503 Connection Failure":                                                       diagnosis.WhatsAppUnavailable,
		"500 Connection Failure":                                                       diagnosis.WhatsAppUnavailable,
		"WhatsApp refuses this client version as outdated":                             diagnosis.ClientOutdated,
		"the account is temporarily banned":                                            diagnosis.AccountBanned,
		"the device was logged out":                                                    diagnosis.LoggedOut,
		"406 Connection Failure the account was logged out or banned":                  diagnosis.AccountBanned,
		"dial tcp 157.240.10.32:443: connectex: A connection attempt failed because the connected party did not properly respond": diagnosis.NetworkBlocked,
		"dial tcp 157.240.10.32:443: connectex: No connection could be made because the target machine actively refused it.":      diagnosis.NetworkBlocked,
		"dial tcp 157.240.10.32:443: connectex: A socket operation was attempted to an unreachable network.":                      diagnosis.NetworkBlocked,
		"couldn't dial whatsapp web websocket: dial…stablished connection failed because connected host has failed to respond.":   diagnosis.NetworkBlocked,
		"net/http: TLS handshake timeout": diagnosis.NetworkBlocked,
		"Connect Timeout Error (attempted address: web.whatsapp.com:443, timeout: 10000ms)":                                    diagnosis.NetworkBlocked,
		"Connect Timeout Error (attempted address: 10.0.0.5:3000, timeout: 10000ms)":                                           diagnosis.Undetermined,
		"[Errno -3] Temporary failure in name resolution":                                                                      diagnosis.DNSFailed,
		"HTTPSConnectionPool(host='web.whatsapp.com', port=443): Max retries exceeded with url: / (Name or service not known)": diagnosis.DNSFailed,
		"HTTPConnectionPool(host='f4fdf59d-whatsapp-addon', port=3000): Max retries exceeded (Connection refused)":             diagnosis.Undetermined,
		"cURL error 7: Failed to connect to localhost port 3000 after 0 ms: Couldn't connect to server":                        diagnosis.Undetermined,
		"cURL error 7: Failed to connect to web.whatsapp.com port 443 after 30 ms: Couldn't connect to server":                 diagnosis.NetworkBlocked,
		"cURL error 6: Could not resolve host: node-wa (see https://curl.haxx.se/libcurl/c/libcurl-errors.html)":               diagnosis.Undetermined,
		"cURL error 6: Could not resolve host: web.whatsapp.com":                                                               diagnosis.DNSFailed,
		"Protocol error (Runtime.callFunctionOn): Session closed. Most likely the page has been closed.":                       diagnosis.EngineOverloaded,
		"Navigation failed because browser has disconnected!":                                                                  diagnosis.EngineOverloaded,
		"failed to create device: database is locked (5) (SQLITE_BUSY)":                                                        diagnosis.Engine5xx,
		"another connection took this session over":                                                                            diagnosis.SessionConflict,
		"401 Stream Errored (conflict)":                                                                                        diagnosis.LoggedOut,
		"440 Stream Errored (conflict)":                                                                                        diagnosis.SessionConflict,
		"503 Stream Errored (unknown)":                                                                                         diagnosis.WhatsAppUnavailable,
		"515 Stream Errored (restart required)":                                                                                diagnosis.WhatsAppUnavailable,
		"408 QR refs attempts ended":                                                                                           diagnosis.QRExpired,
		"QR channel result: timeout":                                                                                           diagnosis.QRExpired,
		"QR refs attempts ended":                                                                                               diagnosis.QRExpired,
		"408 WebSocket Error (getaddrinfo ENOTFOUND web.whatsapp.com) ENOTFOUND":                                               diagnosis.DNSFailed,
		"WebSocket Error (getaddrinfo EAI_AGAIN web.whatsapp.com)":                                                             diagnosis.DNSFailed,
		"couldn't dial whatsapp web websocket: lookup: no such host":                                                           diagnosis.DNSFailed,
		"WebSocket Error (connect ECONNREFUSED 127.0.0.1:443)":                                                                 diagnosis.DNSFailed, // the name is resolved to this machine
		"WebSocket Error (connect ECONNREFUSED 0.0.0.0:443)":                                                                   diagnosis.DNSFailed,
		"WebSocket Error (connect ECONNREFUSED 157.240.1.60:443)":                                                              diagnosis.NetworkBlocked,
		"WebSocket Error (certificate is not yet valid) CERT_NOT_YET_VALID":                                                    diagnosis.ClockWrong,
		"WebSocket Error (certificate has expired) CERT_HAS_EXPIRED":                                                           diagnosis.Undetermined,
		"302 WebSocket upgrade answered with HTTP 302":                                                                         diagnosis.NetworkBlocked,
		"ENOSPC: no space left on device, write":                                                                               diagnosis.DiskFull,
		"SQLITE_FULL: database or disk is full":                                                                                diagnosis.DiskFull,
		"EROFS: read-only file system, open 'creds.json'":                                                                      diagnosis.DiskFull,
		"WebSocket Error (connect ETIMEDOUT)":                                                                                  diagnosis.NetworkBlocked,
		"Opening handshake has timed out":                                                                                      diagnosis.NetworkBlocked,
		"408 Timed Out":                                                                                                        diagnosis.WhatsAppSilent,
		"428 Connection Terminated":                                                                                            diagnosis.WhatsAppUnavailable,
		"408 Connection was lost":                                                                                              diagnosis.WhatsAppSilent,
		"500 WebSocket Error (self-signed certificate) DEPTH_ZERO_SELF_SIGNED_CERT":                                            diagnosis.TLSIntercepted,
		"self signed certificate in certificate chain":                                                                         diagnosis.TLSIntercepted,
		"tls: failed to verify certificate: x509: unknown authority":                                                           diagnosis.TLSIntercepted,
		"invalid wire type 4 at offset 1":                                                                                      diagnosis.TLSIntercepted,
		"407 WebSocket upgrade answered with HTTP 407":                                                                         diagnosis.ProxyRefused,
		"Proxy Authentication Required":                                                                                        diagnosis.ProxyRefused,
		"403 WebSocket upgrade answered with HTTP 403":                                                                         diagnosis.NetworkBlocked,
		"503 WebSocket upgrade answered with HTTP 503":                                                                         diagnosis.WhatsAppUnavailable,
		// Texts of Go's resolver and dialer, of Chromium and of websocket libraries.
		"couldn't dial whatsapp web websocket: dial tcp: lookup web.whatsapp.com on 127.0.0.11:53: server misbehaving": diagnosis.DNSFailed,
		"dial tcp4: lookup web.whatsapp.com on 127.0.0.11:53: read udp 127.0.0.1:36949->127.0.0.11:53: i/o timeout":    diagnosis.DNSFailed,
		"queryA ETIMEOUT web.whatsapp.com":                                                                                    diagnosis.DNSFailed,
		"net::ERR_NAME_NOT_RESOLVED at https://web.whatsapp.com/":                                                             diagnosis.DNSFailed,
		"dial tcp 157.240.12.60:443: connect: no route to host":                                                               diagnosis.NetworkBlocked,
		"dial tcp [2a03:2880::167]:443: connect: network is unreachable":                                                      diagnosis.NetworkBlocked,
		"connect ENETUNREACH 2a03:2880:f252::167:443 - Local (:::0)":                                                          diagnosis.NetworkBlocked,
		"dial tcp 157.240.12.60:443: i/o timeout":                                                                             diagnosis.NetworkBlocked,
		"net::ERR_CONNECTION_TIMED_OUT at https://web.whatsapp.com/":                                                          diagnosis.NetworkBlocked,
		"Unexpected server response: 403":                                                                                     diagnosis.NetworkBlocked,
		"failed to WebSocket dial: expected handshake response status code 101 but got 503":                                   diagnosis.WhatsAppUnavailable,
		"net::ERR_PROXY_CONNECTION_FAILED at https://web.whatsapp.com/":                                                       diagnosis.ProxyRefused,
		"net::ERR_TUNNEL_CONNECTION_FAILED at https://web.whatsapp.com/":                                                      diagnosis.ProxyRefused,
		"socks connect tcp 10.0.0.1:1080->web.whatsapp.com:443: unknown error":                                                diagnosis.ProxyRefused,
		"SocksClientError: connect ECONNREFUSED 127.0.0.1:1080":                                                               diagnosis.ProxyRefused,
		"net::ERR_CERT_AUTHORITY_INVALID at https://web.whatsapp.com/":                                                        diagnosis.TLSIntercepted,
		"net::ERR_CERT_DATE_INVALID at https://web.whatsapp.com/":                                                             diagnosis.Undetermined,
		"x509: certificate has expired or is not yet valid: current time 2020-01-01T00:00:00Z is before 2025-10-01T00:00:00Z": diagnosis.ClockWrong,
		"x509: certificate has expired or is not yet valid: current time 2031-01-01T00:00:00Z is after 2025-10-01T00:00:00Z":  diagnosis.Undetermined,
		"EACCES: permission denied, mkdir '/app/sessions/x'":                                                                  diagnosis.DiskFull,
		"EMFILE: too many open files":                                                                                         diagnosis.EngineOverloaded,
		// Connections of the engine to other peers than WhatsApp.
		"getaddrinfo ENOTFOUND postgres":                                              diagnosis.Engine5xx,
		"dial tcp: lookup mongo on 127.0.0.11:53: no such host":                       diagnosis.Engine5xx,
		"connect ECONNREFUSED 127.0.0.1:27017":                                        diagnosis.Engine5xx,
		"connect ECONNREFUSED 172.18.0.4:5672":                                        diagnosis.Engine5xx,
		"connect ECONNREFUSED 127.0.0.1:80":                                           diagnosis.Undetermined, // a webhook
		"connect ECONNREFUSED ::1:3000":                                               diagnosis.Undetermined,
		"connect ECONNREFUSED 127.0.0.1:7890":                                         diagnosis.Undetermined, // a local proxy, or a service
		"dial tcp 10.0.0.5:3307: connect: connection refused":                         diagnosis.Undetermined,
		"connect ETIMEDOUT 10.0.0.9:9000":                                             diagnosis.Undetermined,
		"getaddrinfo ENOTFOUND raw.githubusercontent.com":                             diagnosis.Undetermined,
		"request to https://hooks.example/wa failed, reason: self-signed certificate": diagnosis.Undetermined,
		"408 Pre-key upload timeout":                                                  diagnosis.EngineOverloaded,
		"500 Invalid account signature":                                               diagnosis.PairingFailed,
		"Unhandled notification with type companion_reg_refresh":                      diagnosis.PairingFailed,
		"passkey-request":                                                             diagnosis.PasskeyRequired,
		"Límite de sesiones alcanzado":                                                diagnosis.SessionLimit,
		"connect ECONNREFUSED 127.0.0.1:6379":                                         diagnosis.Engine5xx, // the engine's Redis, not WhatsApp
		"column Message.isDeleted does not exist":                                     diagnosis.Engine5xx,
		"Failed to launch the browser process":                                        diagnosis.Engine5xx,
		// node-postgres' text, which Baileys has without the third word; other databases; proxies; memory.
		"Connection terminated unexpectedly": diagnosis.Engine5xx, "Connection terminated due to connection timeout": diagnosis.Engine5xx,
		"sorry, too many clients already": diagnosis.Engine5xx, `relation "Instance" does not exist`: diagnosis.Engine5xx,
		`database "evolution" does not exist`: diagnosis.Engine5xx, "Timed out fetching a new connection from the connection pool": diagnosis.Engine5xx,
		"attempt to write a readonly database": diagnosis.DiskFull, "spawnSync /bin/sh ENOMEM": diagnosis.EngineOverloaded,
		"Proxy response (407) !== 200 when HTTP Tunneling": diagnosis.ProxyRefused, "CONNECT tunnel failed, response 403": diagnosis.ProxyRefused,
		"Proxy connection ended before receiving CONNECT response": diagnosis.ProxyRefused, "net::ERR_INVALID_AUTH_CREDENTIALS at https://web.whatsapp.com/": diagnosis.ProxyRefused,
		"net::ERR_UNEXPECTED_PROXY_AUTH": diagnosis.ProxyRefused, "Failed to connect to proxy: connection refused": diagnosis.ProxyRefused,
		"Limite de instâncias atingido": diagnosis.SessionLimit, "Max devices reached. Upgrade to add more": diagnosis.SessionLimit,
	} {
		if got := session.Diagnose(disconnectedFor(text), session.Environment{}, noon.Add(9*time.Second)); got.Code != want {
			t.Errorf("%q is %s, want %s", text, got.Code, want)
		}
	}
}

// Ambiguous texts name no cause: a number alone, words without their number, and codes with which engines mean
// something else.
func TestDiagnose_AmbiguousTextNamesNoCause(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "Connection Failure", "408", "Stream Errored (conflict)", "4051 Connection Failure",
		"Connection Failure 14051", "QR_GENERATION_ERROR", "INTERNAL_ERROR internal", "rate_limited", "session_not_found",
		"Error obteniendo código QR", "500", "Error conectando sesión", "sesión socks-shop", "read ECONNRESET"} {
		got := session.Diagnose(disconnectedFor(text), session.Environment{}, noon.Add(9*time.Second))
		if got.Code != diagnosis.QRNotEmitted && got.Code != diagnosis.Undetermined {
			t.Errorf("%q is %s", text, got.Code)
		}
	}
}

// The evidence has the addresses, dates and names in the engine's text, and nothing else of it.
func TestDiagnose_EvidenceHasDetailsOfEngineText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"connect ECONNREFUSED 157.240.1.60:443 for key-of-a-tenant": "157.240.1.60:443",
		"clock_wrong: WhatsApp's certificate is not valid at 2000-01-01 00:00, the time of this machine; " +
			"issued by DigiCert TLS, valid from 2026-01-02 00:00 to 2026-04-02 00:00": "2000-01-01 00:00, issued by DigiCert TLS, 2026-01-02 00:00, 2026-04-02 00:00",
		"proxy_refused: the proxy 10.0.0.1:3128 accepts the connection and does not respond": "the proxy 10.0.0.1:3128",
	} {
		got := session.Diagnose(disconnectedFor(text), session.Environment{}, noon.Add(9*time.Second))
		if len(got.Evidence) != 2 || got.Evidence[1] != "its text mentions: "+want {
			t.Errorf("%q: %q", text, got.Evidence)
		}
	}
}

// An error about the engine's connection does not show whose fault it is.
func TestDiagnose_ConnectErrorAboutAConnectionBlamesNobody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]diagnosis.Code{
		"Connection Closed": diagnosis.Undetermined, "read ECONNRESET": diagnosis.Undetermined, "socket hang up": diagnosis.Undetermined,
		"411 Connection Failure": diagnosis.Undetermined, "Navigation timeout of 30000 ms exceeded": diagnosis.Undetermined,
		"couldn't dial whatsapp web websocket: websocket: bad handshake":          diagnosis.Undetermined,
		"couldn't dial whatsapp web websocket: unexpected EOF":                    diagnosis.Undetermined,
		"wsarecv: An existing connection was forcibly closed by the remote host.": diagnosis.Undetermined,
		"waiting for selector `canvas` failed: timeout 45000ms exceeded":          diagnosis.Undetermined,
		"timeout of 10000ms exceeded":                                             diagnosis.Undetermined, "context deadline exceeded": diagnosis.Undetermined,
		// A cause in the network counts only if the error names WhatsApp.
		"self-signed certificate in certificate chain": diagnosis.Undetermined, "x509: certificate signed by unknown authority": diagnosis.Undetermined,
		"write EPROTO 140:error:1408F10B:SSL routines:ssl3_get_record:wrong version number": diagnosis.Undetermined,
		"connect ECONNREFUSED": diagnosis.Undetermined, "Temporary failure in name resolution": diagnosis.Undetermined,
		"Unexpected server response: 429": diagnosis.Undetermined, "Unexpected server response: 403": diagnosis.Undetermined,
		"connect ECONNREFUSED 172.18.0.4:443": diagnosis.Undetermined, "querySrv ENOTFOUND _db._tcp.cluster0.example.net": diagnosis.Undetermined,
		"WebSocket Error (self-signed certificate in certificate chain)":                           diagnosis.TLSIntercepted,
		"WebSocket Error (Unexpected server response: 503)":                                        diagnosis.WhatsAppUnavailable,
		"tls: failed to verify certificate: x509: unknown authority, for https://web.whatsapp.com": diagnosis.TLSIntercepted,
		"connect ECONNREFUSED 157.240.1.60:443":                                                    diagnosis.NetworkBlocked,
		"WebSocket Error (write EPROTO 48F2:error:SSL routines: SSL alert number 0":                diagnosis.Undetermined,
		`Unknown connect failure: <failure location="vll" reason="405"/>`:                          diagnosis.ClientOutdated,
		`failure location="rva" reason=401`:                                                        diagnosis.LoggedOut,
		`Got 403 connect failure`:                                                                  diagnosis.AccountBanned,
		`<failure location="rva"/>`:                                                                diagnosis.Undetermined,
		"READONLY You can't write against a read only replica.":                                    diagnosis.Engine5xx,
		"WhatsApp refused the link (max 4 devices already on that number)":                         diagnosis.Undetermined,
		"Maximum number of linked devices reached":                                                 diagnosis.Undetermined,
		"BaileysError": diagnosis.Undetermined, "blocked": diagnosis.Undetermined, "Error: …": diagnosis.Undetermined, "Too Many Requests": diagnosis.Undetermined,
		// Unknown words name no cause.
		"auth timeout": diagnosis.Undetermined, "Unknown stream error: <stream:error><ping/></stream:error>": diagnosis.Undetermined,
		"WebSocket Error (undefined)": diagnosis.Undetermined, "Cannot login: no response from Whatsapp": diagnosis.Undetermined,
		"Premature close": diagnosis.Undetermined, "other side closed": diagnosis.Undetermined, "This operation was aborted": diagnosis.Undetermined,
		"PKIX path building failed": diagnosis.Undetermined, "invalid peer certificate: UnknownIssuer": diagnosis.Undetermined,
		"No se pudo conectar con WhatsApp": diagnosis.Undetermined, "Tiempo de espera agotado": diagnosis.Undetermined, "连接超时": diagnosis.Undetermined,
		"408 Request timed out": diagnosis.Undetermined, "Parse Error: Expected HTTP/": diagnosis.Undetermined,
		// The engine's own faults, and errors that say nothing.
		"Cannot read properties of undefined": diagnosis.ConnectFailing, "Not allowed by CORS": diagnosis.ConnectFailing,
		"": diagnosis.ConnectFailing, "Error conectando sesión shop-1": diagnosis.ConnectFailing, "Internal Server Error": diagnosis.ConnectFailing,
		"Unable to create session.": diagnosis.ConnectFailing, "Falha ao iniciar a sessão": diagnosis.ConnectFailing,
		"spawn /usr/bin/chromium ENOENT": diagnosis.ConnectFailing, "Could not find Chrome (ver. 121.0)": diagnosis.ConnectFailing,
		"License expired": diagnosis.ConnectFailing, "runtime error: invalid memory address or nil pointer dereference": diagnosis.ConnectFailing,
	} {
		s := session.Session{State: session.Connecting, CreatedHere: true, Since: noon}
		for i := range 3 {
			err := &session.EngineError{Op: session.OpConnect, Kind: session.KindServerError, Status: 500, Text: text}
			s = s.AfterConnectError(err, noon.Add(time.Duration(i)*time.Second))
		}
		got := session.Diagnose(s, session.Environment{}, noon.Add(4*time.Second))
		if got.Code != want {
			t.Errorf("%q is %s %q, want %s", text, got.Code, got.Evidence, want)
		}
		evidence := strings.Join(got.Evidence, "\n")
		isOpen := strings.Contains(evidence, "its error is about a connection: ") ||
			strings.Contains(evidence, "its error does not show what failed") ||
			strings.Contains(evidence, "the engine's error leaves the cause open: ")
		if want == diagnosis.Undetermined && !isOpen {
			t.Errorf("%q: %q", text, got.Evidence)
		}
	}
}

// A 515 follows every scan; it is the cause only if it lasts.
func TestDiagnose_RecentRestartRequestIsNoCause(t *testing.T) {
	t.Parallel()
	s := disconnectedFor("515 Stream Errored (restart required)")
	if got := session.Diagnose(s, session.Environment{}, noon.Add(2*time.Second)); !got.Healthy() {
		t.Errorf("two seconds later: %s", got.Code)
	}
}

// noon is the start of each test.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// disconnectedFor is a session connected at noon that the engine disconnects for a reason.
func disconnectedFor(reason string) session.Session {
	s := session.Session{State: session.Created, CreatedHere: true}.AfterConnect(noon)
	return poll(s, 3*time.Second, session.SessionReport{State: session.Disconnected, Reason: reason}, nil)
}

// poll applies the result of a poll at a time after noon.
func poll(s session.Session, after time.Duration, r session.SessionReport, err error) session.Session {
	return s.AfterPoll(r, err, noon.Add(after))
}
