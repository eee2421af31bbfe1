package compat

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

var (
	// pairedPhrase is how engines report that a phone is paired, in English, Spanish and Portuguese.
	pairedPhrase = regexp.MustCompile(
		`already (?:been |is )?(?:connected|paired|linked|authenticated|logged[ -]?in)|` +
			`sudah (?:terhubung|login)|déjà connecté|bereits verbunden|уже подключ|已连接|已登录|` +
			`\bya (?:est[aá] |ha sido |fue )?(?:conectad|vinculad|enlazad|emparejad|autenticad)[oa]|` +
			`j[aá] (?:est[aá] |foi )?(?:conectad|vinculad|paread|emparelhad|autenticad|logad)[oa]|` +
			`^(?:session|whatsapp) (?:is )?(?:connected|authenticated|logged in)$`)
	// unpairedPhrase is how a state route reports the contrary.
	unpairedPhrase = regexp.MustCompile(
		`\bnot (?:yet )?(?:connected|paired|linked|authenticated|logged[ -]?in)\b|\bdisconnected\b|` +
			`\b(?:no|n[aã]o) (?:est[aá] )?conectad[oa]|\bdesconectad[oa]`)
	unknownSession = regexp.MustCompile(
		`(?:session|instance|device|sesi[oó]n|sess[aã]o|instancia|instância)(?: with id)?(?: ["'\\]*[\w.:@-]+["'\\]*)? ` +
			`(?:(?:was )?not found|does not exist|doesn't exist|no existe|n[aã]o existe|` +
			`(?:no|n[aã]o) (?:fue |foi )?encontrad)|^\W*no session\W*$`)
	// doubtBefore and doubtAfter turn such a phrase into its opposite, into one of two possibilities, or into a statement
	// about another connection.
	doubtBefore = words("not", "no", "cannot", "nor", "or", "if", "unless", "either", "maybe", "may", "might", "could",
		"can", "perhaps", "possibly", "until", "never", "o", "u", "ou", "si", "se", "puede", "podría", "quizás",
		"tal vez", "talvez",
		"pode", "não", "nao", "nunca", "hasta", "até")
	// otherConnections may be connected while no phone is paired.
	otherConnections = words("socket", "websocket", "client", "database", "redis")
	doubtAfter       = words("or", "o", "u", "ou", "elsewhere", "to another")

	// engineTimeout are words of an engine's own time-out. A server in front of it knows nothing of these.
	engineTimeout = regexp.MustCompile(`whatsapp|session|sesi|sess|instance|inst[aâ]nc|browser|client|\bqr`)

	aboutQR = regexp.MustCompile(`qr|código|codigo|二维码|二維碼`)
	// waiting are words that mean "not yet" in a text about the QR.
	waiting = regexp.MustCompile(`\b(?:not|no)(?: been| yet)? (?:available|ready|generated|found|created|received|qr)|` +
		`\byet\b|\bwait|retry|try again|generat|unavailable|progress|pending|already scanned|can'?t get|` +
		`\b(?:null|undefined|empty|missing|expired|expirad|vencid)|` +
		`no (?:est[aá] )?(?:disponible|list[oa]|generad|hay)|a[uú]n no|todav[ií]a no|\bsin qr|esper[ae]|generar|generando|` +
		`(?:re)?intent[ea]|n[aã]o (?:est[aá] |foi )?(?:dispon|pront|gerad|h[aá])|ainda|aguarde|gerar|gerando|tente|` +
		`indispon[ií]vel|sem qr|belum|tunggu|noch nicht|pas encore|ещ[её] не|尚未|未生成|等待|稍`)
	// waitPhrases mean "not yet" without the word QR.
	waitPhrases = regexp.MustCompile(`still generating|being generated|not connected|not ready|not (?:yet )?started|` +
		`\b(?:re)?starting\b|please wait a moment|` +
		`status is not as expected|belum siap|initializing|not (?:yet )?initiali[sz]ed|` +
		`inicializando|iniciando sesi[oó]n|iniciando sess[aã]o`)

	unknownRoute = regexp.MustCompile(`cannot (?:get|post|put|patch|delete) /|match any route|` +
		`\bno (?:route|endpoint|handler|(?:static|http) resource)\b|` +
		`\b(?:route|path|url|endpoint|page|application|app|deployment|tunnel|function|ruta|rota)\b[^.]{0,80}` +
		` (?:was |could )?(?:not (?:be )?found|does not exist|no encontrad|n[aã]o encontrad|inexistente)|` +
		`^\W*404 page not found|missing authentication token`) // AWS' for a path that it does not have
	// aboutKey are words of a 403 that refuses the key, and otherRefusal those of one that refuses something else. A 403
	// in other words may refuse anything.
	aboutKey = regexp.MustCompile(`key|token|auth|autori|autent|forbidden|denied|denegad|negad|permi|credential|` +
		`credencia|secret|password|login|allowed|owner|belong|acces|proibid|prohibid|clave|chave|llave|senha|akses|` +
		`权限|拒绝|授权`)
	otherRefusal = regexp.MustCompile(`\bplan\b|licen[cs]|licença|quota|cuota|subscription|suscripción|` +
		`assinatura|payment|billing|\blimit|límite|limite|\btrial\b|\bip\b|csrf|\bcors\b|firewall|` +
		`missing authentication token`)
	// unpairedSubject is a session that has no phone, in words that a refusal of a key has, too.
	unpairedSubject = regexp.MustCompile(`((?:session|sesi[oó]n|sess[aã]o|sesi|instance|instancia|instância|device|` +
		`phone|whatsapp)\b)(?: is| was| has)?(?: not|n't)(?: been)?(?: yet)? auth[a-z]+`)
	// aboutSession are words of a 401 about the session that the path names, or that a request lacks.
	aboutSession = regexp.MustCompile(`\b(?:session|sesi[oó]n|sess[aã]o|sesi|instance|instancia|instância|device|` +
		`dispositivo|perangkat|phone|number|whatsapp|qr)\b|会话`)
	rateLimited = regexp.MustCompile(`too many requests|rate.?limit.?exceeded|` +
		`demasiadas (?:solicitudes|peticiones)|muitas (?:requisições|solicitações)`)
	upstreamDown = regexp.MustCompile(`upstream|name resolution failed|failure to get a peer|no server is available|` +
		`no (?:available|healthy) (?:server|upstream|backend)|backend fetch failed|no backend|application error|` +
		`application failed to respond|bad gateway`)
)

