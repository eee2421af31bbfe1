package diagnosis

// Languages lists the languages of the catalogue, the default first.
func Languages() []string { return []string{"en", "es"} }

// Localize returns d with title and help in a language of [Languages], as "es" or "es-MX". With any other, d stays
// English. The evidence is not translated: it quotes what was observed.
func (d Diagnosis) Localize(language string) Diagnosis {
	if len(language) < 2 || language[:2] != "es" || len(language) > 2 && language[2] != '-' {
		return d
	}
	if text, ok := spanish[d.Code]; ok {
		d.Title, d.Help = text[0], text[1]
	}
	return d
}

// spanish has the title and help of every code of the catalogue.
var spanish = map[Code][2]string{
	Undetermined:        {"Aún no hay QR y no se conoce la causa", "Observe /qr/status; si dura, ejecute `qrgate doctor` y lea el registro del motor."},
	EngineUnreachable:   {"No se puede alcanzar el motor", "Arranque el motor, o corrija QRGATE_ENGINE_URL y la red entre qrgate y el motor."},
	EngineTimeout:       {"El motor no responde a tiempo", "Revise la carga del motor y su base de datos; reinícielo si está colgado."},
	Engine5xx:           {"El motor responde con errores", "Lea el registro del motor a esta hora; su propio código de error está en la evidencia."},
	EngineBadResponse:   {"La respuesta no es de la API del motor", "Compruebe que QRGATE_ENGINE_URL nombra al propio motor y que ningún proxy delante responde en su lugar."},
	EngineRestarted:     {"El motor se reinició y olvidó la sesión", "Nada: qrgate vuelve a conectar la sesión."},
	EngineCrashLoop:     {"El motor se reinicia una y otra vez", "Lea las últimas líneas del registro del motor antes de cada reinicio: puede faltarle memoria, disco o un ajuste."},
	EngineInconsistent:  {"El motor conoce la sesión en una respuesta y no en la siguiente", "Si varios motores comparten esta dirección, haga que el balanceador envíe las llamadas de cada sesión a uno solo; si hay uno solo, lea su registro."},
	EngineOverloaded:    {"El motor es demasiado lento para generar un QR a tiempo", "Dé al motor más CPU o memoria, o menos sesiones por proceso."},
	EngineUnlicensed:    {"El motor no tiene licencia y no atiende nada", "Active la licencia del motor, o use una versión que no la necesite."},
	EngineStuck:         {"El motor se espera a sí mismo y no actúa sobre la sesión", "Reinicie el motor; si vuelve a ocurrir, actualícelo."},
	ConnectFailing:      {"El motor no puede iniciar la sesión", "Lea en el registro del motor su error de conexión; reinicie el motor si todas las sesiones fallan así."},
	QRNotEmitted:        {"El motor aceptó la conexión y no genera ningún QR", "Si ocurre con todas las sesiones, revise la conexión del motor con WhatsApp y la versión de su biblioteca; si solo con una, bórrela y créela de nuevo."},
	QRExpired:           {"Los códigos caducaron antes de escanear uno", "Pida el QR otra vez cuando tenga el teléfono a mano."},
	QRInvalid:           {"El QR del motor no es una imagen legible, o no es nuevo", "Lea el registro del motor; actualice el motor."},
	SessionStuck:        {"Esta sesión está atascada mientras otras funcionan", "Borre la sesión y créela de nuevo."},
	SessionNotFound:     {"El motor no conoce esta sesión", "Cree primero la sesión y compruebe el identificador."},
	SessionConflict:     {"Otra conexión se quedó con esta sesión", "Use la sesión en un solo lugar."},
	SessionLimit:        {"El motor no acepta más sesiones", "Borre las sesiones que no se usan, o suba el límite del motor."},
	AlreadyPaired:       {"La sesión ya está vinculada", "Nada: no hace falta ningún QR. Desconecte antes la sesión para vincular otro teléfono."},
	KeyRefused:          {"El motor rechaza la clave de API", "Corrija la clave en el cliente."},
	ClientOutdated:      {"WhatsApp rechaza esta versión de la biblioteca del motor", "Actualice el motor (su Baileys o whatsmeow); solo una actualización ayuda, y a todas las sesiones."},
	AccountBanned:       {"WhatsApp ha bloqueado esta cuenta", "Deje de intentarlo y reclame desde la aplicación de WhatsApp en el teléfono."},
	LoggedOut:           {"El teléfono desvinculó esta sesión", "Conecte la sesión y escanee un QR nuevo."},
	PairingFailed:       {"El QR se escaneó y la vinculación falló", "Escanee un QR nuevo; si vuelve a fallar, actualice el motor."},
	PasskeyRequired:     {"WhatsApp pide una llave de acceso para vincular esta cuenta", "Vincule desde un motor que admita llaves de acceso, o con otra cuenta."},
	ClockWrong:          {"El reloj de esta máquina está mal", "Ponga en hora la máquina donde se ejecuta el motor y manténgala así con NTP."},
	DiskFull:            {"El disco está lleno, o no se puede escribir", "Libere espacio en el disco del motor, o permita escribir en su directorio de datos."},
	DNSFailed:           {"No se puede resolver el nombre web.whatsapp.com", "Repare el DNS donde se ejecuta el motor."},
	NetworkBlocked:      {"No hay conexión con el puerto 443 de web.whatsapp.com", "Permita TCP 443 de salida hacia web.whatsapp.com donde se ejecuta el motor."},
	TLSIntercepted:      {"El TLS hacia web.whatsapp.com está interceptado", "Excluya web.whatsapp.com del proxy que inspecciona TLS, o instale su certificado."},
	ProxyRefused:        {"Un proxy no conecta con WhatsApp", "Revise el proxy y corrija su dirección o sus credenciales donde se ejecuta el motor."},
	WhatsAppSilent:      {"WhatsApp acepta la conexión y no envía códigos", "Espere unos minutos; si dura en todas las sesiones, WhatsApp tiene problemas o retrasa esta dirección."},
	WhatsAppUnavailable: {"WhatsApp informa de una avería, o cierra las conexiones", "Espere a que pase y vuelva a conectar la sesión; qrgate lo intenta dos veces."},
	RateLimited:         {"El límite de llamadas del motor está agotado", "Haga menos llamadas con esta clave, o suba el límite del motor; qrgate continúa cuando acaba la ventana."},
	RedisUnavailable:    {"No se puede alcanzar Redis", "Arranque Redis o corrija QRGATE_REDIS_URL; mientras tanto qrgate usa su almacén en memoria."},
	ClientGone:          {"El cliente se desconectó antes de la respuesta", "Suba el tiempo de espera del cliente por encima de 10 s."},
	Internal:            {"qrgate mismo falló", "Comuníquelo con el identificador de la petición."},
}
