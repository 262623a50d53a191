package acs

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Errors that a session ends with, and that a Conversation's calls return once
// the CPE cannot answer any more.
var (
	ErrClosed     = errors.New("the ACS was closed")
	ErrTimeout    = errors.New("the CPE did not come back in time")
	ErrLeft       = errors.New("the CPE closed its connection in mid-session")
	ErrSuperseded = errors.New("the CPE began another session")
	ErrRefused    = errors.New("refused after a violation")
	ErrTrouble    = errors.New("ended by a chaos knob")
	ErrFaultReply = errors.New("the Inform was answered with a fault")
	ErrRedirected = errors.New("the Inform was redirected")
	ErrAccept     = errors.New("the Inform was not accepted")
)

// Session is the record of one session, from its Inform on.
type Session struct {
	Number     int // counts all sessions of the Server, from 1
	Device     DeviceID
	Start, End time.Time
	Inform     *Inform
	RPCs       []RPC
	Exchanges  []Exchange // HTTP, including the 401s before the Inform was taken
	Violations []Violation
	Sockets    int   // TCP connections it used
	Err        error // nil: it ended with our 204. Otherwise why not, or the script's error
}

// Called tells whether an RPC of this name was part of the session.
func (s *Session) Called(method string) bool {
	for _, r := range s.RPCs {
		if r.Method == method {
			return true
		}
	}
	return false
}

// RPC is one call and its answer. Secrets in Summary and Answer are masked.
type RPC struct {
	FromCPE bool // the CPE called us
	Method  string
	Summary string // arguments, for people
	Answer  string // result, for people
	Fault   *Fault
	Start   time.Time
	Took    time.Duration
}

// Exchange is one HTTP request with its answer, as received and sent: nothing
// is masked here.
type Exchange struct {
	At          time.Time
	Socket      uint64 // which TCP connection, counted by the Server
	Method      string
	Target      string
	Header      http.Header
	Body        []byte // as received; a gzip body is not unpacked
	Status      int    // 0: never answered
	ReplyHeader http.Header
	Reply       []byte
}

// Rule is the kind of a Violation.
type Rule string

// The kinds of violations.
const (
	RuleHTTP       Rule = "http"       // method, version, Expect, Connection, pipelining
	RuleHeader     Rule = "header"     // Content-Type, SOAPAction, Content-Length
	RuleOrder      Rule = "order"      // TR-069 3.7.1: what may follow what
	RuleCookie     Rule = "cookie"     // session cookies missing, old or unknown
	RuleAuth       Rule = "auth"       // Authorization missing, unasked for, malformed or replayed
	RuleReplay     Rule = "replay"     // a repeated request differs from the first
	RuleConnection Rule = "connection" // TCP connections changed or closed without need
	RuleXML        Rule = "xml"        // not well-formed
	RuleSOAP       Rule = "soap"       // envelope, header elements, namespaces, cwmp:ID
	RuleInform     Rule = "inform"     // content of the Inform
	RuleEvent      Rule = "event"      // event codes and their combinations
	RuleResponse   Rule = "response"   // content of a response or of a CPE's own request
	RuleFault      Rule = "fault"      // content of a fault
	RuleType       Rule = "type"       // a value does not fit its xsi:type
	RuleReach      Rule = "reach"      // answers to connection requests
)

// Violation is something that a CPE did wrong.
type Violation struct {
	At      time.Time
	Rule    Rule
	Clause  string // where it is forbidden: "TR-069 3.7.1.3"
	Text    string
	Session int    // Session.Number, 0 outside sessions
	Device  string // DeviceID.Key where it is known
}

func (v Violation) String() string {
	where := ""
	if v.Session > 0 {
		where = fmt.Sprintf(" in session %d", v.Session)
	}
	return fmt.Sprintf("%s (%s)%s: %s", v.Rule, v.Clause, where, v.Text)
}

// Direction tells who speaks in a Note.
type Direction int

const (
	Aside   Direction = iota // neither: a violation, a connection, the end of a session
	FromCPE                  // a request of the CPE reached us
	ToCPE                    // our answer
)

// Note is one event of a session for an observer: enough to tell the story.
type Note struct {
	At        time.Time
	Direction Direction
	Device    string // DeviceID.Key, "" before it is known
	Session   int    // Session.Number, 0 before the Inform is taken
	Method    string // RPC name, "" for an empty POST or answer
	Summary   string // one line for people, without secrets
	XML       string // the envelope with secrets masked, "" where there is none
	Status    int    // HTTP status with ToCPE
	Fault     *Fault
	Violation *Violation
	Ended     *Session // set on the last note of a session
}

// maxViolations bounds what a broken CPE can make a long-running bench remember.
const maxViolations = 10000

// fault records a violation: in the server's list, in the session's when there
// is one, and with the observer.
func (s *Server) fault(r *run, rule Rule, clause, format string, args ...any) {
	v := Violation{At: time.Now(), Rule: rule, Clause: clause, Text: fmt.Sprintf(format, args...)}
	s.mu.Lock()
	if r != nil {
		v.Session, v.Device = r.rec.Number, r.rec.Device.Key()
		if !r.over {
			r.rec.Violations = append(r.rec.Violations, v)
		}
	}
	if s.violations = append(s.violations, v); len(s.violations) > maxViolations {
		s.violations = s.violations[1:]
	}
	s.tell()
	s.mu.Unlock()
	s.note(Note{Device: v.Device, Session: v.Session, Summary: v.String(), Violation: &v})
}
