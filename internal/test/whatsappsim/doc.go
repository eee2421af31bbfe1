// Package wasim is a simulated WhatsApp Web server for tests, demonstrations and benchmarks: enough of the
// protocol for the real client libraries (whatsmeow, Baileys) to show QR codes, pair and log in, and every
// way in which a server can spoil that, as fields of [Fault]. It listens on loopback or on in-memory pipes,
// holds no real key and knows no real account.
//
//	srv := &wasim.Server{}            // the zero value is ready and healthy
//	go srv.Serve(ln)                  // ws:// and wss:// share the listener
//	defer srv.Close()
//	srv.QueueFaults(wasim.Fault{Failure: 405})   // the next connection is told that it is outdated
//	srv.Scan(ctx, code, wasim.Account{User: "5550100"})   // somebody's phone scans the code
//
// The conversation, as far as it is played:
//
//	client                                server
//	GET /ws/chat, Upgrade          ->                                     HTTPStatus, HangUpgrade
//	"WA" 6 3, ClientHello          ->
//	                               <-     ServerHello, certificate chain  HangHello, CutHello, GarbageHello, BadCert
//	ClientFinish, ClientPayload    ->
//	                               <-     <failure>, <stream:error>       Failure, StreamError
//
//	Registration (the payload carries no account):
//	                               <-     <iq><pair-device><ref/>…        NoPairDevice, PairDelay, Refs
//	<iq type=result>               ->                                     CutAfterRefs, RefreshAfterRefs
//	                               <-     <iq><pair-success>              BadPairHMAC, BadAccountSig   (Scan)
//	<iq><pair-device-sign>         ->
//	                               <-     <stream:error code=515>         NoRestart
//
//	Login (the payload names account and device):
//	                               <-     <success>                       AfterScan
//	<iq> count, prekeys, passive   ->                                     SilentIQ
//	                               <-     <iq type=result>, <ib><offline> UnlinkAfter
//
// Where the behaviour of the real server is unknown (how long a ref really lives, whether it closes after the
// last one) the simulator follows what the client libraries assume. It plays no messages, no app state, no
// pairing by number and no passkeys.
package whatsappsim
