// Package control is the gate's own look at WhatsApp, without the engine: DNS, TCP, TLS, the upgrade to a
// websocket, and a handshake up to the codes of an unlinked device. Beside an engine that fails it tells
// whether WhatsApp, the network here, or the engine alone is at fault; see [qrgate.Weigh].
//
//	look := control.Look(ctx, control.Config{Handshake: …})   // once, by hand
//	post := control.New(control.Config{Handshake: …})         // on suspicion, and seldom
//	go post.Run(ctx)
//	post.Suspect()                                            // never waits
//	post.Last()
//
// The handshake is a function, because one room alone knows the protocol. It opens a registration at WhatsApp
// each time, and WhatsApp counts those (engines F9): so looks are at least five minutes apart.
package whatsapp
