package diagnosis

// text is what the gate says about a cause: what it is, what to do, and who does it.
type text struct {
	title, help string
	who         Actor
}

// catalogue is read only. Every code but None has an entry, and a section in docs/runbooks.
var catalogue = map[Code]text{
	Undetermined:        {"No QR yet, and the cause is not known", "Watch /qr/status; if it lasts, run `qrgate doctor` and read the engine's log.", Operator},
	EngineUnreachable:   {"The engine cannot be reached", "Start the engine, or correct QRGATE_ENGINE_URL and the network between the gate and it.", Operator},
	EngineTimeout:       {"The engine does not answer in time", "Look at the engine's load and its own database; restart it if it hangs.", Operator},
	Engine5xx:           {"The engine answers with errors", "Read the engine's log at this time; its own error code is in the evidence.", Operator},
	EngineBadResponse:   {"What answers is not the engine's API", "Check that QRGATE_ENGINE_URL names the engine itself and that no proxy before it answers for it.", Operator},
	EngineRestarted:     {"The engine was restarted and forgot the session", "Nothing: the gate connects the session again.", Nobody},
	EngineOverloaded:    {"The engine is too slow to make a QR in time", "Give the engine more CPU or memory, or fewer sessions per process.", Operator},
	ConnectFailing:      {"The engine cannot begin the session", "Read the engine's log for its connect error; restart the engine if every session fails so.", Operator},
	QRNotEmitted:        {"The engine accepted the connect and makes no QR", "If it is so for every session, look at the engine's way to WhatsApp and at its library's version; if for one, delete and create it anew.", Operator},
	QRExpired:           {"The codes ran out before anybody scanned one", "Ask for the QR again when the phone is at hand.", Customer},
	QRInvalid:           {"The engine's QR is not a readable image, or not a new one", "Read the engine's log; update the engine.", Operator},
	SessionStuck:        {"This one session is stuck while others work", "Delete the session and create it anew.", Developer},
	SessionNotFound:     {"The engine does not know this session", "Create the session first, and check the id.", Developer},
	SessionConflict:     {"Another connection took this session over", "Use the session in one place only.", Developer},
	SessionLimit:        {"The engine accepts no more sessions", "Delete sessions that are not used, or raise the engine's limit.", Operator},
	AlreadyPaired:       {"The session is linked already", "Nothing: there is no QR because none is needed. Disconnect it first to link another phone.", Customer},
	KeyRefused:          {"The engine refuses the API key", "Correct the key in the client.", Developer},
	ClientOutdated:      {"WhatsApp refuses this version of the engine's library", "Update the engine (its Baileys or whatsmeow); only an update helps, for every session.", Operator},
	AccountBanned:       {"WhatsApp has banned this account", "Stop trying, and appeal in the WhatsApp app on the phone.", Customer},
	LoggedOut:           {"The phone has unlinked this session", "Connect the session and scan a new QR.", Customer},
	PairingFailed:       {"The QR was scanned and the link failed", "Scan a new QR; if it fails again, update the engine.", Customer},
	PasskeyRequired:     {"WhatsApp asks for a passkey to link this account", "Link from an engine that supports passkeys, or from another account.", Customer},
	DNSFailed:           {"The name web.whatsapp.com cannot be resolved", "Repair DNS where the engine runs.", Operator},
	NetworkBlocked:      {"No connection to web.whatsapp.com port 443", "Allow outgoing TCP 443 to web.whatsapp.com where the engine runs.", Operator},
	TLSIntercepted:      {"TLS to web.whatsapp.com is intercepted", "Exempt web.whatsapp.com from the TLS-inspecting proxy, or install its certificate.", Operator},
	ProxyRefused:        {"A proxy refuses the connection to WhatsApp", "Correct the proxy's address or credentials where the engine runs.", Operator},
	WhatsAppSilent:      {"WhatsApp accepts the connection and sends no codes", "Wait some minutes; if it lasts for every session, WhatsApp is in trouble or this address is held back.", Nobody},
	WhatsAppUnavailable: {"WhatsApp answers with an outage, or cuts connections", "Wait until it is over, then connect the session again; the gate itself tries twice.", Nobody},
	RateLimited:         {"The engine's rate limit is spent", "Make fewer calls with this key, or raise the engine's limit; the gate goes on when the window ends.", Developer},
	RedisUnavailable:    {"Redis cannot be reached", "Start Redis or correct QRGATE_REDIS_URL; the gate goes on from memory.", Operator},
	ClientGone:          {"The client left before the answer", "Raise the client's time-out above 10 s.", Developer},
	Internal:            {"The gate itself failed", "Report it with the request id.", Operator},
}
