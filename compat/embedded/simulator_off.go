//go:build !whatsappsim

package embedded

import "net/http"

// whatsAppClient returns the HTTP client for the real WhatsApp, or c. Without the build tag whatsappsim nothing can
// change the key that WhatsApp must prove.
func whatsAppClient(c *http.Client) (*http.Client, error) { return dialClient(c), nil }

// SimulatorClient returns nil: only a program built with the tag whatsappsim can dial a simulated WhatsApp.
func SimulatorClient() (*http.Client, error) { return nil, nil }
