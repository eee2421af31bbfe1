package whatsappsim_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mau.fi/whatsmeow/binary"

	"qrgate/internal/test/whatsappsim"
)

// A trace shows the conversation and nothing that anybody could use.
func TestTrace_NoSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var trace strings.Builder
		srv := &whatsappsim.Server{PreKeys: 812, Trace: func(dir string, n *binary.Node) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&trace, "%s %s %#v\n", dir, n, *n)
		}}
		w := onPipe(t, srv)
		w.connect(context.Background())
		code := <-w.code
		account := whatsappsim.Account{User: "5550100", LID: "4440100"}
		if err := srv.Scan(t.Context(), code, account); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.cli.Disconnect()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, word := range []string{"pair-device", "pair-success", "pair-device-sign", "stream:error", "515", "success", "registration", "passive", "<- ", "-> "} {
			if !strings.Contains(trace.String(), word) {
				t.Errorf("no %q in the trace", word)
			}
		}
		_, noise, identity, adv, err := whatsappsim.ParseQR(code)
		if err != nil {
			t.Fatal(err)
		}
		ref := strings.TrimPrefix(head(code), prefix)
		for name, secret := range map[string]string{"ref": ref, "number": account.User, "lid": account.LID,
			"noise key": string(noise), "identity": string(identity), "adv": string(adv),
			"adv text": base64.StdEncoding.EncodeToString(adv), "adv hex": fmt.Sprintf("%x", adv)} {
			if strings.Contains(trace.String(), secret) {
				t.Errorf("the %s is in the trace", name)
			}
		}
	})
}
