package diagnosis

// text is the title of a cause, what to do, and who must do it.
type text struct {
	title, help string
	who         Actor
}

// catalogue is read-only. Every code except None has an entry, and a section in docs/runbooks.
var catalogue = map[Code]text{
	Undetermined:        {"No QR yet, and the cause is not known", "Watch /qr/status; if it lasts, run `qrgate doctor` and read the engine's log.", Operator},
	EngineUnreachable:   {"The engine cannot be reached", "Start the engine, or correct QRGATE_ENGINE_URL and the network between qrgate and it.", Operator},
	EngineTimeout:       {"The engine does not respond in time", "Check the engine's load and its own database; restart it if it hangs.", Operator},
	Engine5xx:           {"The engine responds with errors", "Read the engine's log at this time; its own error code is in the evidence.", Operator},
	EngineBadResponse:   {"The response is not from the engine's API", "Check that QRGATE_ENGINE_URL names the engine itself and that no proxy in front of it responds instead.", Operator},
	EngineRestarted:     {"The engine was restarted and forgot the session", "Nothing: qrgate connects the session again.", Nobody},
	EngineCrashLoop:     {"The engine restarts again and again", "Read the last lines of the engine's log before each restart: it may lack memory, disk space or a setting.", Operator},
	EngineInconsistent:  {"The engine knows the session in one response and not in the next", "If several engines share this address, let the load balancer send each session's calls to one of them; if there is only one, read its log.", Operator},
	EngineOverloaded:    {"The engine is too slow to make a QR in time", "Give the engine more CPU or memory, or fewer sessions per process.", Operator},
	EngineUnlicensed:    {"The engine has no licence and serves nothing", "Activate the licence of the engine, or run a version that needs none.", Operator},
	EngineStuck:         {"The engine waits for itself and does not act on the session", "Restart the engine; if it happens again, update it.", Operator},
	ConnectFailing:      {"The engine cannot start the session", "Read the engine's log for its connect error; restart the engine if every session fails like this.", Operator},
	QRNotEmitted:        {"The engine accepted the connect and makes no QR", "If every session is affected, check the engine's connection to WhatsApp and its library's version; if only one, delete it and create it again.", Operator},
	QRExpired:           {"The codes expired before one was scanned", "Request the QR again when the phone is at hand.", Customer},
	QRInvalid:           {"The engine's QR is not a readable image, or not a new one", "Read the engine's log; update the engine.", Operator},
	SessionStuck:        {"This one session is stuck while others work", "Delete the session and create it again.", Developer},
	SessionNotFound:     {"The engine does not know this session", "Create the session first, and check the id.", Developer},
	SessionConflict:     {"Another connection took this session over", "Use the session in one place only.", Developer},
	SessionLimit:        {"The engine accepts no more sessions", "Delete sessions that are not used, or raise the engine's limit.", Operator},
	AlreadyPaired:       {"The session is already paired", "Nothing: no QR is needed. Disconnect the session first to pair another phone.", Customer},
	KeyRefused:          {"The engine refuses the API key", "Correct the key in the client.", Developer},
	ClientOutdated:      {"WhatsApp refuses this version of the engine's library", "Update the engine (its Baileys or whatsmeow); only an update helps, for every session.", Operator},
	AccountBanned:       {"WhatsApp has banned this account", "Stop trying, and appeal in the WhatsApp app on the phone.", Customer},
	LoggedOut:           {"The phone has unpaired this session", "Connect the session and scan a new QR.", Customer},
	PairingFailed:       {"The QR was scanned and the pairing failed", "Scan a new QR; if it fails again, update the engine.", Customer},
	PasskeyRequired:     {"WhatsApp requires a passkey to pair this account", "Pair from an engine that supports passkeys, or from another account.", Customer},
	ClockWrong:          {"The clock of this machine is wrong", "Set the clock of the machine where the engine runs, and keep it right with NTP.", Operator},
	DiskFull:            {"The disk is full, or cannot be written", "Free space on the engine's disk, or make its data directory writable.", Operator},
	DNSFailed:           {"The name web.whatsapp.com cannot be resolved", "Repair DNS where the engine runs.", Operator},
	NetworkBlocked:      {"No connection to web.whatsapp.com port 443", "Allow outgoing TCP 443 to web.whatsapp.com where the engine runs.", Operator},
	TLSIntercepted:      {"TLS to web.whatsapp.com is intercepted", "Exempt web.whatsapp.com from the TLS-inspecting proxy, or install its certificate.", Operator},
	ProxyRefused:        {"A proxy does not connect to WhatsApp", "Check the proxy, and correct its address or credentials where the engine runs.", Operator},
	WhatsAppSilent:      {"WhatsApp accepts the connection and sends no codes", "Wait some minutes; if it lasts for every session, WhatsApp has a problem or delays this address.", Nobody},
	WhatsAppUnavailable: {"WhatsApp reports an outage, or closes connections", "Wait until it is over, then connect the session again; qrgate itself tries twice.", Nobody},
	RateLimited:         {"The engine's rate limit is used up", "Make fewer calls with this key, or raise the engine's limit; qrgate continues when the window ends.", Developer},
	RedisUnavailable:    {"Redis cannot be reached", "Start Redis or correct QRGATE_REDIS_URL; qrgate uses its in-memory store meanwhile.", Operator},
	ClientGone:          {"The client disconnected before the response", "Raise the client's timeout above 10 s.", Developer},
	Internal:            {"qrgate itself failed", "Report it with the request id.", Operator},
}
