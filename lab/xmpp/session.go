package xmpp

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
)

// A Session is one client's connection.
type Session struct {
	server *Server
	conn   net.Conn // replaced by TLS before anybody else writes
	knobs  Knobs
	dec    *xml.Decoder
	secure *tls.Conn
	user   string
	jid    string

	Mechanism string // by which the client logged in
	From      string // of the client's last stream header
}

// JID is what the client is bound to.
func (x *Session) JID() string { return x.jid }

// TLS reports whether the client came over TLS.
func (x *Session) TLS() bool { return x.secure != nil }

// Write sends raw bytes in one write.
func (x *Session) Write(raw string) error {
	_, err := x.conn.Write([]byte(raw))
	return err
}

// Drop closes the connection without a word.
func (x *Session) Drop() { _ = x.conn.Close() }

var errEnd = errors.New("end of the stream")

// serve runs the connection from the first byte to the last.
func (x *Session) serve() {
	if x.knobs.Silent {
		_, _ = io.Copy(io.Discard, x.conn)
		return
	}
	if err := x.login(); err != nil {
		return
	}
	for {
		n, err := x.next()
		if err != nil {
			return
		}
		switch {
		case n.is("iq") && x.bind(n):
		case n.Attr["to"] != "" && x.server.route(x, n):
		default:
			x.server.tell(Stanza{x, n})
			x.ping(n)
		}
	}
}

// login takes the client to the stream on which it is authenticated.
func (x *Session) login() error {
	if x.knobs.Direct {
		if err := x.starttls(); err != nil {
			return err
		}
	}
	for x.user == "" {
		if err := x.open(); err != nil {
			return err
		}
		if err := x.authenticate(); err != nil {
			return err
		}
	}
	return x.open()
}

// authenticate answers until the stream is to be opened anew.
func (x *Session) authenticate() error {
	for {
		n, err := x.next()
		if err != nil {
			return err
		}
		switch {
		case n.is("starttls") && x.knobs.RefuseTLS:
			return errors.Join(x.Write(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-tls"/></stream:stream>`), errEnd)
		case n.is("starttls") && x.knobs.TLS != nil && x.secure == nil:
			if err := x.Write(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>` + x.knobs.Inject); err != nil {
				return err
			}
			return x.starttls()
		case n.is("auth"):
			ok, err := x.auth(n)
			if ok || err != nil {
				return err
			}
			if x.knobs.ThenClose {
				return errors.Join(x.Write("</stream:stream>"), errEnd)
			}
		default:
			return errors.Join(x.Write("<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"), errEnd)
		}
	}
}

func (x *Session) starttls() error {
	c := tls.Server(x.conn, x.knobs.TLS)
	if err := c.Handshake(); err != nil {
		return err
	}
	x.server.mu.Lock()
	x.conn, x.secure = c, c
	x.server.mu.Unlock()
	return nil
}

// open answers the client's stream header, with features.
func (x *Session) open() error {
	x.dec = xml.NewDecoder(&oneByte{x.conn})
	for {
		t, err := x.dec.Token()
		if err != nil {
			return err
		}
		head, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		x.From = ""
		for _, a := range head.Attr {
			if a.Name.Local == "from" {
				x.From = a.Value
			}
		}
		break
	}
	version := ` version="` + x.knobs.StreamVersion + `"`
	switch x.knobs.StreamVersion {
	case "":
		version = ` version="1.0"`
	case "-":
		version = ""
	}
	rest := x.features()
	if x.knobs.OnHeader != "" {
		rest = x.knobs.OnHeader
	}
	return x.Write(fmt.Sprintf(`<?xml version='1.0'?><stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams"`+
		` from="%s" id="%s"%s>%s`, x.server.Domain, rand.Text(), version, rest))
}

func (x *Session) features() string {
	var b strings.Builder
	b.WriteString("<stream:features>")
	switch {
	case x.user != "" && x.knobs.NoBind:
	case x.user != "":
		b.WriteString(`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/><session xmlns="urn:ietf:params:xml:ns:xmpp-session">`)
		if !x.knobs.Session {
			b.WriteString("<optional/>")
		}
		b.WriteString(`</session><sm xmlns="urn:xmpp:sm:3"/>`)
	default:
		if x.knobs.TLS != nil && x.secure == nil {
			b.WriteString(`<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls">`)
			if x.knobs.RequireTLS {
				b.WriteString("<required/>")
			}
			b.WriteString("</starttls>")
		}
		if x.secure != nil || !x.knobs.RequireTLS {
			b.WriteString(`<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`)
			for _, m := range x.offer() {
				b.WriteString("<mechanism>" + m + "</mechanism>")
			}
			b.WriteString("</mechanisms>")
			if x.knobs.Bindings != nil {
				b.WriteString(`<sasl-channel-binding xmlns="urn:xmpp:sasl-cb:0">`)
				for _, t := range x.knobs.Bindings {
					b.WriteString(`<channel-binding type="` + t + `"/>`)
				}
				b.WriteString("</sasl-channel-binding>")
			}
		}
	}
	b.WriteString("</stream:features>")
	return b.String()
}

func (x *Session) offer() []string {
	if x.knobs.Mechanisms == nil {
		return []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"}
	}
	return x.knobs.Mechanisms
}

// bind answers RFC 6120 7 and RFC 3921's session.
func (x *Session) bind(n *Node) bool {
	if len(n.Children) == 0 || n.Attr["type"] != "set" {
		return false
	}
	id := `id="` + Escape(n.Attr["id"]) + `"`
	switch p := n.Children[0]; {
	case p.is("session"):
		_ = x.Write(`<iq type="result" ` + id + `/>`)
		return true
	case !p.is("bind"):
		return false
	}
	resource := ""
	for _, c := range n.Children[0].Children {
		resource = c.Text
	}
	refused := x.knobs.RefuseBind
	if refused == "" && x.knobs.Conflict && resource != "" {
		refused = "conflict"
	}
	if refused != "" {
		_ = x.Write(`<iq type="error" ` + id + `><error type="cancel"><` + refused +
			` xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`)
		return true
	}
	if x.knobs.Resource != "" {
		resource = x.knobs.Resource
	}
	if resource == "" {
		resource = rand.Text()[:8]
	}
	jid := x.user + "@" + x.server.Domain + "/" + resource
	x.server.mu.Lock()
	x.jid = jid
	x.server.mu.Unlock()
	_ = x.Write(`<iq type="result" ` + id + `><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>` + Escape(jid) + `</jid></bind></iq>`)
	select {
	case x.server.bound <- x:
	default:
	}
	return true
}

// ping answers XEP-0199.
func (x *Session) ping(n *Node) {
	if n.Attr["type"] == "get" && len(n.Children) == 1 && n.Children[0].is("ping") && !x.muted() {
		_ = x.Write(`<iq type="result" id="` + Escape(n.Attr["id"]) + `" from="` + x.server.Domain + `" to="` + Escape(x.jid) + `"/>`)
	}
}

// muted reads a knob that is turned while connections stand.
func (x *Session) muted() bool {
	x.server.mu.Lock()
	defer x.server.mu.Unlock()
	return x.server.knobs.Mute
}

func (x *Session) offers(mechanism string) bool { return slices.Contains(x.offer(), mechanism) }

// oneByte keeps the decoder from reading ahead into what is TLS.
type oneByte struct{ r io.Reader }

func (o *oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

// ReadByte makes the decoder do without a buffer.
func (o *oneByte) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(o.r, b[:])
	return b[0], err
}
