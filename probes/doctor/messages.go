package doctor

// message is a text in English and Spanish, the languages of diagnosis.Languages.
type message struct{ en, es string }

func (m message) in(language string) string {
	if language == "es" {
		return m.es
	}
	return m.en
}

// Titles and help that the catalog does not have, or that it words for a reader who has not run doctor yet.
var (
	titleHealthy    = message{"Healthy", "Todo funciona"}
	titleIncomplete = message{
		"No problem found, but not everything was checked",
		"No se encontró ningún problema, pero no se comprobó todo",
	}
	titleDenied = message{
		"The engine does not know the session that it has just created",
		"El motor no conoce la sesión que acaba de crear",
	}
	titleInterrupted = message{"The checks were interrupted", "Las comprobaciones se interrumpieron"}

	helpNothing = message{
		"Nothing needs to be done.",
		"No hay que hacer nada.",
	}
	helpOwnConnection = message{
		"Nothing needs to be done for a QR: the engine's own connection to WhatsApp works; only this host " +
			"cannot reach WhatsApp.",
		"No hay que hacer nada para un QR: la conexión del propio motor con WhatsApp funciona; solo este " +
			"equipo no llega a WhatsApp.",
	}
	helpOwnLibrary = message{
		"Nothing needs to be done for a QR: the engine's own library works; WhatsApp refuses only the " +
			"version of this program's library.",
		"No hay que hacer nada para un QR: la biblioteca del propio motor funciona; WhatsApp solo rechaza la " +
			"versión de la de este programa.",
	}
	helpKey = message{
		"Run this command again with --api-key, or with --deep if the engine needs no key, to check a session too.",
		"Ejecute este comando otra vez con --api-key, o con --deep si el motor no pide clave, para comprobar " +
			"también una sesión.",
	}
	helpDataDir = message{
		"Set --data-dir to a writable directory: sessions are recorded there before they are created.",
		"Indique con --data-dir un directorio en el que se pueda escribir: ahí se anotan las sesiones antes " +
			"de crearlas.",
	}
	helpTimeout = message{
		"Run this command again with --qr-timeout 30s: an engine may take some seconds for a QR.",
		"Ejecute este comando otra vez con --qr-timeout 30s: un motor puede tardar unos segundos en generar un QR.",
	}
	helpReadLog = message{
		"Read the engine's log at this time; its responses are in the evidence.",
		"Lea el registro del motor a esta hora; sus respuestas están en la evidencia.",
	}
	helpOneEngine = message{
		"Several engines behind a load balancer must each get the calls of their own sessions. If there is " +
			"only one, read its log for this session.",
		"Varios motores tras un balanceador deben recibir cada uno las llamadas de sus propias sesiones. Si " +
			"solo hay uno, lea su registro sobre esta sesión.",
	}
	helpPollErrors = message{
		"The QR arrives, but some calls fail: the evidence has the last one. Read the engine's log; several " +
			"engines behind one address look like this.",
		"El QR llega, pero algunas llamadas fallan: la evidencia muestra la última. Lea el registro del " +
			"motor; varios motores tras una misma dirección se ven así.",
	}
	helpRestarts = message{
		"Run this command again. If this repeats, the engine crashes: read its log, and give it more memory " +
			"if that is the cause.",
		"Ejecute este comando otra vez. Si se repite, el motor se cae: lea su registro y dele más memoria si " +
			"esa es la causa.",
	}
	helpNewSessions = message{
		"Other sessions have their codes, but a new one gets none: check the engine's limits (sessions, " +
			"memory), read its log, and restart it.",
		"Otras sesiones tienen su código, pero una nueva no recibe ninguno: revise los límites del motor " +
			"(sesiones, memoria), lea su registro y reinícielo.",
	}
	helpRunAgain = message{
		"Run this command again and let it finish.",
		"Ejecute este comando otra vez y deje que termine.",
	}
)