// words matches any of the given words or phrases as a whole, and contracted negations.
func words(list ...string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[^\pL\pN'])(?:` + strings.Join(list, "|") + `)(?:[^\pL\pN']|$)|n't\b`)
}

// states reports whether a sentence of text certainly states what phrase means. "QR code not available or already
// connected" states nothing of the kind: engines send it for sessions that have no code yet.
func states(phrase *regexp.Regexp, text string) bool {
	for sentence := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(".;:!(", r) }) {
		sentence = strings.TrimSpace(sentence)
		at := phrase.FindStringIndex(sentence)
		if at == nil || strings.HasSuffix(sentence, "?") {
			continue
		}
		before, found, after := sentence[:at[0]], sentence[at[0]:at[1]], sentence[at[1]:]
		isOther := otherConnections.MatchString(before) && strings.Contains(found, "nect")
		if !isOther && !doubtBefore.MatchString(before) && !doubtAfter.MatchString(after) {
			return true
		}
	}
	return false
}

// isUnpairedState reports whether the response to a poll of the state says in words that no phone is paired.
func isUnpairedState(op string, body Object) bool {
	if op != session.OpStatus {
		return false
	}
	return states(unpairedPhrase, strings.ReplaceAll(strings.ToLower(ErrorText(body)), "_", " "))
}

// classifyJSON sets the kind of an error in the API's JSON. The body decides before the status does: engines report
// "not ready" with eight different statuses.
func classifyJSON(e *session.EngineError, body Object) {
	code := strings.ReplaceAll(strings.ToLower(e.Code), "_", " ")
	text := code + ". " + strings.ReplaceAll(strings.ToLower(e.Text), "_", " ")
	isNamed := namesCause(e.Code, e.Text) || isOfBaileys(body)
	isQR, status := e.Op == session.OpQR, e.Status
	switch {
	case StateOf(SessionOf(body)) == session.Connected, states(pairedPhrase, code):
		e.Kind = session.KindAlreadyPaired
	case states(pairedPhrase, text):
		e.Kind, e.IsAmbiguous = session.KindAlreadyPaired, true
	case e.Code == CodeEngineBadAnswer:
		e.Kind, e.Reason, e.Text = session.KindBadResponse, e.Text, ""
	case IsRefusedKey(status, text) && !isNamed:
		e.Kind = session.KindKeyRefused
	case (status == http.StatusTooManyRequests || status >= 400 && rateLimited.MatchString(text)) &&
		!isNamed && !strings.Contains(text, "whatsapp"): // which has limits of its own
		e.Kind = session.KindRateLimited
	case (status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented) && !isNamed, status/100 == 3,
		KindInFront(status, text) == session.KindBadResponse, status == http.StatusNotFound && e.Op == session.OpList:
		e.Kind, e.Reason, e.Text = session.KindBadResponse, e.Text, "" // another API has this path
	case states(unknownSession, text):
		e.Kind = session.KindSessionNotFound
	case isQR && isNotReady(text), isQR && status == http.StatusNotFound && aboutQR.MatchString(text):
		e.Kind = session.KindNotReady
	case status == http.StatusNotFound:
		e.Kind = session.KindSessionNotFound
	case status == http.StatusGatewayTimeout && !engineTimeout.MatchString(text):
		e.Kind = session.KindTimeout
	case KindInFront(status, text) != "":
		e.Kind = KindInFront(status, text)
	case status >= 520 && status <= 530:
		e.Kind = cmp.Or(pageKinds[status], session.KindUnreachable)
	case isQR && status < 500 && (status < http.StatusUnauthorized || status > http.StatusForbidden):
		e.Kind = session.KindNotReady
	default:
		e.Kind = session.KindServerError
	}
}

