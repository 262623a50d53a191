package acs

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// xmlType is the Content-Type of envelopes (TR-069 3.4.1).
const xmlType = `text/xml; charset="utf-8"`

// post is one HTTP request on its way through the server.
type post struct {
	s    *Server
	w    http.ResponseWriter
	r    *http.Request
	ctx  context.Context // ends with the connection, the request or the server
	sock *socket
	at   time.Time
	body []byte   // as received
	text []byte   // the body without Content-Encoding
	msg  *Message // nil for an empty POST
	run  *run     // once it is known
	cut  Cut
	// verbatim is set when the answer is a knob's own text.
	verbatim bool
	asking   *ask // our request that goes out with the answer
	status   int  // of the answer, once there is one
}

// ServeHTTP takes one request of a CPE.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.busy.Add(1)
	defer s.busy.Done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()

	p := &post{s: s, w: w, r: r, ctx: ctx, sock: s.socketOf(r), at: time.Now()}
	if !p.read() {
		return
	}
	if p.sock.asked() {
		s.fault(s.sessionOn(p), RuleHTTP, "TR-069 3.4.6", "a request was sent before the answer to the one before (pipelining)")
	}
	p.handle()
}

// read takes the body, bounded, and unpacks it.
func (p *post) read() bool {
	body, err := io.ReadAll(http.MaxBytesReader(p.w, p.r.Body, p.s.o.MaxBody))
	p.body = body
	if err != nil {
		p.s.fault(nil, RuleHTTP, "RFC 9112", "the request body broke off after %d bytes: %v", len(body), err)
		p.reply(http.StatusBadRequest, "text/plain", "bad body\n", "")
		return false
	}
	p.text, err = unpack(p.r.Header.Get("Content-Encoding"), body, p.s.o.MaxBody)
	if err != nil {
		p.s.fault(nil, RuleHTTP, "TR-069 3.4.7", "Content-Encoding: %v", err)
		p.reply(http.StatusUnsupportedMediaType, "text/plain", "bad encoding\n", "")
		return false
	}
	return true
}

// Unpack undoes the Content-Encoding of an Exchange's body.
func Unpack(encoding string, body []byte) ([]byte, error) { return unpack(encoding, body, 16<<20) }

// unpack undoes a Content-Encoding (TR-069 3.4.7), bounded by limit.
func unpack(encoding string, body []byte, limit int64) ([]byte, error) {
	var z io.ReadCloser
	var err error
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		z, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return nil, fmt.Errorf("%q is not known", encoding)
	}
	if err != nil {
		return nil, err
	}
	defer z.Close()
	text, err := io.ReadAll(io.LimitReader(z, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than %d bytes unpacked", limit)
	}
	return text, err
}

// handle leads the request through credentials and cookies to its session.
func (p *post) handle() {
	s := p.s
	p.checkHTTP()
	if p.r.Method != http.MethodPost {
		p.w.Header().Set("Allow", http.MethodPost)
		p.reply(http.StatusMethodNotAllowed, "text/plain", "POST only\n", "")
		return
	}
	if s.o.Path != "" && p.r.URL.Path != s.o.Path {
		p.reply(http.StatusNotFound, "text/plain", "no ACS here\n", "")
		return
	}
	p.checkAgain()
	if !p.parse() {
		return
	}
	if p.msg != nil && p.msg.Method == "Inform" {
		if answered, _ := p.trouble(phaseInform, true); answered {
			return
		}
	}
	if !p.authorize() {
		return
	}
	var ok bool
	if p.run, ok = p.session(); !ok {
		return
	}
	if p.run == nil {
		p.inform()
		return
	}
	p.run.post(p)
}

// parse reads the envelope; an empty body leaves msg nil.
func (p *post) parse() bool {
	if len(p.text) == 0 {
		return true
	}
	m, err := readMessage(p.text)
	if err != nil {
		r := p.s.sessionOn(p)
		p.s.fault(r, RuleXML, "TR-069 3.5", "the envelope cannot be read: %v", err)
		p.refuse(r, "bad envelope")
		return false
	}
	p.msg = m
	return true
}

// refuse answers as GenieACS does to a violation, and gives the session up.
func (p *post) refuse(r *run, why string) {
	p.run = r
	if r != nil {
		r.leave()
	}
	p.reply(http.StatusBadRequest, "text/plain", why+"\n", why)
	if r != nil {
		r.finish(ErrRefused)
	}
}

// envelope answers with an envelope around body.
func (p *post) envelope(method, body string) {
	h := header{namespace: p.namespace()}
	if p.msg != nil {
		h.id = p.msg.ID
	}
	if p.run != nil {
		h.hold = p.run.hold
		if method == "InformResponse" {
			h.useVersion = p.run.useVersion()
		}
	}
	p.reply(http.StatusOK, xmlType, envelope(h, body), "")
}

// namespace is the one of the session, or of the message while there is none.
func (p *post) namespace() string {
	switch {
	case p.s.o.Namespace != "":
		return p.s.o.Namespace
	case p.run != nil:
		return p.run.rec.Inform.Namespace
	case p.msg != nil && strings.HasPrefix(p.msg.Body.Space, nsCWMP):
		return p.msg.Body.Space
	}
	return nsCWMP + "0"
}

// reply writes the answer, records the exchange and tells the observer. about
// is a word for the observer where the body does not speak for itself.
func (p *post) reply(status int, contentType, body, about string) {
	h := p.w.Header()
	chaos := p.s.chaosNow()
	wire := chaos.Wire
	own := p.asking != nil && p.asking.method == ""
	if contentType == xmlType && !p.verbatim && !own {
		body = chaos.Envelope.dress(body)
	}
	if status == http.StatusNoContent && wire.Empty != 0 {
		status, body = wire.Empty, wire.Blank
	}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if p.cut == CutNone {
		p.cut = wire.Close
	}
	if p.cut == CutPolitely {
		h.Set("Connection", "close")
		p.sock.release()
	}
	p.sock.answered()
	p.record(status, h, body)
	p.narrate(status, body, about)
	p.carry(wire, status, body)
}

// record keeps the exchange with the session, or with the socket until one begins.
func (p *post) record(status int, h http.Header, body string) {
	p.status = status
	x := Exchange{
		At: p.at, Socket: p.sock.number, Method: p.r.Method, Target: p.r.RequestURI,
		Header: p.r.Header.Clone(), Body: p.body,
		Status: status, ReplyHeader: h.Clone(), Reply: []byte(body),
	}
	r := p.run
	if r == nil {
		r = p.s.sessionOn(p) // a 401 in mid-session
	}
	if r == nil {
		const most = 16 // a CPE that never gets in must not fill the memory
		if p.sock.before = append(p.sock.before, x); len(p.sock.before) > most {
			p.sock.before = p.sock.before[1:]
		}
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if !r.over {
		r.rec.Exchanges = append(r.rec.Exchanges, x)
	}
}

// gone is closed when nobody waits for the answer any more.
func (p *post) gone() <-chan struct{} { return p.ctx.Done() }

// deviceKey is the device that speaks, as far as is known.
func (p *post) deviceKey() string {
	switch {
	case p.run != nil:
		return p.run.rec.Device.Key()
	case p.msg != nil && p.msg.Method == "Inform":
		return readInform(p.msg).Device.Key()
	}
	return ""
}
