package proxy

import "qrgate/compat"

// Texts of qrgate's own responses: a sentence that tells the client what to do. Those of a 202, a 409 and a 503 hold no
// number: clients search bodies for one (contract 4.2).
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
	textMethod           = "Method not allowed. Use the method that the documentation gives for this path."
	textPathNotCanonical = "Not found. Paths are lower case and have no trailing slash."
	textForm             = "The request target must be a path that begins with a slash, or an http URL. Send " +
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

// spanish has the Spanish of every text. Some are the documented API's own.
var spanish = map[string]string{
	textNotReady:   "El QR se está generando. Reintente en un momento.",
	textPaired:     "La sesión ya está conectada, por eso no hay QR. Desconéctela antes de vincular otro teléfono.",
	textKeyRefused: "El motor rechaza esta clave de API.",
	textNoSession:  "El motor no conoce esta sesión. Créela primero.",
	textWrongKeys: "Llegan demasiadas peticiones con una clave de API incorrecta desde esta dirección. " +
		"Corrija la clave y reintente.",
	textRateLimited: "Se alcanzó el límite de peticiones del motor. Espere y reintente.",
	textRefused:     "El motor rechazó la petición.",
	textStopping:    "qrgate se está deteniendo. Reintente en unos segundos.",
	textUnreachable: "No se puede alcanzar el motor. Reintente en unos segundos. Si continúa, quien opera el motor " +
		"debe comprobar que está en marcha.",
	textTimeout: "El motor aceptó la petición y no respondió a tiempo. Reintente; si la llamada cambia algo, lea " +
		"antes el estado.",
	textBadAnswer: "La respuesta del motor se cortó o no es de su API. Reintente; si la llamada cambia algo, lea " +
		"antes el estado.",
	textBodyTimeout: "El cuerpo de la petición no llegó a tiempo. Envíelo de nuevo sin pausas.",
	textBodyBroken: "No se pudo leer el cuerpo de la petición hasta el final. Compruebe su longitud y envíelo de " +
		"nuevo.",
	textTooLarge: "El cuerpo de la petición es demasiado grande. Envíe uno menor.",
	textBadJSON:  "El cuerpo no es un objeto JSON. Envíe uno, con Content-Type: application/json.",
	textBadName: "El id de una sesión tiene de 1 a 100 caracteres: letras, cifras, guiones y guiones bajos. Corrija " +
		"sessionId en el cuerpo.",
	textBadWait: "wait es un número entero de segundos; el máximo es 60. Corríjalo en la consulta u omítalo.",
	textTooManyWaiters: "Demasiadas peticiones esperan por esta sesión, esta clave o este servidor. Cierre algunas o " +
		"reintente en unos segundos.",
	textNoEngine: "No encontrado. qrgate funciona sin un motor aparte y solo sirve las rutas de sesiones.",
	textLoop:     "QRGATE_ENGINE_URL lleva de vuelta al propio qrgate. Ponga la dirección del motor.",
	textEngineScheme: "El motor redirige a otro esquema de su propia dirección. Ponga ese esquema en " +
		"QRGATE_ENGINE_URL.",
	textInternal: "qrgate falló internamente. Reintente y comunique el X-Request-Id de esta respuesta a quien opera " +
		"qrgate.",
	textAmbiguous: "Los límites de la petición son ambiguos (Content-Length con Transfer-Encoding, una cabecera " +
		"partida o un salto de línea sin CR). Envíe una sola longitud y termine las líneas con CR LF.",
	textAmbiguousSession: "Varios motores tienen una sesión con este id. Use el id entero que muestra la lista de " +
		"sesiones.",
	textAmbiguousName: "Varios motores tienen esta sesión, así que qrgate no puede saber cuál se pide. Elimínela en " +
		"todos los motores menos uno.",
	textMethod:           "Método no permitido. Use el método que la documentación indica para esta ruta.",
	textPathNotCanonical: "No encontrado. Las rutas van en minúsculas y sin barra final.",
	textForm: "El destino de la petición debe ser una ruta que empiece con una barra, o una URL http. Envíe \"GET " +
		"/ruta\".",
	textLong:  "La ruta es demasiado larga. Acórtela, o pase una parte en la consulta o en el cuerpo.",
	textBytes: "La ruta contiene un carácter que debe escaparse. Escápelo.",
	textEscape: "La ruta contiene un escape con % no válido, o que algunos servidores leen como otra ruta. No escape " +
		"las letras de las rutas de la API, y pase los caracteres de control en el cuerpo.",
	textSegment: "La ruta contiene un segmento vacío, \".\" o \"..\". Quítelo.",
	textID: "El id de una sesión tiene de 1 a 100 caracteres: letras, cifras, guiones y guiones bajos. Corrija el id " +
		"en la ruta.",
	textQuery:         "La consulta contiene un espacio, un carácter de control o un \"#\". Escápelo.",
	textCreateRefused: "La sesión no existe: su creación fue rechazada. Créela primero.",
	textConnecting:    compat.TextConnecting,
	textRestarting:    compat.TextRestarting,
	textDisconnected:  compat.TextDisconnected,
	textDeleted:       compat.TextDeleted,
	textStillConnecting: "El motor aún no ha aceptado la conexión. qrgate reintenta durante un minuto. Pida el QR " +
		"mientras tanto.",
	textNoStore:     "No se pudo guardar el enlace. Reintente en unos segundos.",
	textBadExpiry:   "expiresIn es un número entero de segundos, de 1 a 1800. Corríjalo u omítalo.",
	textBadRedirect: "redirectUrl debe ser una URL https sin nombre de usuario. Corríjala u omítala.",
	textBadLocale:   "locale debe nombrar inglés, español o portugués, como es o pt-BR. Corríjalo u omítalo.",
	textBadHost: "La cabecera Host no nombra ningún host. Corríjala, o quien opera qrgate debe fijar " +
		"QRGATE_PUBLIC_URL.",
	textRevoked:         "Los enlaces de la sesión fueron revocados.",
	textNoPairRoute:     "No encontrado. Revise el enlace.",
	textNoLink:          "El enlace es incorrecto, caducó o fue revocado. Pida uno nuevo.",
	textLinkUsed:        "El enlace ya se usó: su sesión fue vinculada. Pida uno nuevo para vincularla otra vez.",
	textNoSessionOfLink: "La sesión de este enlace no está disponible. Pida un enlace nuevo.",
	textNoConnect:       "No se pudo conectar la sesión. Reintente en un momento.",
	textManyCodes: "Se pidieron demasiados códigos de vinculación con este enlace. Escanee el QR o pida un enlace " +
		"nuevo.",
	textNoCode: "No se obtuvo ningún código de vinculación. Revise el número de teléfono o escanee el QR.",
	textConnectQueued: "La conexión espera por el límite de peticiones del motor. qrgate la enviará en cuanto el " +
		"límite lo permita. Pida el QR mientras tanto.",
}

