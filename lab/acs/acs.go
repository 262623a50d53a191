// Package acs is an auto-configuration server for tests and for the bench: it
// takes Informs, plays scripts against the CPE, and is strict. Whatever a CPE
// does against TR-069, HTTP or the digest rules is recorded as a Violation.
//
// It shares no code with the agent: a test peer that uses the code it checks
// would agree with its mistakes.
//
//	s := acs.New(acs.Options{})
//	s.Script(func(c *acs.Conversation) error {
//		_, err := c.SetParameterValues("k1", acs.P("Device.X", "xsd:string", "v"))
//		return err
//	})
//	go s.Serve(listener)
//	session, err := s.WaitSession(ctx, acs.Any)
//	// session.Violations, session.RPCs …
package acs

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Auth is how the ACS wants CPEs to authenticate.
type Auth int

const (
	AuthNone Auth = iota
	AuthBasic
	AuthDigest
)

// Options configure a Server. The zero value takes everybody, speaks HTTP and
// answers each session with an InformResponse and then nothing.
type Options struct {
	Path string // the only path served, "" for any

	Auth        Auth
	Username    string
	Password    string
	Credentials func(username string) (password string, ok bool) // instead of Username and Password
	Digest      Digest

	TLS *tls.Config // for Serve; set ClientAuth there to ask for certificates

	// SetCookie are the Set-Cookie values of an InformResponse; {id} stands for
	// a random text. nil means "session={id}", which is what GenieACS sends; an
	// empty slice means no cookies, the session is then bound to its socket.
	SetCookie   []string
	CookieEarly bool // set the cookies with the first 401 already

	// Accept decides about an Inform by the HTTP status it is answered with:
	// 0 or 200 takes it, 403 refuses the device.
	Accept func(*Inform) int

	// Answer answers the CPE's own requests, with what is inside the response
	// element or with a fault. nil, or "" without a fault: the usual answer. It
	// may look at the Conversation but not call the CPE.
	Answer func(*Conversation, *Message) (xml string, fault *Fault)

	HoldRequests bool   // InformResponse carries HoldRequests=true
	Namespace    string // cwmp namespace of our envelopes; "" for the Inform's own
	// Forced are the parameters that every Inform must carry; nil for those of
	// Device:2.
	Forced []string

	SessionTimeout time.Duration // between two POSTs; 30 s as in GenieACS when zero
	Grace          time.Duration // for a CPE that closed its socket in a session to come back; 1 s when zero
	MaxBody        int64         // bytes of a request; 16 MiB when zero
	Keep           int           // finished sessions remembered; 1000 when zero
	Chaos          Chaos

	// Observe is told everything as it happens, one call at a time. It must
	// not call the Server.
	Observe func(Note)

	// Dial is used for connection requests; net.Dialer when nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Script is what the ACS does in a session after the CPE's empty POST. When it
// returns, the session ends with a 204; its error is kept in Session.Err.
type Script func(*Conversation) error

// Server is the ACS. Its methods may be used from any goroutine. Inside a
// synctest bubble create it there, and Close it before the test returns.
type Server struct {
	o    Options
	http *http.Server

	noting sync.Mutex // one Observe call at a time
	auth   sync.Mutex // one digest check at a time: it guards the nonces' content

	mu         sync.Mutex
	script     Script
	queue      []errand
	chaos      chaosState
	live       map[string]*run // by session cookie
	bySocket   map[uint64]*run // the session that a socket carries
	dead       map[string]bool // cookies of finished sessions
	nonces     map[string]*nonce
	cnonces    map[string]uint64 // cnonce → socket that used it
	again      map[string]repeat // device → Inform that must be sent again
	strangers  map[string]*socket
	devices    map[string]*Device
	knocking   map[string]int // device → connection requests without an answer yet
	sessions   []*Session
	violations []Violation
	lastSocket uint64
	lastNumber int
	changed    chan struct{} // closed and replaced whenever something is recorded
	closing    context.Context
	close      context.CancelFunc
	busy       sync.WaitGroup
}

// errand is a script that waits for the next session of one device.
type errand struct {
	device string // DeviceID.Key, "" for any
	script Script
}

// New makes a Server. It starts nothing: use it as an http.Handler, or Serve.
func New(o Options) *Server {
	o.defaults()
	s := &Server{
		o:         o,
		live:      map[string]*run{},
		bySocket:  map[uint64]*run{},
		dead:      map[string]bool{},
		nonces:    map[string]*nonce{},
		cnonces:   map[string]uint64{},
		again:     map[string]repeat{},
		strangers: map[string]*socket{},
		devices:   map[string]*Device{},
		knocking:  map[string]int{},
		changed:   make(chan struct{}),
	}
	s.chaos.set(o.Chaos)
	s.closing, s.close = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return withSocket(ctx, c) },
		ReadHeaderTimeout: 5 * time.Minute,
		ErrorLog:          quiet(),
	}
	return s
}

