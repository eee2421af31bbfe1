package wasimtest_test

import (
	"context"
	"encoding/hex"
	"testing"

	"go.mau.fi/whatsmeow"
	"go.uber.org/goleak"

	"qrgate/internal/wasim"
	"qrgate/internal/wasim/wasimtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTrustRoot(t *testing.T) {
	t.Parallel()
	wasimtest.TrustRoot()
	if got := hex.EncodeToString(whatsmeow.WACertPubKey[:]); got != wasim.RootPublicHex {
		t.Errorf("whatsmeow trusts %s", got)
	}
	if whatsmeow.WACertPubKey != (&wasim.Server{}).RootPub() {
		t.Error("that is not the root of a simulator")
	}
}

func TestClientGetsACode(t *testing.T) {
	t.Parallel()
	cli := wasimtest.Client(t, wasimtest.Start(t, &wasim.Server{}))
	codes, err := cli.GetQRChannel(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Connect(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, _, err := wasim.ParseQR((<-codes).Code); err != nil {
		t.Error(err)
	}
}

// No two devices share a key, and prekeys are counted on.
func TestDevice(t *testing.T) {
	t.Parallel()
	a, b := wasimtest.Device(), wasimtest.Device()
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
