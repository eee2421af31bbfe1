package whatsappsimtest_test

import (
	"context"
	"encoding/hex"
	"testing"

	"go.mau.fi/whatsmeow"
	"go.uber.org/goleak"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTrustRoot(t *testing.T) {
	t.Parallel()
	whatsappsimtest.TrustRoot()
	if got := hex.EncodeToString(whatsmeow.WACertPubKey[:]); got != whatsappsim.RootPublicHex {
		t.Errorf("whatsmeow trusts %s", got)
	}
	if whatsmeow.WACertPubKey != (&whatsappsim.Server{}).RootPub() {
		t.Error("that is not the root of a simulator")
	}
}

func TestNewClient_ReceivesCode(t *testing.T) {
	t.Parallel()
	cli := whatsappsimtest.Client(t, whatsappsimtest.Start(t, &whatsappsim.Server{}))
	codes, err := cli.GetQRChannel(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Connect(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, _, err := whatsappsim.ParseQR((<-codes).Code); err != nil {
		t.Error(err)
	}
}

// No two devices share a key, and prekeys are counted on.
func TestDevice(t *testing.T) {
	t.Parallel()
	a, b := whatsappsimtest.Device(), whatsappsimtest.Device()
	if *a.NoiseKey.Pub == *b.NoiseKey.Pub || *a.IdentityKey.Pub == *b.IdentityKey.Pub || string(a.AdvSecretKey) == string(b.AdvSecretKey) {
		t.Error("two devices share a key")
	}
	for _, want := range []uint32{1, 3} {
		got, err := a.PreKeys.GetOrGenPreKeys(t.Context(), 2)
		if err != nil || len(got) != 2 || got[0].KeyID != want {
			t.Errorf("%v, %v, want two from %d", got, err, want)
		}
	}
}
