package embedded

import (
	"slices"
	"sync"
	"testing"

	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// A login that did not end sends the same keys again; later ones get new keys with the following ids.
func TestPreKeys_AreMadeOnceAndNumberedInOrder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, err := openDatabase(ctx, Config{DataDir: t.TempDir()}, waLog.Noop)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.close() }()
	dev := db.devices.NewDevice()
	dev.ID = &types.JID{User: "5550100", Device: 3, Server: types.DefaultUserServer}
	dev.Account = &waAdv.ADVSignedDeviceIdentity{
		Details: []byte{1}, AccountSignature: make([]byte, 64), AccountSignatureKey: make([]byte, 32),
		DeviceSignature: make([]byte, 64),
	}
	if err := dev.Save(ctx); err != nil {
		t.Fatal(err)
	}
	stored := func() *preKeys {
		dev, err := db.device(ctx, dev.ID.String())
		if err != nil {
			t.Fatal(err)
		}
		return dev.PreKeys.(*preKeys)
	}
	get := func(n, first, last uint32) []*keys.PreKey {
		t.Helper()
		made, err := stored().GetOrGenPreKeys(ctx, n)
		if err != nil || len(made) != int(n) || made[0].KeyID != first || made[n-1].KeyID != last {
			t.Fatalf("%d keys, %v, want %d to %d", len(made), err, first, last)
		}
		return made
	}
	isEqual := func(a, b *keys.PreKey) bool { return a.KeyID == b.KeyID && *a.Priv == *b.Priv && *a.Pub == *b.Pub }

	made := get(812, 1, 812)
	if again := get(812, 1, 812); !slices.EqualFunc(made, again, isEqual) {
		t.Error("the same login made other keys")
	}
	if more := get(815, 1, 815); !slices.EqualFunc(made, more[:812], isEqual) {
		t.Error("a login that needs more keys made others")
	}
	if err := stored().MarkPreKeysAsUploaded(ctx, 815); err != nil {
		t.Fatal(err)
	}
	get(50, 816, 865)
	if n, err := stored().UploadedPreKeyCount(ctx); n != 815 || err != nil {
		t.Errorf("%d uploaded keys, %v", n, err)
	}

	// Two connections of one device, which know nothing of each other, send the same keys.
	if err := stored().MarkPreKeysAsUploaded(ctx, 865); err != nil {
		t.Fatal(err)
	}
	var both [2][]*keys.PreKey
	var all sync.WaitGroup
	for i := range both {
		all.Go(func() {
			var err error
			if both[i], err = stored().GetOrGenPreKeys(ctx, 100); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if !slices.EqualFunc(both[0], both[1], isEqual) {
		t.Error("two connections of a device made different keys")
	}

	shared := stored()
	for range 8 {
		all.Go(func() {
			if _, err := shared.GenOnePreKey(ctx); err != nil {
				t.Error(err)
			}
			if _, err := shared.GetOrGenPreKeys(ctx, 60); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
