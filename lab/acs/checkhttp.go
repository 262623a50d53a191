package acs

import (
	"bytes"
	"mime"
	"net/http"
	"strings"
	"time"
)

// checkHTTP looks at the request line and the header (TR-069 3.4.1, 3.4.6).
func (p *post) checkHTTP() {
	r := p.r
	bad := func(rule Rule, clause, format string, args ...any) {
		p.s.fault(p.s.sessionOn(p), rule, clause, format, args...)
	}
	if r.Method != http.MethodPost {
		bad(RuleHTTP, "TR-069 3.4.6", "method %s instead of POST", r.Method)
	}
	if r.Proto != "HTTP/1.1" {
		bad(RuleHTTP, "TR-069 3.4", "%s instead of HTTP/1.1", r.Proto)
	}
	if v, ok := r.Header["Expect"]; ok {
		bad(RuleHTTP, "TR-069 3.4", "header Expect: %s", strings.Join(v, ", "))
	}
	if r.Close {
		bad(RuleConnection, "TR-069 3.4.2", "the CPE announces that it closes the connection")
	}
	if len(r.TransferEncoding) > 0 {
		bad(RuleHeader, "TR-069 3.4", "Transfer-Encoding %s instead of a Content-Length", strings.Join(r.TransferEncoding, ", "))
	} else if len(r.Header["Content-Length"]) != 1 && r.ContentLength <= 0 {
		bad(RuleHeader, "TR-069 3.4", "no Content-Length")
	}
	action, hasAction := r.Header["Soapaction"]
	kind, hasKind := r.Header["Content-Type"]
	if len(p.body) == 0 {
		if hasAction {
			bad(RuleHeader, "TR-069 3.7.1.3", "SOAPAction on an empty POST")
		}
		if hasKind {
			bad(RuleHeader, "TR-069 3.7.1.3", "Content-Type on an empty POST")
		}
		return
	}
	switch {
	case !hasAction:
		bad(RuleHeader, "TR-069 3.4.1", "no SOAPAction")
	case len(action) != 1 || action[0] != "":
		bad(RuleHeader, "TR-069 3.4.1", "SOAPAction %q instead of an empty value", action)
	}
	p.checkContentType(kind, bad)
}

func (p *post) checkContentType(kind []string, bad func(Rule, string, string, ...any)) {
	if len(kind) != 1 {
		bad(RuleHeader, "TR-069 3.4.1", "%d Content-Type headers", len(kind))
		return
	}
	media, params, err := mime.ParseMediaType(kind[0])
	if err != nil || media != "text/xml" {
		bad(RuleHeader, "TR-069 3.4.1", "Content-Type %q instead of text/xml", kind[0])
		return
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		bad(RuleHeader, "TR-069 3.4.1", "charset %q instead of utf-8", c)
	}
}

// checkAgain compares the request after a 401 with the one before it.
func (p *post) checkAgain() {
	want := p.sock.again
	p.sock.again = nil
	if want == nil || bytes.Equal(want, p.body) {
		return
	}
	p.s.fault(p.s.sessionOn(p), RuleReplay, "TR-069 3.4.5", "the request after the 401 is not the one before it")
}

// repeat is an Inform that has to come once more.
type repeat struct {
	body   []byte
	inform string // its content but for the time, where only that must be the same
	until  time.Time
}

// soon is how long we wait for a repetition. What comes later is a new
// attempt: a CPE need not follow every redirect, nor take every 8005.
const soon = 2 * time.Second

// expectAgain remembers an Inform that must come again: after a redirect byte
// by byte (TR-069 3.4.2), after fault 8005 with the same content (3.7.1.6).
func (s *Server) expectAgain(p *post, content bool) {
	if p.msg == nil || p.msg.Method != "Inform" {
		return
	}
	again := repeat{body: bytes.Clone(p.body), until: time.Now().Add(soon)}
	if content {
		again.body, again.inform = nil, informContent(p.msg)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.again) > 10000 {
		clear(s.again)
	}
	s.again[p.deviceKey()] = again
}

// checkRepeat compares an Inform with the one that had to come again.
func (s *Server) checkRepeat(p *post) {
	key := p.deviceKey()
	s.mu.Lock()
	want, ok := s.again[key]
	delete(s.again, key)
	s.mu.Unlock()
	switch {
	case !ok || time.Now().After(want.until):
	case want.inform == "" && !bytes.Equal(want.body, p.body):
		s.fault(p.run, RuleReplay, "TR-069 3.4.2", "the Inform after the redirect is not the one before it")
	case want.inform != "" && want.inform != informContent(p.msg):
		s.fault(p.run, RuleReplay, "TR-069 3.7.1.6", "the Inform after fault 8005 is not the one before it")
	}
}

// informContent prints an Inform without its time.
func informContent(m *Message) string {
	var b strings.Builder
	for _, c := range m.Body.Children {
		if c.Local != "CurrentTime" {
			c.print(&b)
		}
	}
	return b.String()
}

// print writes the element in one way, for comparison.
func (n *Node) print(b *strings.Builder) {
	b.WriteString("<" + n.Local)
	for _, a := range n.Attr {
		b.WriteString(" " + a.Name.Local + "=" + a.Value)
	}
	b.WriteString(">")
	if len(n.Children) == 0 {
		b.WriteString(esc(n.Text))
	}
	for _, c := range n.Children {
		c.print(b)
	}
	b.WriteString("</>")
}

// checkSocket notes on which connection the session goes on, and whether the
// CPE had a reason to leave the one before (TR-069 3.4.2).
func (r *run) checkSocket(p *post) {
	r.s.mu.Lock()
	before := r.sock
	r.s.mu.Unlock()
	if before == p.sock {
		return
	}
	gone, itsFault := before.state()
	switch {
	case before.Conn == nil: // a mere http.Handler does not see connections close
	case !gone:
		r.s.fault(r, RuleConnection, "TR-069 3.4.2", "the session moved to another connection while its own is open")
	case itsFault:
		r.s.fault(r, RuleConnection, "TR-069 3.4.2", "the CPE closed its connection in the middle of the session")
	}
	r.on(p.sock)
}
