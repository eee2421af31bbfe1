//go:build whatsappsim

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

// The environment of a program built with the tag whatsappsim, for tests of the whole binary against a simulated
// WhatsApp. With neither variable set it behaves as without the tag.
const (
	envRoot = "QRGATE_WHATSAPPSIM_ROOT" // the simulator's Noise root, 64 hexadecimal digits
	envAddr = "QRGATE_WHATSAPPSIM_ADDR" // its address, host:port; dialed without TLS
)

// trustRoot guards the library's process-wide root, which changes at most once.
var trustRoot sync.Once

// SimulatorClient returns the HTTP client for the simulated WhatsApp that the environment names, or nil. Connectivity
// checks use it, too. The error names the invalid variable.
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
	trustRoot.Do(func() { copy(whatsmeow.WACertPubKey[:], key) })
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: responseTimeout}).DialContext(ctx, "tcp", addr)
	}
	return &http.Client{Transport: &http.Transport{
		DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true,
	}}, nil
}
