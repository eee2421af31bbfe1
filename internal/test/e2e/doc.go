// Package e2e has only tests: the complete application between a client and real libraries, which connect to a
// simulated WhatsApp. The tests do what a user does: create, connect, get the QR, scan it.
package e2e
