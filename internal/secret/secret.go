// Package secret holds texts that no log, span or error may contain.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that cannot print itself: a key, a code, an image of a code. Every formatting verb, slog, JSON and
// text encoding yields "[redacted]"; only Reveal returns the text.
type Secret struct{ text string }

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text. Call it only where the text is sent to its owner, or compared.
func (s Secret) Reveal() string { return s.text }

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.text == "" }

// Equal compares in time that does not depend on where the texts differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.text), []byte(other.text)) == 1
}

// Format implements [fmt.Formatter], which takes precedence over all other ways to print.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler], and so JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
