// Package archtest has no code: its tests check the rules of this repository that no linter checks, which imports a
// package may have and which words are retired.
package archtest
