// Package xmpp is an XMPP server for tests and for the bench: enough of RFC
// 6120 for clients to log in, bind a resource and send each other stanzas, and
// knobs to do each of these things wrong. It shares no code with the agent's
// client.
package xmpp

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
)

// Knobs decide how the server behaves. They are read when a connection comes.
type Knobs struct {
	TLS         *tls.Config // nil: no STARTTLS on offer
	RequireTLS  bool        // nothing but STARTTLS before TLS
	Direct      bool        // TLS from the first byte
	Mechanisms  []string    // on offer; nil: SCRAM-SHA-256, SCRAM-SHA-1, PLAIN
	Bindings    []string    // said to be known (XEP-0440)
	Iterations  int         // of SCRAM; 0: 4096
	Realm       string      // of DIGEST-MD5; "": none
	Fold        bool        // challenges folded over lines, with line feeds inside and at their ends
	InChallenge bool        // SCRAM's last word in a challenge of its own
	Resource    string      // given whatever the client asks for
	Session     bool        // insists on RFC 3921's session

	WrongProof    bool   // of SCRAM and DIGEST-MD5
	NoProof       bool   // success without any
	CutNonce      bool   // SCRAM: the client's nonce comes back shorter
	BareNonce     bool   // SCRAM: the client's nonce comes back without ours
	FirstMessage  string // SCRAM: sent instead of the server's first message
	BreakBinding  bool   // SCRAM-…-PLUS never works
	FailAuth      string // condition with which any <auth/> is refused
	FailResponse  string // condition with which any <response/> is refused
	ThenClose     bool   // the stream ends after a failure
	Conflict      bool   // the first bind of a resource of the client's choice
	RefuseBind    string // condition with which any bind is refused
	NoBind        bool   // features are empty after authentication
	OnHeader      string // sent instead of features when the stream opens
	Inject        string // sent in clear together with <proceed/>
	RefuseTLS     bool   // <failure/> for <starttls/>
	StreamVersion string // "": 1.0; "-": none
	Mute          bool   // pings get no answer
	Silent        bool   // accepts connections and says nothing
}

// A Server is one domain. Use New.
type Server struct {
	Domain string

	mu       sync.Mutex
	knobs    Knobs
	users    map[string]string
	sessions map[*Session]bool
	logins   int
	bound    chan *Session
	stanzas  chan Stanza
	wait     sync.WaitGroup
}

// A Stanza is what a bound client sent.
type Stanza struct {
	Session *Session
	*Node
}

// New returns a server of a domain with accounts: name → password.
func New(domain string, users map[string]string) *Server {
	return &Server{
		Domain: domain, users: users, sessions: make(map[*Session]bool),
		bound: make(chan *Session, 64), stanzas: make(chan Stanza, 4096),
	}
}

// Set edits the knobs; connections that are there keep theirs.
func (s *Server) Set(edit func(*Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(&s.knobs)
}

// Bound tells of each client that has bound a resource.
func (s *Server) Bound() <-chan *Session { return s.bound }

// Stanzas tells of each stanza of a bound client that is not for another
// client. The oldest are lost when nobody listens.
func (s *Server) Stanzas() <-chan Stanza { return s.stanzas }

// Logins counts the connections that came so far.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// Serve serves the connections of l until ctx ends or l fails, closes them all
// and returns when they have ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		_ = l.Close()
		s.Kick("")
	})
	defer stop()
	defer s.wait.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			s.Kick("")
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		session := s.begin(conn)
		s.wait.Go(func() {
			defer s.end(session)
			session.serve()
		})
	}
}

func (s *Server) begin(conn net.Conn) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := &Session{server: s, conn: conn, knobs: s.knobs}
	s.sessions[session] = true
	s.logins++
	return session
}

func (s *Server) end(x *Session) {
	s.mu.Lock()
	delete(s.sessions, x)
	s.mu.Unlock()
	_ = x.conn.Close()
}

// Kick ends all connections, after some last bytes.
func (s *Server) Kick(words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.sessions {
		if words != "" {
			_, _ = x.conn.Write([]byte(words)) // the client may be gone
		}
		_ = x.conn.Close()
	}
}

// find returns the session that is bound to a JID.
func (s *Server) find(jid string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.sessions {
		if jid != "" && x.jid == jid {
			return x
		}
	}
	return nil
}

// route passes a stanza on to the client that it is for, stamped with who sent
// it. It returns false if it is for nobody here.
func (s *Server) route(from *Session, n *Node) bool {
	to := s.find(n.Attr["to"])
	if to == nil {
		return false
	}
	n.Attr["from"] = from.jid
	_ = to.Write(n.String()) // who cannot read it is gone
	return true
}

func (s *Server) tell(x Stanza) {
	for {
		select {
		case s.stanzas <- x:
			return
		default:
		}
		select {
		case <-s.stanzas:
		default:
		}
	}
}

// Attack is a piece of XML that no client should swallow.
func Attack(name string) string {
	switch name {
	case "large":
		return `<message><body>` + strings.Repeat("x", 1<<20) + `</body></message>`
	case "attribute":
		return `<message id="` + strings.Repeat("x", 1<<20) + `"/>`
	case "endless":
		return `<message><body>` + strings.Repeat("x", 5<<20)
	case "deep":
		return `<message>` + strings.Repeat(`<a>`, 10_000) + strings.Repeat(`</a>`, 10_000) + `</message>`
	case "wide":
		return `<message>` + strings.Repeat(`<a/>`, 10_000) + `</message>`
	case "attributes":
		return `<message ` + strings.Repeat(`a:b="" `, 2000) + `/>`
	case "doctype":
		return `<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>`
	case "entity":
		return `<message>&lol;</message>`
	case "instruction":
		return `<?php echo 1 ?>`
	case "comment":
		return `<!-- a comment -->`
	case "text":
		return `not a stanza`
	case "unbalanced":
		return `<message></iq>`
	case "binary":
		return "<message>\x00\x01\xff</message>"
	}
	return ""
}
