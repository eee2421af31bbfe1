// Package e2e holds tests alone: the whole gate between a client and real libraries, which reach a
// simulated WhatsApp. What a person would do is done here: create, connect, see the picture, scan it.
package e2e
