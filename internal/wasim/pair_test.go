package wasim_test

import (
	"testing"
	"time"

	"go.mau.fi/whatsmeow/types/events"

	"qrgate/internal/wasim"
	"qrgate/internal/wasim/wasimtest"
)

func TestPairConnectCutReconnect(t *testing.T) {
	srv := &wasim.Server{}
	cli := wasimtest.Client(t, wasimtest.Start(t, srv))
	connected := make(chan struct{}, 4)
	cli.AddEventHandler(func(e any) {
		if _, ok := e.(*events.Connected); ok {
			connected <- struct{}{}
		}
	})
	codes, err := cli.GetQRChannel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Connect(); err != nil {
		t.Fatal(err)
	}
	item := <-codes
	if err := srv.Scan(t.Context(), item.Code, wasim.Account{User: "5550100"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-connected:
	case <-time.After(10 * time.Second):
		t.Fatal("not connected after the scan")
	}
	srv.CutAll()
	select {
	case <-connected:
	case <-time.After(10 * time.Second):
		t.Fatal("not connected after the cut")
	}
	t.Logf("%+v", srv.Stats())
}
