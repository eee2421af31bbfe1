package wasimtest

import (
	"context"
	"crypto/rand"
	"sync"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// Device returns an unpaired whatsmeow device that forgets everything but its own keys and its prekeys: no
// database. Two clients made from the same Device, one after the other, are the same linked device.
func Device() *store.Device {
	prepare()
	none := &store.NoopStore{} // a nil Error means that everything succeeds
	identity := keys.NewKeyPair()
	adv := make([]byte, 32)
	_, _ = rand.Read(adv) // never fails
	return &store.Device{
		Log: waLog.Noop, Initialized: true, RegistrationID: 1234,
		NoiseKey: keys.NewKeyPair(), IdentityKey: identity, SignedPreKey: identity.CreateSignedPreKey(1),
		AdvSecretKey: adv, PreKeys: &preKeys{NoopStore: none},
		Identities: none, Sessions: none, SenderKeys: none, AppStateKeys: none, AppState: none, Contacts: none,
		ChatSettings: none, MsgSecrets: none, PrivacyTokens: none, NCTSalt: none, EventBuffer: none, LIDs: none,
		Container: none,
	}
}

// preKeys makes prekeys. It is the one store that may not be a no-op: whatsmeow takes the last of the keys
// it asked for without looking whether there is one (prekeys.go, uploadPreKeys).
type preKeys struct {
	*store.NoopStore
	mu   sync.Mutex
	last uint32
}

// GetOrGenPreKeys implements store.PreKeyStore.
func (p *preKeys) GetOrGenPreKeys(_ context.Context, count uint32) ([]*keys.PreKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*keys.PreKey, count)
	for i := range out {
		p.last++
		out[i] = keys.NewPreKey(p.last)
	}
	return out, nil
}

// UploadedPreKeyCount implements store.PreKeyStore. It is zero until whatsmeow first asks for keys; then
// whatsmeow uploads 812 of them, or 50 if the server claims to have some (wasim.Server.PreKeys), which is
// sixteen times cheaper.
func (p *preKeys) UploadedPreKeyCount(context.Context) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.last), nil
}
