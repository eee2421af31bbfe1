//go:build !unix

package main

// disableCoreDumps does nothing: this system writes none.
func disableCoreDumps() error { return nil }
