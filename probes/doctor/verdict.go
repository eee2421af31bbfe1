package doctor

import "qrgate/internal/diagnosis"

// verdict is how an examination ends: a diagnosis, and where the catalogue's words do not fit the doctor's own.
type verdict struct {
	diagnosis.Diagnosis
	title, help message // zero: the catalogue's
	whole       bool    // all was looked at that decides
}

// in is the diagnosis in a language.
func (v verdict) in(language string) diagnosis.Diagnosis {
	d := v.Diagnosis.Localize(language)
	if v.title != (message{}) {
		d.Title = v.title.in(language)
	}
	if v.help != (message{}) {
		d.Help = v.help.in(language)
	}
	return d
}

// message is a sentence of the doctor's own in every language of [qrgate.Languages].
type message struct{ en, es string }

func (s message) in(language string) string {
	if language == "es" {
		return s.es
	}
	return s.en
}

// What the catalogue does not say, or would say to somebody who has not called the doctor yet.
var (
	allWell     = message{"Healthy", "Todo funciona"}
	nothingToDo = message{"Nothing needs to be done.", "No hay que hacer nada."}
	otherWay    = message{"Nothing needs to be done for a QR: the engine's own way to WhatsApp works, and only this machine cannot reach it.",
		"No hay que hacer nada para un QR: el camino del propio motor a WhatsApp funciona, y solo esta máquina no llega."}
	otherLibrary = message{"Nothing needs to be done for a QR: the engine's own library works, and WhatsApp refuses only the version of the one in this program.",
		"No hay que hacer nada para un QR: la biblioteca del propio motor funciona, y WhatsApp solo rechaza la versión de la de este programa."}

	nothingWrong = message{"Nothing wrong was found, and not all was examined", "No se encontró nada malo, y no se examinó todo"}
	giveAKey     = message{"Run it again with --api-key, or --deep where the engine asks for no key: then a session is tried.",
		"Ejecútelo otra vez con --api-key, o con --deep si el motor no pide clave: así se prueba una sesión."}
	giveAPlace = message{"Let --data-dir name a directory that can be written to: a session is noted there before it is made.",
		"Indique con --data-dir un directorio en el que se pueda escribir: ahí se anota una sesión antes de crearla."}
	bePatient = message{"Run it again with --qr-timeout 30s: an engine may take some seconds for a QR.",
		"Ejecútelo otra vez con --qr-timeout 30s: un motor puede tardar unos segundos en generar un QR."}
	readTheLog = message{"Read the engine's log at this time; what it answered is in the evidence.",
		"Lea el registro del motor a esta hora; lo que respondió está en la evidencia."}
	disowned  = message{"The engine does not know the session that it has just created", "El motor no conoce la sesión que acaba de crear"}
	oneEngine = message{"Let one engine answer: behind a balancer, each must get the calls of its own sessions. Else read the engine's log for this session.",
		"Haga que responda un solo motor: detrás de un balanceador, cada uno debe recibir las llamadas de sus propias sesiones. Si no, lea el registro del motor sobre esta sesión."}
	stumbled = message{"A QR comes, and not every call on the way succeeds: the evidence has the last that failed. Read the engine's log; several engines behind one address look like this.",
		"El QR llega, y no todas las llamadas tienen éxito: la evidencia muestra la última que falló. Lea el registro del motor; varios motores tras una misma dirección se ven así."}
	itDies = message{"Run it again; if it comes again, the engine dies: read its log, and give it more memory if that is why.",
		"Ejecútelo otra vez; si se repite, el motor se cae: lea su registro y dele más memoria si esa es la causa."}
	noneForNew = message{"Other sessions have their codes and a new one gets none: look for a limit of the engine (sessions, memory), read its log, and restart it.",
		"Otras sesiones tienen su código y una nueva no recibe ninguno: busque un límite del motor (sesiones, memoria), lea su registro y reinícielo."}

	interrupted = message{"The examination was interrupted", "El examen se interrumpió"}
	runItAgain  = message{"Run it again, and let it come to its end.", "Ejecútelo otra vez y deje que termine."}
)
