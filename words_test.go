package qrgate_test

import (
	"testing"
	"time"

	"qrgate"
)

// What engines say of themselves, as the gate reads it: Baileys' code and message, the system's code, and
// the gate's own words from the embedded engine. The left side is quoted from wasim 4 and engines B.
func TestWordsOfEngines(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]qrgate.Code{
		"client_outdated WhatsApp refuses this version of the library; update qrgate.": qrgate.ClientOutdated,
		"Error obteniendo código QR: network_blocked. No TCP connection.":              qrgate.NetworkBlocked,
		"whatsapp_unavailable WhatsApp closed the connection.":                         qrgate.WhatsAppUnavailable,
		"VALIDATION_ERROR Maximum number of sessions reached":                          qrgate.SessionLimit,
		"Se alcanzó el máximo de sesiones":                                             qrgate.SessionLimit,
		"405 Connection Failure":                                                       qrgate.ClientOutdated,
		"409 Connection Failure":                                                       qrgate.ClientOutdated,
		"401 Connection Failure":                                                       qrgate.LoggedOut,
		"402 Connection Failure":                                                       qrgate.AccountBanned,
		"403 Connection Failure":                                                       qrgate.AccountBanned,
		"406 Connection Failure":                                                       qrgate.AccountBanned,
		"429 Connection Failure":                                                       qrgate.WhatsAppUnavailable,
		"503 Connection Failure":                                                       qrgate.WhatsAppUnavailable,
		"500 Connection Failure":                                                       qrgate.WhatsAppUnavailable,
		"WhatsApp refuses this client version as outdated":                             qrgate.ClientOutdated,
		"the account is temporarily banned":                                            qrgate.AccountBanned,
		"the device was logged out":                                                    qrgate.LoggedOut,
		"406 Connection Failure the account was logged out or banned":                  qrgate.AccountBanned,
		"another connection took this session over":                                    qrgate.SessionConflict,
		"401 Stream Errored (conflict)":                                                qrgate.LoggedOut,
		"440 Stream Errored (conflict)":                                                qrgate.SessionConflict,
		"503 Stream Errored (unknown)":                                                 qrgate.WhatsAppUnavailable,
		"515 Stream Errored (restart required)":                                        qrgate.WhatsAppUnavailable,
		"408 QR refs attempts ended":                                                   qrgate.QRExpired,
		"QR refs attempts ended":                                                       qrgate.QRExpired,
		"408 WebSocket Error (getaddrinfo ENOTFOUND web.whatsapp.com) ENOTFOUND":       qrgate.DNSFailed,
		"WebSocket Error (getaddrinfo EAI_AGAIN web.whatsapp.com)":                     qrgate.DNSFailed,
		"couldn't dial whatsapp web websocket: lookup: no such host":                   qrgate.DNSFailed,
		"WebSocket Error (connect ECONNREFUSED 127.0.0.1:443)":                         qrgate.NetworkBlocked,
		"WebSocket Error (connect ETIMEDOUT)":                                          qrgate.NetworkBlocked,
		"Opening handshake has timed out":                                              qrgate.NetworkBlocked,
		"408 Timed Out":                                                                qrgate.WhatsAppSilent,
		"428 Connection Terminated":                                                    qrgate.WhatsAppUnavailable,
		"408 Connection was lost":                                                      qrgate.WhatsAppSilent,
		"500 WebSocket Error (self-signed certificate) DEPTH_ZERO_SELF_SIGNED_CERT":    qrgate.TLSIntercepted,
		"self signed certificate in certificate chain":                                 qrgate.TLSIntercepted,
		"tls: failed to verify certificate: x509: unknown authority":                   qrgate.TLSIntercepted,
		"invalid wire type 4 at offset 1":                                              qrgate.TLSIntercepted,
		"407 WebSocket upgrade answered with HTTP 407":                                 qrgate.ProxyRefused,
		"Proxy Authentication Required":                                                qrgate.ProxyRefused,
		"403 WebSocket upgrade answered with HTTP 403":                                 qrgate.NetworkBlocked,
		"503 WebSocket upgrade answered with HTTP 503":                                 qrgate.WhatsAppUnavailable,
		"408 Pre-key upload timeout":                                                   qrgate.EngineOverloaded,
		"500 Invalid account signature":                                                qrgate.PairingFailed,
		"Unhandled notification with type companion_reg_refresh":                       qrgate.PairingFailed,
		"passkey-request":                                                              qrgate.PasskeyRequired,
		"Límite de sesiones alcanzado":                                                 qrgate.SessionLimit,
		"connect ECONNREFUSED 127.0.0.1:6379":                                          qrgate.Engine5xx, // its Redis, not WhatsApp
		"column Message.isDeleted does not exist":                                      qrgate.Engine5xx,
		"Failed to launch the browser process":                                         qrgate.Engine5xx,
	} {
		if got := qrgate.Diagnose(disconnectedFor(said), qrgate.Environment{}, noon.Add(9*time.Second)); got.Code != want {
			t.Errorf("%q is %s, want %s", said, got.Code, want)
		}
	}
}

// What could mean several things, or nothing, gets no name: a number alone, words without their number, and
// the codes by which engines mean something of their own.
func TestWordsThatNameNothing(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"", "Connection Failure", "408", "Stream Errored (conflict)", "4051 Connection Failure",
		"Connection Failure 14051", "QR_GENERATION_ERROR", "INTERNAL_ERROR internal", "rate_limited", "session_not_found",
		"Error obteniendo código QR", "500", "Error conectando sesión"} {
		got := qrgate.Diagnose(disconnectedFor(said), qrgate.Environment{}, noon.Add(9*time.Second))
		if got.Code != qrgate.QRNotEmitted && got.Code != qrgate.Undetermined {
			t.Errorf("%q is %s", said, got.Code)
		}
	}
}

// A 515 is what follows every scan; only if it lasts, it is the cause.
func TestRestartAfterAScanIsNoCause(t *testing.T) {
	t.Parallel()
	s := disconnectedFor("515 Stream Errored (restart required)")
	if got := qrgate.Diagnose(s, qrgate.Environment{}, noon.Add(2*time.Second)); !got.Healthy() {
		t.Errorf("two seconds after it: %s", got.Code)
	}
}

// noon is when tests begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// disconnectedFor is a session that was connected at noon, and of which the engine says why it ended.
func disconnectedFor(reason string) qrgate.Session {
	s := qrgate.Session{State: qrgate.Created, CreatedHere: true}.AfterConnect(qrgate.Connect, noon)
	s, _ = look(s, 3*time.Second, qrgate.SessionReport{State: qrgate.Disconnected, Reason: reason}, nil)
	return s
}

// look lets a session see an answer so long after noon.
func look(s qrgate.Session, after time.Duration, o qrgate.SessionReport, err error) (qrgate.Session, time.Time) {
	now := noon.Add(after)
	return s.AfterPoll(o, err, now), now
}
