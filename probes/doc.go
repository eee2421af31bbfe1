// Package probes walks the way of a client at regular times and says whether it still leads to a QR.
//
// There are three probes. engine_health asks whether the engine answers; create_delete makes a session and
// deletes it; create_connect_qr makes one, connects it, waits for its QR, looks at the picture and deletes
// it. All of them are clients: they know a URL and a key, and nothing of the gate's inside.
//
//	record the intent            durable, before anything exists
//	create → connect → qr → validate
//	cleanup                      always, on a context of its own; then the intent is crossed out
//
// A probe is a function; one runner serves the schedule ([Prober.Run]), the command line ([Prober.Once])
// and the operators' port ([Prober.Handler]).
//
// What must hold, whatever happens: a probe touches no session that it did not create, never pairs, reads
// no contacts and no chats, and leaves no session behind. A process that is killed leaves an [Intent], and
// the janitor of the next one deletes what stands there, and nothing else.
package probes
