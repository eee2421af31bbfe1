package whatsappsimtest

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// Device returns an unpaired whatsmeow device that forgets everything but its own keys and its prekeys: no
// database. Two clients made from the same Device, one after the other, are the same linked device.
func Device() *store.Device {
	prepare()
	identity := keys.NewKeyPair()
	adv := make([]byte, 32)
	_, _ = rand.Read(adv)                       // never fails
	m := &memory{NoopStore: &store.NoopStore{}} // a nil Error means that everything succeeds
	dev := &store.Device{
		Log: waLog.Noop, Initialized: true, RegistrationID: 1234,
		NoiseKey: keys.NewKeyPair(), IdentityKey: identity, SignedPreKey: identity.CreateSignedPreKey(1),
		AdvSecretKey: adv, Container: m, LIDs: m,
	}
	dev.SetAllStores(m)
	return dev
}

// memory makes prekeys, the one thing that may not be a no-op: whatsmeow takes the last of the keys it asked
// for without looking whether there is one (prekeys.go, uploadPreKeys). Like a database it puts what its
// users do in an order, which keeps whatsmeow's forgetting of a device from racing with what it did before.
type memory struct {
	*store.NoopStore
	mu   sync.Mutex
	last uint32
}

// GetOrGenPreKeys implements store.PreKeyStore.
func (m *memory) GetOrGenPreKeys(_ context.Context, count uint32) ([]*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*keys.PreKey, count)
	for i := range out {
		m.last++
		out[i] = keys.NewPreKey(m.last)
	}
	return out, nil
}

// UploadedPreKeyCount implements store.PreKeyStore. It is zero until whatsmeow first asks for keys; then
// whatsmeow uploads 812 of them, or 50 if the server claims to have some (wasim.Server.PreKeys), which is
// sixteen times cheaper.
func (m *memory) UploadedPreKeyCount(context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.last), nil
}

// MarkPreKeysAsUploaded implements store.PreKeyStore.
func (m *memory) MarkPreKeysAsUploaded(context.Context, uint32) error { return m.order() }

// DeleteExpiredPrivacyTokens implements store.PrivacyTokenStore.
func (m *memory) DeleteExpiredPrivacyTokens(context.Context, time.Time) (int64, error) {
	return 0, m.order()
}

// DeleteDevice implements store.DeviceContainer.
func (m *memory) DeleteDevice(context.Context, *store.Device) error { return m.order() }

// order comes after everything that was done before, and before what is done next.
func (m *memory) order() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return nil
}