// namesCause reports whether an error is about the engine's connection to WhatsApp, or names another cause than the
// request.
func namesCause(code, text string) bool {
	_, isNamed := diagnosis.MatchCause(code + " " + text)
	return isNamed || diagnosis.ConnectionWords(text) != ""
}

// isOfBaileys reports whether the body of an error is one that Baileys throws: its status is about WhatsApp.
func isOfBaileys(body Object) bool {
	inner, _ := body["error"].(Object)
	isOwn := func(o Object) bool { return o["name"] == "BaileysError" || o["isBoom"] == true }
	return isOwn(body) || isOwn(inner)
}

// KindInFront is what an error in JSON means that a server in front of the engine made, or another API in its place;
// "" for any other. text is in lower case.
func KindInFront(status int, text string) session.ErrorKind {
	isGateway := status == http.StatusBadGateway || status == http.StatusServiceUnavailable
	switch {
	case status >= 400 && status < 500 && unknownRoute.MatchString(text):
		return session.KindBadResponse
	case isGateway && upstreamDown.MatchString(text):
		return session.KindUnreachable
	}
	return ""
}

// IsRefusedKey reports whether a refusal is about the key that the caller presented. A 401 is, unless its words are
// about something else; a 403 only in words about a key. text is in lower case.
func IsRefusedKey(status int, text string) bool {
	text = strings.ReplaceAll(text, "notauthorized", "") // green-api's state of an unpaired instance
	text = unpairedSubject.ReplaceAllString(text, "$1")
	isKey := aboutKey.MatchString(strings.ReplaceAll(text, "unauthorized", "")) // the phrase of every 401
	switch {
	case otherRefusal.MatchString(text):
		return false
	case status == http.StatusUnauthorized:
		return isKey || !aboutSession.MatchString(text)
	}
	return status == http.StatusForbidden && (strings.Trim(text, ". ") == "" || aboutKey.MatchString(text))
}

// isNotReady reports whether the text of an error means that there is no QR yet, also as one of two possibilities.
func isNotReady(text string) bool {
	return aboutQR.MatchString(text) && waiting.MatchString(text) || waitPhrases.MatchString(text) ||
		pairedPhrase.MatchString(text)
}

// pageKinds are for responses that are not the API's JSON but of a proxy, a balancer or a CDN in front of the engine.
// Any other status is KindBadResponse: such a server knows nothing of keys and sessions.
var pageKinds = map[int]session.ErrorKind{
	http.StatusAccepted:           session.KindNotReady,
	http.StatusNoContent:          session.KindNotReady,
	http.StatusRequestTimeout:     session.KindTimeout, // LiteSpeed's, for a server behind it
	http.StatusTooManyRequests:    session.KindRateLimited,
	http.StatusBadGateway:         session.KindUnreachable,
	http.StatusServiceUnavailable: session.KindUnreachable,
	http.StatusGatewayTimeout:     session.KindTimeout,
	520:                           session.KindUnreachable, // 520 to 530 are Cloudflare's
	521:                           session.KindUnreachable,
	522:                           session.KindTimeout,
	523:                           session.KindUnreachable,
	524:                           session.KindTimeout,
	525:                           session.KindUnreachable, // TLS between Cloudflare and the engine
	526:                           session.KindUnreachable,
	527:                           session.KindUnreachable,
	530:                           session.KindUnreachable,
}

