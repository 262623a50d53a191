package xmpp

import (
	"sync"
	"time"
)

// A State is how a connection is doing, in the words of
// Device.XMPP.Connection.{i}.Status.
type State string

// States of a connection.
const (
	Disabled         State = "Disabled"
	Connecting       State = "Connecting"       // on the way, or lost and not yet tried again
	Enabled          State = "Enabled"          // bound: requests can arrive
	ServerNotPresent State = "ServerNotPresent" // no server found, or none answers
	Misconfigured    State = "Error_Misconfigured"
	AuthFailure      State = "Error_AuthenticationFailure"
	Failed           State = "Error"
)

// Stats are the stanzas of a connection since Run began
// (Device.XMPP.Connection.{i}.Stats.).
type Stats struct {
	Received, Transmitted             uint32
	ReceivedErrors, TransmittedErrors uint32 // those among them of type error
	Skipped                           uint32 // received, and too large to be read

	Request Request // the last connection request
	Refused Request // the last one that was not accepted
}

// A Request is a connection request that arrived.
type Request struct {
	At      time.Time // zero: none
	From    string    // bare JID
	Outcome Outcome
}

// An Outcome is what became of a request.
type Outcome string

// Outcomes of requests.
const (
	Accepted    Outcome = "accepted"
	NotAllowed  Outcome = "not of the allowed JIDs"
	WrongSecret Outcome = "wrong username or password"
	TooMany     Outcome = "too many"
	NotServed   Outcome = "another connection is for requests"
)

// Status is how a connection is doing now.
type Status struct {
	State     State
	Since     time.Time // of the last change of State
	JID       string    // the full JID that the server gave; kept while the connection is only lost
	Server    string    // whom we are connected to, or tried last: "host:port (address)"
	TLS       bool      // of the connection that stands
	Mechanism string    // by which it was authenticated
	LastError string    // a sentence without secrets; "" if nothing ever failed
	ErrorAt   time.Time
	NextTry   time.Time // zero: no attempt is planned
	Tries     int       // failed attempts since it was bound last
	Stats     Stats
}

// board is where the goroutine of Run writes how it is doing for others to read.
type board struct {
	mu      sync.Mutex
	s       Status
	changed func(Status) // called outside the lock; may be nil
}

func (b *board) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.s
}

// write edits the status, and tells of it when more than counters changed.
func (b *board) write(edit func(*Status)) {
	b.mu.Lock()
	old := b.s
	edit(&b.s)
	if b.s.State != old.State {
		b.s.Since = time.Now()
	}
	now := b.s
	b.mu.Unlock()
	if old.Stats = now.Stats; b.changed != nil && old != now {
		b.changed(now)
	}
}

func (b *board) count(edit func(*Stats)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	edit(&b.s.Stats)
}
