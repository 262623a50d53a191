package rueconfig

import (
	"fmt"
	"log/slog"
)

// Secret is a text that prints as *** whatever the verb; string(s) reveals it.
type Secret string

const stars = "***"

// String hides the text; an empty one prints as nothing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return stars
}

// Format hides the text from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the text from JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
