package cwmp

// This file holds what a session is made of and what it tells afterwards. How
// it runs is in phases.go.

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// An Exchanger carries one envelope to the ACS and brings its answer back.
// [Client] does it over HTTP.
type Exchanger interface {
	// Exchange sends body (nil: nothing, the "empty POST") and returns the
	// answer, empty when the ACS has nothing to say. It may read body several
	// times. Exchanges follow each other.
	Exchange(ctx context.Context, body *Body) ([]byte, error)
	// Close ends the connection. The session calls it once, at its end.
	Close() error
}

// A Session is one contact with an ACS (TR-069 3.7.1). Fill it in, run it
// once, drop it.
type Session struct {
	Exchange Exchanger // required
	Handler  Handler   // nil: every request is answered with 9000
	Inform   Inform

	// Calls returns our next call, and false when there is none (now). It is
	// asked after the InformResponse, and after each answer; calls that come up
	// while the ACS is asking wait for the next session. nil: none.
	Calls func() (Call, bool)
	// Answered tells how a call went: with its answer, or with the *Fault by
	// which the ACS refused it for good. A call for which Answered was not
	// called has not arrived: Run returned an error.
	Answered func(Call, Answer, error)
	// Informed is called when the InformResponse has arrived, before anything
	// else happens: the events are delivered now (TR-069 3.7.1.5).
	Informed func()

	// Version is the highest we speak, "1.0" to "1.4"; "" is "1.4". The ACS may
	// choose a lower one.
	Version string
	// SessionTimeout asks the ACS to wait that long for us (1.3 and up, whole
	// seconds, at least 30 s); 0 says nothing.
	SessionTimeout time.Duration
	// ID correlates what is logged about the session, here and at the ACS: it
	// begins our cwmp:ID. "" makes a random one.
	ID string
	// Limits bound what we read; zero fields mean the defaults.
	Limits Limits
	// MaxAnswer bounds the bytes in which the parameters of one answer are
	// kept; 0 means 8 MiB. Longer ones become fault 9004.
	MaxAnswer int
	// Log is given the attribute "session"; nil logs nothing.
	Log *slog.Logger
	// Dump, if not nil, sees every envelope with its secrets masked, cut after
	// 64 KiB; sent tells ours from theirs.
	Dump func(sent bool, envelope string)
	// Secret tells further parameters whose values Dump must not show, by full
	// name. Passwords, keys and passphrases are known without it.
	Secret func(name string) bool
}

// A Report tells how far a session came.
type Report struct {
	ID       string        // of the session
	Informed bool          // the Inform was answered
	Version  string        // of CWMP, as the ACS chose it, or as we offered
	Calls    int           // of ours that were answered
	Requests int           // of the ACS that we answered, faults included
	Duration time.Duration // from start to end
	// TryOlder says that the Inform failed in a way in which it fails at an ACS
	// that does not know the version we offered: the next attempt should offer
	// "1.0" (TR-069 3.7.2.1). Set after an offer of "1.0" it says that the
	// version was not the reason; the usual one is next.
	TryOlder bool
}

// Errors of Run besides those of its Exchanger, of an Inform's parameters, of
// the context, and *Fault when the ACS refused the Inform.
var (
	// ErrUnexpected: the ACS sent a message where it may not.
	ErrUnexpected = errors.New("unexpected message from the ACS")
	// ErrNoAnswer: the ACS answered a call with nothing.
	ErrNoAnswer = errors.New("the ACS did not answer the call")
	// ErrRetries: the ACS asked for a repetition (8005) again and again.
	ErrRetries = errors.New("the ACS keeps asking for repetition")
)

// An EnvelopeError says why a message of the ACS cannot be read.
type EnvelopeError struct {
	Problem string
	Err     error // cause, may be nil

	limit bool   // it is too much, not ill-formed
	id    string // its cwmp:ID, as far as it was read
}

// Error returns "unreadable envelope: " and the problem.
func (e *EnvelopeError) Error() string {
	if e.Err != nil {
		return "unreadable envelope: " + e.Problem + ": " + e.Err.Error()
	}
	return "unreadable envelope: " + e.Problem
}

// Unwrap returns the cause.
func (e *EnvelopeError) Unwrap() error { return e.Err }

// Limits bound an envelope that we read. Zero fields mean the defaults.
type Limits struct {
	Bytes      int // default 1 MiB; TR-069 3.5 asks for 32 KiB at least
	Depth      int // of nesting, default 32
	Elements   int // default 20,000: some 6,000 parameters
	Attributes int // default 40,000
}

// MaxBytes returns the limit in force.
func (l Limits) MaxBytes() int { return l.withDefaults().Bytes }

func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.Bytes, 1<<20)
	set(&l.Depth, 32)
	set(&l.Elements, 20_000)
	set(&l.Attributes, 40_000)
	return l
}
