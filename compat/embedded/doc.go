// Package embedded is the session engine that qrgate is itself when no other is configured: the real
// whatsmeow library in this process, behind the same documented HTTP API as any other engine (contract 1).
// It is the only room that knows whatsmeow.
//
//	engine, err := embedded.New(embedded.Config{DataDir: "qrgate-data", Keys: keys})
//	go engine.Run(ctx)                              // brings linked sessions back, ends everything
//	client := &http.Client{Transport: embedded.Transport(engine)}
//
// # One session
//
// What is believed of a session's way to a phone is a value, link, and [after] is the one function that
// changes it: event and link and time in, next link out. The session applies it under its lock, stores what
// must outlive the process, and opens or drops a line (one socket) where the new link differs from the old.
//
// # Why the engine does everything itself
//
// The library can rotate codes (GetQRChannel) and reconnect by itself. Both are switched off, because neither
// says what happens: the channel's item "timeout" means "codes ran out" and "any disconnect" alike, it drops
// a slow reader and hangs up, and stays open for ever when the stream is replaced; the reconnect after a
// pairing is tried once and its error only logged (wasim 4). So the engine takes the plain list of codes and
// shows each for its time, and makes every reconnect a fresh client on a fresh socket, whose error it sees.
// For each step that the library may leave unanswered there is a watchdog, see times.go.
package embedded
