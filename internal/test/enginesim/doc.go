// Package enginesim is a session engine in memory that speaks the documented API over HTTP.
//
// The zero value behaves: any key is accepted, a QR is there as soon as a session is connected, and there
// are no limits. Everything an engine has been seen to do wrong is an exported field:
//
//	engine := &enginesim.Engine{QRDelay: 4 * time.Second} // the incident: /qr answers 500 until then
//	defer engine.Close()
//	server := httptest.NewServer(engine)
//
// A test that needs minutes runs the engine in a testing/synctest bubble, reached over a [Wire].
//
// The engine keeps no timer and no goroutine: what a session is doing follows from the moment of its connect
// and the time of asking. It shares no code with the gateway's own idea of the contract, so that a
// mistake there cannot hide here. Section numbers in comments are those of docs/CONTRACT.md.
package enginesim
