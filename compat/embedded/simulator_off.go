//go:build !whatsappsim

package embedded

import "net/http"

// SimulatorClient returns nil: only a program built with the tag whatsappsim can dial a simulated WhatsApp, and
// nothing else can change the key that WhatsApp must prove.
func SimulatorClient() (*http.Client, error) { return nil, nil }
