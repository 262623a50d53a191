package acs

import (
	"net/http"
	"strings"
	"time"
)

// inform takes an Inform that begins a session.
func (p *post) inform() {
	s := p.s
	i := readInform(p.msg)
	s.supersede(p, i.Device.Key())
	r := s.begin(p, i)
	p.run = r
	p.heard()
	s.checkRepeat(p)
	p.checkEnvelope()
	r.checkInform(p.msg, i)
	r.checkReach(p, i)
	if s.o.Accept != nil {
		if status := s.o.Accept(i); status != 0 && status != http.StatusOK {
			p.reply(status, "text/plain", "not accepted\n", "not accepted")
			r.finish(ErrAccept)
			return
		}
	}
	if answered, _ := p.trouble(phaseInform, false); answered {
		r.finish(p.why())
		return
	}
	r.open(p)
	p.envelope("InformResponse", call("InformResponse", el("MaxEnvelopes", "1")))
}

// why names the end of an Inform that a chaos knob has answered.
func (p *post) why() error {
	switch {
	case p.status >= 300 && p.status < 400:
		return ErrRedirected
	case p.status == http.StatusOK:
		return ErrFaultReply
	}
	return ErrTrouble
}

// supersede ends a session that the device has left open. Two at a time are a
// violation when its connection is alive still.
func (s *Server) supersede(p *post, device string) {
	s.mu.Lock()
	var old []*run
	for _, r := range s.bySocket {
		if r.rec.Device.Key() == device {
			old = append(old, r)
		}
	}
	s.mu.Unlock()
	for _, r := range old {
		if gone, _ := r.sock.state(); !gone {
			s.fault(r, RuleOrder, "TR-069 3.7.1", "a new Inform while this session is open")
		}
		r.finish(ErrSuperseded)
	}
}

// post takes a request of a session that is going on.
func (r *run) post(p *post) {
	select {
	case r.gate <- struct{}{}:
	case <-p.gone():
		return
	}
	defer func() { <-r.gate }()
	r.s.mu.Lock()
	over := r.over
	r.timer.Stop() // it counts the time between POSTs, not ours
	r.s.mu.Unlock()
	if over {
		p.reply(http.StatusBadRequest, "text/plain", "Invalid session\n", "Invalid session")
		return
	}
	defer r.rearm()
	r.checkSocket(p)
	p.heard()
	if p.msg != nil {
		p.checkEnvelope()
	}
	switch {
	case p.msg == nil:
		r.empty(p)
	case p.msg.Method == "Fault", strings.HasSuffix(p.msg.Method, "Response"):
		r.answer(p)
	case p.msg.Method == "Inform":
		r.bad(p, "an Inform within a session")
	default:
		r.call(p)
	}
}

// rearm starts the session timeout again, unless the session is over.
func (r *run) rearm() {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if !r.over {
		r.timer.Reset(r.s.o.SessionTimeout)
	}
}

// bad refuses a message that is out of order, as GenieACS does.
func (r *run) bad(p *post, format string) {
	r.s.fault(r, RuleOrder, "TR-069 3.7.1", "%s", format)
	p.refuse(r, "bad state")
}

// empty takes an empty POST: the first one gives us the word.
func (r *run) empty(p *post) {
	switch {
	case r.state == calling:
		if answered, over := p.trouble(phaseEmpty, false); answered {
			r.troubled(over)
			return
		}
		r.state = serving
		go r.play(r.s.take(r.rec.Device.Key()))
		r.turn(p)
	case r.waiting != nil && r.waiting.method == "":
		r.hear(p)
	case r.waiting != nil:
		r.bad(p, "an empty POST instead of the answer to "+r.waiting.method)
	default:
		r.bad(p, "a second empty POST")
	}
}

func (r *run) troubled(over bool) {
	if over {
		r.finish(ErrTrouble)
	}
}

// play runs the script in a goroutine of its own; turn carries its requests.
func (r *run) play(f Script) {
	defer close(r.played)
	r.result = f(&Conversation{r: r})
}

