package proxy

import (
	_ "embed" // for texts_es.json
	"encoding/json"
)

// Texts of qrgate's own responses: a sentence that states what the client can do. Those of a 202, a 409 and a 503 have
// no number: clients search bodies for one (contract 4.2).
const (
	textNotReady    = "The QR is being generated. Retry in a moment."
	textPaired      = "The session is connected already, so there is no QR. Disconnect it first to link another phone."
	textKeyRefused  = "The engine refuses this API key."
	textNoSession   = "The engine does not know this session. Create it first."
	textRateLimited = "The engine's rate limit is reached. Wait, then retry."
	textWrongKeys   = "Too many requests with a wrong API key come from this address. Correct the key, then retry."
	textRefused     = "The engine refused the request."
	textStopping    = "qrgate is stopping. Retry in a few seconds."
	textUnreachable = "The engine is unreachable. Retry in a few seconds. If this continues, the engine's operator " +
		"should check that it is running."
	textTimeout = "The engine accepted the request and did not respond in time. Retry; if the call changes " +
		"something, read the state first."
	textBadAnswer = "The engine's response was truncated or is not a response of its API. Retry; if the call changes " +
		"something, read the state first."
	textBodyTimeout = "The request body did not arrive in time. Send it again without a pause."
	textBodyBroken  = "The request body could not be read to its end. Check its length and send it again."
	textTooLarge    = "The request body is too large. Send a smaller one."
	textBadJSON     = "The body is not a JSON object. Send one, with Content-Type: application/json."
	textBadName     = "A session id has 1 to 100 characters: letters, digits, hyphens and underscores. Correct " +
		"sessionId " +
		"in the body."
	textBadWait        = "wait is a whole number of seconds; the maximum is 60. Correct it in the query, or omit it."
	textTooManyWaiters = "Too many requests wait for this session, this API key or this server. Close some, or retry " +
		"in a few seconds."
	textNoEngine     = "Not found. qrgate runs without a separate engine and serves the session routes only."
	textLoop         = "QRGATE_ENGINE_URL leads back to qrgate itself. Set it to the engine's own address."
	textEngineScheme = "The engine redirects to another scheme of its own address. Set QRGATE_ENGINE_URL to that " +
		"scheme."
	textInternal = "qrgate failed internally. Retry, and report the X-Request-Id of this response to qrgate's " +
		"operator."
	textAmbiguous = "The request's framing is ambiguous (Content-Length with Transfer-Encoding, a folded header or a " +
		"bare line feed). Send one length, and end lines with CR LF."
	textAmbiguousSession = "Several engines have a session with this id. Use the integer id that the list of sessions " +
		"shows."
	textAmbiguousName = "Several engines have this session, so qrgate cannot tell which one is meant. Delete it at all " +
		"engines but one."
	textMethod = "Method not allowed. Use the method that the documentation gives for this path."
	textForm   = "The request target must be a path that begins with a slash, or an http URL. Send " +
		"\"GET /path\"."
	textLong   = "The path is too long. Shorten it, or pass a part of it in the query or body."
	textBytes  = "The path contains a character that must be escaped. Escape it."
	textEscape = "The path contains a percent-escape that is invalid, or that some servers read as " +
		"another path. Do " +
		"not escape the letters of the API's paths, and pass control characters in the body."
	textSegment = "The path contains an empty, \".\" or \"..\" segment. Remove it."
	textID      = "A session id has 1 to 100 characters: letters, digits, hyphens and underscores. Correct the " +
		"id in the " +
		"path."
	textQuery           = "The query contains a space, a control character or a \"#\". Escape it."
	textCreateRefused   = "The session does not exist: its create was refused. Create it first."
	textConnecting      = "The session was started. Its QR is being generated, or it reconnects."
	textRestarting      = "The session was restarted. Its QR is being generated, or it reconnects."
	textDisconnected    = "The session was disconnected."
	textDeleted         = "The session was deleted."
	textStillConnecting = "The engine has not accepted the connect yet. qrgate retries for a minute. Request the QR " +
		"meanwhile."
	textNoStore         = "The link could not be stored. Retry in a few seconds."
	textBadExpiry       = "expiresIn is a whole number of seconds from 1 to 1800. Correct it, or omit it."
	textBadRedirect     = "redirectUrl must be an https URL without a user name. Correct it, or omit it."
	textBadLocale       = "locale must name English, Spanish or Portuguese, as es or pt-BR. Correct it, or omit it."
	textBadHost         = "The Host header names no host. Correct it, or let qrgate's operator set QRGATE_PUBLIC_URL."
	textRevoked         = "The links of the session were revoked."
	textNoPairRoute     = "Not found. Check the link."
	textNoLink          = "The link is wrong or expired, or it was revoked. Ask for a new one."
	textLinkUsed        = "The link was used: its session was linked. Ask for a new one to link it again."
	textNoSessionOfLink = "The session of this link is not available. Ask for a new link."
	textNoConnect       = "The session could not be connected. Retry in a moment."
	textManyCodes       = "Too many pairing codes were requested with this link. Scan the QR, or ask for a new link."
	textNoCode          = "No pairing code was given. Check the phone number, or scan the QR."

	textConnectQueued = "The connect waits for the engine's rate limit. qrgate sends it as soon as the limit allows. " +
		"Request the QR meanwhile."
)

//go:embed texts_es.json
var spanishJSON []byte

// spanish has the Spanish of every text, and of every reason why the engine is unreachable; see
// compat.ClassifyTransportError. Some texts are the documented API's own.
var spanish = func() (all struct{ Texts, Reasons map[string]string }) {
	if err := json.Unmarshal(spanishJSON, &all); err != nil {
		panic("texts_es.json: " + err.Error())
	}
	return all
}()

// localize returns a text of qrgate in a language; ok is false for the engine's own text, whose language is unknown.
func localize(text, language string) (localized string, ok bool) {
	translation, ok := spanish.Texts[text]
	if ok && language == "es" {
		return translation, true
	}
	return text, ok
}

// localizeReason is a sentence about why the engine is unreachable; "" if it has no translation.
func localizeReason(reason, language string) string {
	if language != "es" {
		return " Reason: " + reason + "."
	}
	if translation := spanish.Reasons[reason]; translation != "" {
		return " Motivo: " + translation + "."
	}
	return ""
}
