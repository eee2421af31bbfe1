package whatsappsim

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/util/keys"
	"pgregory.net/rapid"
)

func TestRoot_MatchesDocumentation(t *testing.T) {
	t.Parallel()
	pub := (&Server{}).RootPub()
	if got := hex.EncodeToString(pub[:]); got != RootPublicHex {
		t.Errorf("the root is %s", got)
	}
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got := (&Server{Root: own}).RootPub(); !bytes.Equal(got[:], own.PublicKey().Bytes()) {
		t.Error("an own root is not used")
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := fixedKey(rapid.String().Draw(t, "seed"))
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "msg")
		sig, err := sign(key, msg)
		if err != nil {
			t.Fatal(err)
		}
		pub := key.PublicKey().Bytes()
		if err := verify(pub, msg, sig); err != nil {
			t.Fatalf("own signature: %v", err)
		}
		bit := rapid.IntRange(0, len(sig)*8-1).Draw(t, "bit")
		sig[bit/8] ^= 1 << (bit % 8)
		if err := verify(pub, msg, sig); !errors.Is(err, errSignature) {
			t.Fatalf("bit %d changed: %v", bit, err)
		}
		sig[bit/8] ^= 1 << (bit % 8)
		if err := verify(pub, append(msg, 0), sig); !errors.Is(err, errSignature) {
			t.Fatalf("message changed: %v", err)
		}
	})
}

// libsignal, by way of whatsmeow, signs the way this package verifies.
func TestXEdDSA_AgreesWithLibsignal(t *testing.T) {
	t.Parallel()
	for range 20 { // both signs of the Edwards key
		signer, signed := keys.NewKeyPair(), keys.NewKeyPair()
		sig := signer.Sign(signed)
		msg := append([]byte{5}, signed.Pub[:]...) // libsignal's mark of an X25519 key
		if err := verify(signer.Pub[:], msg, sig[:]); err != nil {
			t.Error(err)
		}
	}
	if err := verify(nil, nil, nil); !errors.Is(err, errSignature) {
		t.Errorf("nothing at all: %v", err)
	}
}
