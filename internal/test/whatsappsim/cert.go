package whatsappsim

import (
	"crypto/ecdh"
	"crypto/rand"
	"time"

	"go.mau.fi/whatsmeow/proto/waCert"
	"google.golang.org/protobuf/proto"
)

// Serial numbers of the chain: the clients demand that the intermediate's issuer is 0 and that the leaf
// names the intermediate (whatsmeow handshake.go, verifyServerCert).
const (
	rootSerial         = 0
	intermediateSerial = 7
	leafSerial         = 8
)

// certChain certifies the server's static key: root signs a fresh intermediate, which signs the leaf.
func certChain(root *ecdh.PrivateKey, static []byte, now time.Time) ([]byte, error) {
	between, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	inter, err := certify(root, between.PublicKey().Bytes(), serials{intermediateSerial, rootSerial}, now)
	if err != nil {
		return nil, err
	}
	leaf, err := certify(between, static, serials{leafSerial, intermediateSerial}, now)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&waCert.CertChain{Leaf: leaf, Intermediate: inter})
}

type serials struct{ own, issuer uint32 }

func certify(by *ecdh.PrivateKey, key []byte, s serials, now time.Time) (*waCert.CertChain_NoiseCertificate, error) {
	details, err := proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial: &s.own, IssuerSerial: &s.issuer, Key: key,
		NotBefore: proto.Uint64(uint64(now.Add(-time.Hour).Unix())),
		NotAfter:  proto.Uint64(uint64(now.Add(24 * time.Hour).Unix())),
	})
	if err != nil {
		return nil, err
	}
	sig, err := sign(by, details)
	if err != nil {
		return nil, err
	}
	return &waCert.CertChain_NoiseCertificate{Details: details, Signature: sig}, nil
}