// reasons has the Spanish of why the engine is unreachable; see compat.ClassifyTransportError.
var reasons = map[string]string{
	"the proxy is unreachable or refuses to connect": "el proxy no está disponible o rechaza la conexión",
	"no such host":                                 "el nombre del host no existe",
	"the host name cannot be resolved":             "el nombre del host no se puede resolver",
	"its certificate is for another name":          "su certificado es de otro nombre",
	"its certificate has expired":                  "su certificado ha caducado",
	"its certificate is not trusted":               "su certificado no es de confianza",
	"it speaks plain HTTP where HTTPS is expected": "habla HTTP sin cifrar donde se espera HTTPS",
	compat.ReasonHTTPS:                             "habla HTTPS donde se espera HTTP sin cifrar",
	"the peer does not speak HTTP":                 "no habla HTTP",
	"connection refused":                           "conexión rechazada",
	"no route to host":                             "no hay ruta hasta el host",
	"connection reset":                             "conexión interrumpida",
	"no connection in time":                        "no hubo conexión a tiempo",
	"no response in time":                          "no hubo respuesta a tiempo",
	"the connection was closed before a response":  "la conexión se cerró antes de una respuesta",
}

// localize returns a text of qrgate in a language; ok is false for the engine's own text, whose language is unknown.
func localize(text, language string) (localized string, ok bool) {
	translation, ok := spanish[text]
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
	if translation := reasons[reason]; translation != "" {
		return " Motivo: " + translation + "."
	}
	return ""
}