// classifyPage sets the kind of such a response, and what identifies its sender as the reason.
func (r Response) classifyPage(e *session.EngineError) {
	e.Kind, e.Reason = pageKinds[r.Status], r.describePage()
	if e.Kind == "" {
		e.Kind = session.KindBadResponse
	}
	switch {
	case ExpectsHTTPS(r.Status, r.Body):
		e.Kind, e.Reason = session.KindUnreachable, ReasonHTTPS
	case r.Status == http.StatusInternalServerError && !isMarkup.Match(r.Body) && diagnosis.IsOwnFault(string(r.Body)):
		e.Kind = session.KindServerError // frameworks respond so to an exception of the engine's program
	case challenge.MatchString(e.Reason):
		e.Kind = session.KindBadResponse
	case r.Status == http.StatusServiceUnavailable && rateLimited.MatchString(strings.ToLower(string(r.Body))):
		e.Kind = session.KindRateLimited
	case r.Status == http.StatusServiceUnavailable:
		// A proxy's limit of one route has the same page as an engine that is down, unless it says so.
		e.IsAmbiguous = e.Op == session.OpQR && !upstreamDown.MatchString(strings.ToLower(string(r.Body)))
	}
}

// isMarkup matches a body that is no plain text.
var isMarkup = regexp.MustCompile(`^\s*[<\[{"]`)

// challenge are titles of pages by which a firewall in front of the engine makes sure that a person asks.
var challenge = regexp.MustCompile(`(?i)just a moment|attention required|checking your browser|ddos protection|` +
	`not a bot|are (?:you )?(?:a )?human|captcha|access denied`)

// plainRequest is how nginx, Go, Apache and Tomcat answer plain HTTP at a port of HTTPS.
var plainRequest = regexp.MustCompile(`(?i)plain HTTP request was sent to HTTPS port|` +
	`sent an HTTP request to an HTTPS server|speaking plain HTTP to an SSL|combination of host and port requires TLS`)

// ExpectsHTTPS reports whether a response refuses plain HTTP. body is its beginning.
func ExpectsHTTPS(status int, body []byte) bool {
	return status == http.StatusBadRequest && plainRequest.Match(body)
}

var (
	pageTitle  = regexp.MustCompile(`(?is)<(?:title|h1)[^>]*>\s*([^<]+)`)
	serverName = regexp.MustCompile(`^[\w ./()-]{1,60}$`)

	unknownCoding = regexp.MustCompile(`^(?:br|zstd|compress|dcb|dcz)$`)
)

// maxTitle bounds the words of a page that are evidence.
const maxTitle = 60

// describePage names the form of a response, its Server header and its first words.
func (r Response) describePage() string {
	form, text := "no JSON", string(r.Body)
	title := pageTitle.FindStringSubmatch(text)
	body, _ := Parse(r.Body)
	coding := unknownCoding.FindString(strings.ToLower(r.Header.Get("Content-Encoding")))
	to, err := url.Parse(r.Header.Get("Location"))
	switch {
	case r.Status/100 == 3 && err == nil && to.Path+to.Host != "":
		form, text = "a redirect to "+redact.Line(to.Path), ""
		if to.Host != "" {
			form = "a redirect to " + to.Scheme + "://" + to.Host
		}
	case coding != "": // qrgate asked for none
		form, text = "a body in the coding "+coding, ""
	case len(r.Body) == 0:
		form = "an empty body"
	case !r.Complete:
		form, text = "an incomplete body", ""
	case title != nil:
		form, text = "an HTML page", title[1]
	case strings.HasPrefix(strings.TrimSpace(text), "<"):
		form, text = "a page", ""
	case IsCloudflare(body):
		form, text = "an error page as JSON", StringOf(body["title"])
	case strings.ContainsAny(text[:1], "[{\""):
		text = "" // it may contain a code
	}
	if server := r.Header.Get("Server"); serverName.MatchString(server) {
		form += ", Server: " + server
	}
	if text = strings.Join(strings.Fields(redact.Text(redact.Foreign(redact.Line(text)))), " "); text != "" {
		form += fmt.Sprintf(", %q", strings.ToValidUTF8(text[:min(len(text), maxTitle)], ""))
	}
	return form
}

// isOther reports whether a response names another session than the one that was asked for. A name of digits alone is
// asked for as an integer, and some engines write the integer as the name.
func isOther(asked, got session.Ref) bool {
	switch {
	case asked.ID > 0 && got.ID > 0:
		return asked.ID != got.ID && (asked.Name != "" || got.Name != fmt.Sprint(asked.ID))
	case asked.Name == "" || got.Name == "" || strings.EqualFold(asked.Name, got.Name):
		return false
	}
	return got.Name != fmt.Sprint(asked.ID) && asked.Name != fmt.Sprint(got.ID)
}
