package whatsappsim

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha512"
	"errors"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// errSignature is the error of verify for a wrong signature.
var errSignature = errors.New("whatsappsim: bad XEdDSA signature")

// sign signs msg with an X25519 key as libsignal does: XEdDSA, with the sign of the Edwards public key in
// the top bit of the signature.
func sign(priv *ecdh.PrivateKey, msg []byte) ([]byte, error) {
	a, err := edwards25519.NewScalar().SetBytesWithClamping(priv.Bytes())
	if err != nil {
		return nil, err
	}
	public := new(edwards25519.Point).ScalarBaseMult(a).Bytes()
	random := make([]byte, 64)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	r, err := hashScalar(hashPrefix(), priv.Bytes(), msg, random)
	if err != nil {
		return nil, err
	}
	commitment := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	h, err := hashScalar(commitment, public, msg)
	if err != nil {
		return nil, err
	}
	s := edwards25519.NewScalar().MultiplyAdd(h, a, r).Bytes()
	s[31] |= public[31] & 0x80
	return append(commitment, s...), nil
}

// verify checks a signature made by sign or by libsignal.
func verify(pub, msg, sig []byte) error {
	if len(sig) != 64 || len(pub) != 32 {
		return errSignature
	}
	point, err := toEdwards(pub, sig[63]&0x80)
	if err != nil {
		return errSignature
	}
	half := bytes.Clone(sig[32:])
	half[31] &= 0x7f
	s, err := edwards25519.NewScalar().SetCanonicalBytes(half)
	if err != nil {
		return errSignature
	}
	h, err := hashScalar(sig[:32], point.Bytes(), msg)
	if err != nil {
		return err
	}
	r := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(h.Negate(h), point, s)
	if !bytes.Equal(r.Bytes(), sig[:32]) {
		return errSignature
	}
	return nil
}

// hashPrefix returns the 32 bytes that separate the nonce hash from the others (2^256 - 2, little endian).
func hashPrefix() []byte {
	b := bytes.Repeat([]byte{0xff}, 32)
	b[0] = 0xfe
	return b
}

func hashScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
}

// toEdwards maps a Montgomery u to the Edwards point y = (u-1)/(u+1) with the given sign bit.
func toEdwards(u []byte, sign byte) (*edwards25519.Point, error) {
	x, err := new(field.Element).SetBytes(u)
	if err != nil {
		return nil, err
	}
	one := new(field.Element).One()
	num := new(field.Element).Subtract(x, one)
	den := new(field.Element).Add(x, one)
	y := new(field.Element).Multiply(num, den.Invert(den)).Bytes()
	y[31] |= sign
	return new(edwards25519.Point).SetBytes(y)
}
