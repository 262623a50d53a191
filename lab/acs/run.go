package acs

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// state is where a session stands (TR-069 3.7.1).
type state int

const (
	calling state = iota // after the InformResponse: the CPE's own requests
	serving              // after the empty POST: ours
)

// run is a session that is going on.
type run struct {
	s      *Server
	ctx    context.Context // ends with the session
	cancel context.CancelFunc
	gate   chan struct{} // holds one token: one POST at a time
	timer  *time.Timer   // the session timeout

	cookies map[string]string // what must come back
	token   string            // the cookie value that names the session
	state   state
	hold    bool // our envelopes carry HoldRequests
	ids     int  // cwmp:IDs given
	waiting *ask // our request that the CPE has to answer
	in      chan *Message
	out     chan *ask
	played  chan struct{} // closed when the script has returned
	result  error         // the script's; read after played

	rec  *Session // guarded by s.mu
	sock *socket  // that carried the latest POST; guarded by s.mu
	over bool     // guarded by s.mu
}

// ask is something that we send in an ACS-requests phase.
type ask struct {
	method string // "" for what a script made itself: any answer will do
	id     string // "" when the answer need not carry one
	body   string // the whole envelope; "" for an empty answer
	args   string // for the record
	start  time.Time

	asked     []string // of a GetParameterValues
	path      string   // of a GetParameterNames
	nextLevel bool
	raw       func(w http.ResponseWriter) // writes the answer instead of body
}

// begin makes a session of an accepted Inform.
func (s *Server) begin(p *post, i *Inform) *run {
	r := &run{
		s: s, gate: make(chan struct{}, 1), token: token(), hold: s.o.HoldRequests,
		in: make(chan *Message, 1), out: make(chan *ask), played: make(chan struct{}),
		rec: &Session{Device: i.Device, Start: time.Now(), Inform: i, Sockets: 1}, cookies: map[string]string{},
	}
	if p.sock.before != nil {
		r.rec.Exchanges, p.sock.before = p.sock.before, nil
	}
	r.ctx, r.cancel = context.WithCancel(s.closing)
	s.mu.Lock()
	s.lastNumber++
	r.rec.Number = s.lastNumber
	d := s.devices[i.Device.Key()]
	if d == nil {
		d = &Device{ID: i.Device}
		s.devices[i.Device.Key()] = d
	}
	d.Informs++
	d.Last = i
	if url, ok := i.Parameters.Get("Device.ManagementServer.ConnectionRequestURL"); ok {
		d.ConnectionRequestURL = url
	}
	s.mu.Unlock()
	return r
}

// open makes the session known: from now on POSTs find it.
func (r *run) open(p *post) {
	s := r.s
	if p.sock.cookie != "" { // set with the 401
		r.token = p.sock.cookie
		p.sock.cookie = ""
	} else {
		setCookies(p.w, s.o.SetCookie, r.token)
	}
	r.cookies = cookiesOf(s.o.SetCookie, r.token)
	r.on(p.sock)
	s.mu.Lock()
	s.live[r.token] = r
	r.timer = time.AfterFunc(s.o.SessionTimeout, func() { r.finish(ErrTimeout) })
	s.mu.Unlock()
}

// on notes that the session goes on over this socket.
func (r *run) on(k *socket) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.sock == k {
		return
	}
	if r.sock != nil {
		r.rec.Sockets++
		if r.s.bySocket[r.sock.number] == r {
			delete(r.s.bySocket, r.sock.number)
		}
	}
	r.sock = k
	r.s.bySocket[k.number] = r
}

// leave takes the session out of the tables, so that no further request finds
// it. It comes before the last answer, since the CPE may begin its next session
// the moment it has that.
func (r *run) leave() {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.sock == nil {
		return // it was never open
	}
	delete(s.live, r.token)
	if s.bySocket[r.sock.number] == r {
		delete(s.bySocket, r.sock.number)
	}
	if len(s.dead) > 10000 {
		clear(s.dead) // a bound; forgetting old cookies only makes a message vaguer
	}
	s.dead[r.token] = true
}

// finish ends the session, once: its script is told, its record is published
// and does not change any more. err is nil when it ended as it should.
func (r *run) finish(err error) {
	r.leave()
	s := r.s
	s.mu.Lock()
	if r.over {
		s.mu.Unlock()
		return
	}
	r.over = true
	if r.timer != nil {
		r.timer.Stop()
	}
	r.cancel()
	r.rec.End, r.rec.Err = time.Now(), err
	s.sessions = append(s.sessions, r.rec)
	if len(s.sessions) > s.o.Keep {
		s.sessions = append([]*Session(nil), s.sessions[1:]...)
	}
	s.tell()
	s.mu.Unlock()
	s.note(Note{Device: r.rec.Device.Key(), Session: r.rec.Number, Summary: ending(r.rec), Ended: r.rec})
}

// session finds the session of a request by its cookies. A nil run means that
// the request opens one; ok false that it was refused, and answered.
func (p *post) session() (r *run, ok bool) {
	s := p.s
	isInform := p.msg != nil && p.msg.Method == "Inform"
	cookies := sentCookies(p.r)
	s.mu.Lock()
	onSocket := s.bySocket[p.sock.number]
	dead := false
	for _, v := range cookies {
		if r == nil {
			r = s.live[v]
		}
		dead = dead || s.dead[v]
	}
	s.mu.Unlock()
	if r == nil && len(s.o.SetCookie) == 0 {
		r = onSocket
	}
	switch {
	case r != nil:
		if missing := r.missing(cookies); missing != "" {
			s.fault(r, RuleCookie, "TR-069 3.4.2", "cookie %s did not come back as it was set", missing)
			p.refuse(r, "Invalid session")
			return nil, false
		}
		return r, true
	case dead:
		s.fault(onSocket, RuleCookie, "TR-069 3.4.2", "the cookie of a session that is over was sent again")
	case len(cookies) > 0 && !p.earlyCookie(cookies):
		s.fault(onSocket, RuleCookie, "TR-069 3.4.2", "a cookie that was never set: %s", p.r.Header.Get("Cookie"))
	case isInform:
		return nil, true
	case onSocket != nil:
		s.fault(onSocket, RuleCookie, "TR-069 3.4.2", "the session cookie is missing")
	default:
		s.fault(nil, RuleOrder, "TR-069 A.3.3.1", "%s outside a session: the first message must be an Inform", p.what())
	}
	p.refuse(onSocket, "Invalid session")
	return nil, false
}

// what names the request for messages.
func (p *post) what() string {
	if p.msg == nil {
		return "an empty POST"
	}
	return p.msg.Method
}

// missing is the first cookie of the session that cookies lack.
func (r *run) missing(cookies map[string]string) string {
	for name, value := range r.cookies {
		if cookies[name] != value {
			return name
		}
	}
	return ""
}

// sessionOn is the session that the socket of a request carries, if any.
func (s *Server) sessionOn(p *post) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bySocket[p.sock.number]
}

// useVersion is the highest version that we share with the CPE, for the header
// UseCWMPVersion (TR-069 3.7.4). It is only sent to who announced versions.
func (r *run) useVersion() string {
	best := ""
	for _, v := range strings.Split(r.rec.Inform.Versions, ",") {
		v = strings.TrimSpace(v)
		if len(v) == 3 && v >= "1.0" && v <= "1.4" && v > best {
			best = v
		}
	}
	return best
}
