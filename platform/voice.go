// What a voice stack is told: SIP accounts, their network, codecs.

package platform

import (
	"context"
	"errors"
)

// ErrNoVoice says that no voice stack is installed whose configuration the
// platform knows how to write.
var ErrNoVoice = errors.New("no voice stack is installed")

// Voice configures the voice stack of the platform.
type Voice interface {
	// Put makes the sections that are the agent's be these, and no others;
	// what others have put beside them stays. Nothing is written when they
	// are already. changed may come with an error: the stack did not take up
	// what was written. Errors: [ErrNoVoice], or those of the files.
	Put(ctx context.Context, sections []VoiceSection) (changed bool, err error)
}

// A VoiceSection is one part of the configuration of a voice stack. It holds
// passwords: it must not be printed but by its String.
type VoiceSection struct {
	Type, Name string // "sip_client", "gatehouse_client_1"
	Options    []VoiceOption
}

// String names the section without what it holds.
func (s VoiceSection) String() string { return s.Type + " " + s.Name }

// A VoiceOption is one value: a string, bool, uint32 or []string. What is not
// known has no option.
type VoiceOption struct {
	Name  string
	Value any
}

// String names the option without its value.
func (o VoiceOption) String() string { return o.Name }
