package whatsappsim_test

import (
	"context"
	"fmt"

	"go.mau.fi/whatsmeow"
	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// A real whatsmeow client gets a code from the simulated server, and a simulated phone scans it.
func ExampleServer() {
	// Without NoRestart the client would restart after the scan, as a real one does, and log in.
	server, pipe := &whatsappsim.Server{Fault: whatsappsim.Fault{NoRestart: true}}, &whatsappsim.Pipe{}
	go func() { _ = server.Serve(pipe) }()
	defer func() { _ = server.Close() }()

	whatsappsimtest.TrustRoot()
	client := whatsmeow.NewClient(whatsappsimtest.Device(), waLog.Noop)
	client.SetPreLoginHTTPClient(pipe.HTTPClient())
	client.SetWebsocketHTTPClient(pipe.HTTPClient())
	defer client.Disconnect()

	ctx := context.Background()
	items, err := client.GetQRChannel(ctx)
	if err == nil {
		err = client.Connect()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for item := range items {
		fmt.Println(item.Event)
		if item.Event == whatsmeow.QRChannelEventCode {
			if err := server.Scan(ctx, item.Code, whatsappsim.Account{User: "5550100"}); err != nil {
				fmt.Println(err)
			}
		}
	}
	fmt.Println("pairings:", server.Stats().Pairings)

	// Output:
	// code
	// success
	// pairings: 1
}
