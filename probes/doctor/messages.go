package doctor

import (
	_ "embed" // for messages_es.json
	"encoding/json"
)

// Titles and help that the catalog does not have, or that it words for a reader who has not run doctor yet.
const (
	titleHealthy      = "Healthy"
	titleIncomplete   = "No problem found, but not everything was checked"
	titleDenied       = "The engine does not know the session that it has just created"
	titleInterrupted  = "The checks were interrupted"
	helpNothing       = "Nothing needs to be done."
	helpOwnConnection = "Nothing needs to be done for a QR: the engine's own connection to WhatsApp works; only this " +
		"host cannot reach WhatsApp."
	helpOwnLibrary = "Nothing needs to be done for a QR: the engine's own library works; WhatsApp refuses only the " +
		"version of this program's library."
	helpKey = "Run this command again with --api-key, or with --deep if the engine needs no key, to check a session " +
		"too."
	helpDataDir   = "Set --data-dir to a writable directory: sessions are recorded there before they are created."
	helpTimeout   = "Run this command again with --qr-timeout 30s: an engine may take some seconds for a QR."
	helpReadLog   = "Read the engine's log at this time; its responses are in the evidence."
	helpOneEngine = "Several engines behind a load balancer must each get the calls of their own sessions. If there " +
		"is only one, read its log for this session."
	helpPollErrors = "The QR arrives, but some calls fail: the evidence has the last one. Read the engine's log; " +
		"several engines behind one address look like this."
	helpRestarts = "Run this command again. If this repeats, the engine crashes: read its log, and give it more memory " +
		"if that is the cause."
	helpNewSessions = "Other sessions have their codes, but a new one gets none: check the engine's limits (sessions, " +
		"memory), read its log, and restart it."
	helpRunAgain = "Run this command again and let it finish."
)

//go:embed messages_es.json
var spanishJSON []byte

// spanish has the Spanish of every title and help.
var spanish = func() (all map[string]string) {
	if err := json.Unmarshal(spanishJSON, &all); err != nil {
		panic("messages_es.json: " + err.Error())
	}
	return all
}()
