package whatsappsim

import (
	"crypto/ecdh"
	"crypto/sha256"
)

// RootPublicHex is the public half of the fixed Noise root in hexadecimal. A process that cannot ask a
// [Server] (Node, a gateway built with -tags wasim) trusts the simulator by this value.
const RootPublicHex = "413b845dc6d3a9a2c8eb0ee11367d9251624cb6311281c5fb580b5a69cde1c4a"

// The fixed keys come from constant seeds, so that they are the same in every process. They are worth
// nothing: whoever trusts this root trusts a simulator.
const (
	rootSeed      = "qrgate wasim: the Noise root of the simulator, worth nothing"
	otherRootSeed = "qrgate wasim: a Noise root that nobody trusts"
	phoneSeed     = "qrgate wasim: the phone of "
)

// fixedKey derives an X25519 key from a seed.
func fixedKey(seed string) *ecdh.PrivateKey {
	sum := sha256.Sum256([]byte(seed))
	key, _ := ecdh.X25519().NewPrivateKey(sum[:]) // fails for another length than 32 alone
	return key
}
