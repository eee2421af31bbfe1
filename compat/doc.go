// Package compat is the documented contract on the wire: bodies, states and errors as existing clients
// depend on them. It is pure: bytes in, values out, and back; it opens no connection and reads no clock.
// Engines that speak a dialect of their own live in the packages below it.
//
// Section numbers in comments (contract 4.2, C7) are those of docs/CONTRACT.md.
package compat
