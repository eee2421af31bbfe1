package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"qrgate/internal/test/enginesim"
)

// libraryKey opens the in-process engine that runs whatsmeow. It never leaves this process.
const libraryKey = "the-demo-runs-whatsmeow"

// codes makes the engine's codes with real whatsmeow, by way of the embedded engine's own API.
type codes struct{ http http.Client }

// libraryPause is how often the library is asked for its current code.
const libraryPause = 50 * time.Millisecond

// begin is one session's connect: it shows the codes that whatsmeow gets, until a phone scans one.
func (c codes) begin(ctx context.Context, session string, socket *enginesim.Socket) {
	name := fmt.Sprintf("%s-%d", session, time.Now().UnixNano()) // a new device for each connect
	if err := c.call(ctx, http.MethodPost, "", fmt.Sprintf(`{"sessionId":%q,"sessionName":"demo"}`, name), nil); err != nil {
		socket.Failed()
		return
	}
	if err := c.call(ctx, http.MethodPost, "/"+name+"/connect", "{}", nil); err != nil {
		socket.Failed()
		return
	}
	shown := ""
	for tick := time.NewTicker(libraryPause); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
		var status struct{ Data struct{ IsConnected bool } }
		if c.call(ctx, http.MethodGet, "/"+name+"/status", "", &status) == nil && status.Data.IsConnected {
			socket.Linked("5550100")
			continue
		}
		var qr struct{ Data struct{ QRCode string } }
		if c.call(ctx, http.MethodGet, "/"+name+"/qr", "", &qr) != nil || qr.Data.QRCode == shown {
			continue
		}
		if _, text, err := readQR(qr.Data.QRCode); err == nil {
			socket.Show(text)
			shown = qr.Data.QRCode
		}
	}
}

// call asks the embedded engine; an answer that is not a success is an error.
func (c codes) call(ctx context.Context, method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://library.demo/api/sessions"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", libraryKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: HTTP %d", method, path, res.StatusCode)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}
