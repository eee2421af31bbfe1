//go:build !wasim

package embedded

import "net/http"

// whatsapp is how the real WhatsApp is reached, or c in its place. In a program that is built without the tag
// wasim nothing changes the key that WhatsApp has to prove.
func whatsapp(c *http.Client) (*http.Client, error) { return dialClient(c), nil }

// SimulatorClient is nil: only a program that is built with the tag wasim knows another WhatsApp than the real one.
func SimulatorClient() (*http.Client, error) { return nil, nil }
