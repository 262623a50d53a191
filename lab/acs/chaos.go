package acs

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Chaos is how the ACS misbehaves, per phase of a session. All off is the
// zero value.
type Chaos struct {
	Inform Trouble // the answer to an Inform
	Call   Trouble // to one of the CPE's own requests
	Empty  Trouble // to the empty POST
	Answer Trouble // to a response or fault that answers our request

	Envelope Envelope // how all our envelopes are written
	Wire     Wire     // how all our answers travel
}

// Cut is how a connection is cut.
type Cut int

const (
	CutNone     Cut = iota
	CutBefore       // closed without a byte of an answer
	CutHeader       // in the middle of the status line
	CutBody         // in the middle of the announced body
	CutAfter        // after the whole answer, without having said so
	CutPolitely     // after an answer that says `Connection: close`
)

// Trouble is one misbehaviour. Delay goes together with the others; of the
// others, the first that is set happens.
type Trouble struct {
	Delay      time.Duration // wait before answering
	Redirect   string        // answer with a redirect to this URL; Status is 302 when zero. {n} counts
	Hang       bool          // never answer, keep the connection open
	Cut        Cut           // cut the connection
	Fault      int           // answer with a SOAP fault: 8005 asks for a retry
	Status     int           // answer with this HTTP status …
	RetryAfter string        // … this Retry-After, and Body as plain text
	Body       string        // answer 200 with this instead of an envelope
	Say        string        // answer with an envelope around this element, out of order: "RebootResponse"
	BeforeAuth bool          // before asking for credentials (Inform only)
	Skip       int           // leave the first requests of this phase in peace
	Times      int           // how often; 0: always
}

func (t Trouble) off() bool {
	return t.Delay == 0 && t.Redirect == "" && !t.Hang && t.Cut == CutNone && t.Fault == 0 && t.Status == 0 && t.Body == "" && t.Say == ""
}

// ends tells whether the session is over by it.
func (t Trouble) ends(ph phase) bool {
	switch {
	case t.Redirect != "":
		return false
	case t.Hang, t.Cut == CutBefore, t.Cut == CutHeader, t.Cut == CutBody:
		return true
	case t.Cut != CutNone:
		return false
	case t.Fault != 0:
		return ph != phaseCall
	}
	return t.Status != 0 || t.Body != "" || t.Say != ""
}

type phase int

const (
	phaseInform phase = iota
	phaseCall
	phaseEmpty
	phaseAnswer
)

// chaosState counts how often each phase was reached.
type chaosState struct {
	chaos Chaos
	seen  [4]int
}

func (c *chaosState) set(to Chaos) { *c = chaosState{chaos: to} }

// chaosNow is the misbehaviour in force.
func (s *Server) chaosNow() Chaos {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chaos.chaos
}

// next is the trouble that the request in this phase meets; the caller holds
// the server's mu.
func (c *chaosState) next(p phase, beforeAuth bool) Trouble {
	t := [...]Trouble{c.chaos.Inform, c.chaos.Call, c.chaos.Empty, c.chaos.Answer}[p]
	if t.off() || p == phaseInform && t.BeforeAuth != beforeAuth {
		return Trouble{}
	}
	c.seen[p]++
	n := c.seen[p] - t.Skip
	if n < 1 || t.Times > 0 && n > t.Times {
		return Trouble{}
	}
	t.Redirect = strings.ReplaceAll(t.Redirect, "{n}", strconv.Itoa(n))
	return t
}

// trouble lets the knobs of a phase happen. It tells whether the request has
// had its answer, and whether the session is over by that.
func (p *post) trouble(ph phase, beforeAuth bool) (answered, over bool) {
	p.s.mu.Lock()
	t := p.s.chaos.next(ph, beforeAuth)
	p.s.mu.Unlock()
	if t.off() {
		return false, false
	}
	if t.Delay > 0 && !p.sleep(t.Delay) {
		return true, true
	}
	if p.run != nil && t.ends(ph) {
		p.run.leave()
	}
	switch {
	case t.Redirect != "":
		p.redirect(t)
		return true, false
	case t.Hang:
		<-p.gone()
		return true, true
	case t.Cut == CutAfter, t.Cut == CutPolitely:
		p.cut = t.Cut // happens when the usual answer is written
		return false, false
	case t.Cut != CutNone:
		p.hangUp(t.Cut)
		return true, true
	case t.Fault != 0:
		if ph == phaseInform && t.Fault == 8005 {
			p.s.expectAgain(p, true)
		}
		p.envelope("Fault", faultBody(Fault{Code: t.Fault}))
		return true, t.ends(ph)
	case t.Status != 0:
		if t.RetryAfter != "" {
			p.w.Header().Set("Retry-After", t.RetryAfter)
		}
		text := t.Body
		if text == "" {
			text = "chaos\n"
		}
		p.reply(t.Status, "text/plain", text, "")
		return true, true
	case t.Say != "":
		p.envelope(t.Say, call(t.Say, ""))
		return true, true
	case t.Body != "":
		p.verbatim = true
		p.reply(http.StatusOK, xmlType, t.Body, "")
		return true, true
	}
	return false, false
}

// redirect answers with t.Redirect and remembers the body, which must come
// again unchanged (TR-069 3.4.2).
func (p *post) redirect(t Trouble) {
	status := t.Status
	if status == 0 {
		status = http.StatusFound
	}
	p.s.expectAgain(p, false)
	p.w.Header().Set("Location", t.Redirect)
	p.reply(status, "", "", "to "+t.Redirect)
}

// hangUp cuts the connection before the answer is complete.
func (p *post) hangUp(how Cut) {
	conn, buf, err := http.NewResponseController(p.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no Hijacker: this closes the connection too
	}
	defer conn.Close()
	switch how {
	case CutHeader:
		buf.WriteString("HTTP/1.1 20")
	case CutBody:
		const promised = 1000
		buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: " +
			strconv.Itoa(promised) + "\r\n\r\n<?xml version=\"1.0\"?>")
	}
	buf.Flush()
	p.record(0, nil, "")
}

// sleep waits; it tells false when the CPE or the server went away meanwhile.
func (p *post) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.gone():
		return false
	}
}