func (o *Options) defaults() {
	if o.SetCookie == nil {
		o.SetCookie = []string{"session={id}"}
	}
	if o.Credentials == nil {
		user, pass := o.Username, o.Password
		o.Credentials = func(username string) (string, bool) { return pass, username == user }
	}
	if o.SessionTimeout == 0 {
		o.SessionTimeout = 30 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = time.Second
	}
	if o.MaxBody == 0 {
		o.MaxBody = 16 << 20
	}
	if o.Keep == 0 {
		o.Keep = 1000
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Forced == nil {
		o.Forced = forcedDevice2
	}
	o.Digest.defaults()
}

// Serve takes connections from l until Close. It returns http.ErrServerClosed
// then, as http.Server.Serve does.
func (s *Server) Serve(l net.Listener) error {
	return s.http.Serve(&sockets{Listener: l, s: s})
}

// Close ends every connection and session, and waits for the scripts.
func (s *Server) Close() error {
	s.close()
	err := s.http.Close()
	s.mu.Lock()
	var open []*run
	for _, r := range s.bySocket {
		open = append(open, r)
	}
	for _, r := range s.live {
		open = append(open, r)
	}
	s.mu.Unlock()
	for _, r := range open {
		r.finish(ErrClosed)
	}
	s.busy.Wait()
	return err
}

// Script sets what is done in every session that begins from now on. nil is
// the default: nothing.
func (s *Server) Script(f Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = f
}

// Queue adds a script for the next session of one device, or of any device
// when key (DeviceID.Key) is empty. Queued scripts run before Script's, each once.
func (s *Server) Queue(key string, f Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, errand{device: key, script: f})
}

// take is what the session of this device has to do.
func (s *Server) take(key string) Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	var work []Script
	s.queue = slices.DeleteFunc(s.queue, func(e errand) bool {
		mine := e.device == "" || e.device == key
		if mine {
			work = append(work, e.script)
		}
		return mine
	})
	if s.script != nil {
		work = append(work, s.script)
	}
	return func(c *Conversation) error {
		for _, f := range work {
			if err := f(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// SetChaos replaces the misbehaviour of the ACS from the next request on.
func (s *Server) SetChaos(c Chaos) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chaos.set(c)
}

// Any accepts every session, for WaitSession.
func Any(*Session) bool { return true }

// WithEvent accepts sessions whose Inform carries this event code.
func WithEvent(code string) func(*Session) bool {
	return func(s *Session) bool { return s.Inform.Has(code) }
}

// WaitSession waits until a finished session satisfies want, looking first at
// those that are recorded already; Session.Number tells them apart.
func (s *Server) WaitSession(ctx context.Context, want func(*Session) bool) (*Session, error) {
	for {
		s.mu.Lock()
		known, changed := s.sessions, s.changed
		s.mu.Unlock()
		if i := slices.IndexFunc(known, want); i >= 0 {
			return known[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Sessions are the finished sessions, oldest first. They do not change any more.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sessions)
}

// Violations is everything that CPEs did wrong so far, in order.
func (s *Server) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Devices are the devices that have informed, by DeviceID.Key.
func (s *Server) Devices() map[string]Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Device, len(s.devices))
	for k, d := range s.devices {
		all[k] = *d
	}
	return all
}

// Device is what the ACS knows about a CPE from its Informs.
type Device struct {
	ID                   DeviceID
	Informs              int
	Last                 *Inform
	ConnectionRequestURL string
}

// note tells the observer. The caller must not hold mu.
func (s *Server) note(n Note) {
	if s.o.Observe == nil {
		return
	}
	s.noting.Lock()
	defer s.noting.Unlock()
	n.At = time.Now()
	s.o.Observe(n)
}

// tell wakes everybody who waits for something to be recorded; the caller
// holds mu.
func (s *Server) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// token is a random text for cookies and nonces.
func token() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