// call takes one of the CPE's own requests.
func (r *run) call(p *post) {
	switch {
	case r.state == serving && r.waiting != nil && r.waiting.method == "":
		r.hear(p)
		return
	case r.state == serving && r.waiting != nil:
		r.bad(p, p.msg.Method+" instead of the answer to "+r.waiting.method)
		return
	case r.state == serving:
		r.bad(p, p.msg.Method+" after the empty POST")
		return
	case r.hold:
		r.bad(p, p.msg.Method+" although HoldRequests is true")
		return
	}
	r.checkCall(p.msg)
	if answered, over := p.trouble(phaseCall, false); answered {
		r.log(RPC{FromCPE: true, Method: p.msg.Method, Summary: summarize(p.msg), Start: p.at})
		r.troubled(over)
		return
	}
	body, fault := r.respond(p.msg)
	r.log(RPC{FromCPE: true, Method: p.msg.Method, Summary: summarize(p.msg), Fault: fault, Start: p.at, Took: time.Since(p.at)})
	if fault != nil {
		p.envelope("Fault", faultBody(*fault))
		return
	}
	p.envelope(p.msg.Method+"Response", call(p.msg.Method+"Response", body))
}

// acsMethods are the requests of a CPE that we answer.
var acsMethods = []string{
	"Inform", "GetRPCMethods", "TransferComplete", "AutonomousTransferComplete", "RequestDownload",
	"Kicked", "DUStateChangeComplete", "AutonomousDUStateChangeComplete",
}

// respond makes the content of the answer to a CPE's request.
func (r *run) respond(m *Message) (body string, fault *Fault) {
	if f := r.s.o.Answer; f != nil {
		if body, fault = f(&Conversation{r: r}, m); body != "" || fault != nil {
			return body, fault
		}
	}
	switch m.Method {
	case "GetRPCMethods":
		return stringArray("MethodList", acsMethods), nil
	case "Kicked":
		return el("NextURL", m.Body.Child("Next").String()), nil
	}
	for _, known := range acsMethods {
		if m.Method == known {
			return "", nil
		}
	}
	return "", &Fault{Code: 8000}
}

// answer takes a response or a fault.
func (r *run) answer(p *post) {
	w := r.waiting
	if w == nil {
		r.bad(p, p.msg.Method+" although nothing was asked")
		return
	}
	if w.method != "" {
		if p.msg.Method != "Fault" && p.msg.Method != w.method+"Response" {
			r.bad(p, p.msg.Method+" is not the answer to "+w.method)
			return
		}
		r.checkID(p.msg, w)
		r.checkResponse(w, p.msg)
	}
	if answered, over := p.trouble(phaseAnswer, false); answered {
		r.troubled(over)
		return
	}
	if w.method != "" {
		r.log(RPC{
			Method: w.method, Summary: w.args, Answer: summarize(p.msg), Fault: p.msg.Fault,
			Start: w.start, Took: time.Since(w.start),
		})
	}
	r.hear(p)
}

// log adds to the session's list of RPCs.
func (r *run) log(c RPC) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if !r.over {
		r.rec.RPCs = append(r.rec.RPCs, c)
	}
}

// hear hands what came in to the script, and waits for what it does next.
func (r *run) hear(p *post) {
	r.waiting = nil
	r.in <- p.msg // has room: the script waits for exactly one
	r.turn(p)
}

// turn answers a POST with what the script sends next, or ends the session
// with a 204 when the script is through.
func (r *run) turn(p *post) {
	select {
	case a := <-r.out:
		r.waiting = a
		p.asking = a
		switch {
		case a.raw != nil:
			p.sock.answered()
			a.raw(p.w)
			p.record(http.StatusOK, p.w.Header(), "")
		case a.body == "":
			p.reply(http.StatusNoContent, "", "", "")
		default:
			p.reply(http.StatusOK, xmlType, a.body, "")
		}
	case <-r.played:
		r.leave()
		p.reply(http.StatusNoContent, "", "", "")
		r.finish(r.result)
	case <-p.gone():
		r.finish(ErrLeft)
	case <-r.ctx.Done(): // finished from elsewhere: the CPE gets what it would get next
		p.reply(http.StatusBadRequest, "text/plain", "Invalid session\n", "Invalid session")
	}
}
