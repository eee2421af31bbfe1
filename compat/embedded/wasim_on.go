//go:build wasim

package embedded

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"

	"go.mau.fi/whatsmeow"
)

// The environment of a program that is built with the tag wasim, for tests of the whole binary against a
// simulated WhatsApp. With neither set it behaves as without the tag.
const (
	envRoot = "QRGATE_WHATSAPPSIM_ROOT" // the simulator's Noise root, 64 hexadecimal digits
	envAddr = "QRGATE_WHATSAPPSIM_ADDR" // where it listens, host:port; dialed without TLS
)

// trusted makes the library's process-wide root change at most once.
var trusted sync.Once

// whatsapp is how the simulated WhatsApp is reached, if the environment names one and c is nil.
func whatsapp(c *http.Client) (*http.Client, error) {
	if c == nil {
		var err error
		if c, err = SimulatorClient(); err != nil {
			return nil, err
		}
	}
	return dialClient(c), nil
}

// SimulatorClient is the way to the simulated WhatsApp that the environment names; nil if it names none. Whatever looks at
// WhatsApp beside the engine must go the same way. The error names the variable that is wrong.
func SimulatorClient() (*http.Client, error) {
	root, addr := os.Getenv(envRoot), os.Getenv(envAddr)
	if root == "" && addr == "" {
		return nil, nil
	}
	key, err := hex.DecodeString(root)
	if err != nil || len(key) != len(whatsmeow.WACertPubKey) {
		return nil, errors.New(envRoot + " is not a key of 64 hexadecimal digits")
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, errors.New(envAddr + " is not host:port")
	}
	trusted.Do(func() { copy(whatsmeow.WACertPubKey[:], key) })
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: stepTime}).DialContext(ctx, "tcp", addr)
	}
	return &http.Client{Transport: &http.Transport{
		DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true,
	}}, nil
}
