// Package dns is a name server for the bench: a zone written as text, with
// knobs for what goes wrong. It answers in memory, for tests inside a
// testing/synctest bubble, and on sockets.
package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A Server answers for one zone, and says that nothing else exists. Its
// methods are safe for concurrent use.
type Server struct {
	// Observe is told each question, as Asked has it, and what was answered, one
	// text for each record; set before use, nil: nobody cares.
	Observe func(question string, answers []string)

	mu      sync.Mutex
	records []dnsmessage.Resource
	fail    map[string]Failure
	slow    map[string]time.Duration
	asked   []string
	conns   sync.WaitGroup
}

// A Failure is what happens to questions for a name.
type Failure int

// Failures.
const (
	None     Failure = iota
	Silent           // no answer
	ServFail         // SERVFAIL
	Refused          // REFUSED
)

// New makes a server of records, each a line "name TTL type data": A, AAAA,
// CNAME and SRV ("priority weight port target"). Names need no trailing dot.
func New(records ...string) (*Server, error) {
	s := &Server{fail: map[string]Failure{}, slow: map[string]time.Duration{}}
	return s, s.Set(records...)
}

// Set replaces all records.
func (s *Server) Set(records ...string) error {
	var all []dnsmessage.Resource
	for _, line := range records {
		r, err := record(line)
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		all = append(all, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = all
	return nil
}

// Fail lets questions for a name (SRV questions by their whole name) fail.
func (s *Server) Fail(name string, f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[dotted(name)] = f
}

// Slow lets answers for a name take their time.
func (s *Server) Slow(name string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow[dotted(name)] = d
}

// Asked returns the questions so far, "SRV _x._tcp.example.", and forgets them.
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func dotted(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) + "." }

func record(line string) (r dnsmessage.Resource, err error) {
	f := strings.Fields(line)
	if len(f) < 4 {
		return r, errors.New("a record is: name TTL type data")
	}
	name := func(s string) (n dnsmessage.Name) {
		if n, also := dnsmessage.NewName(dotted(s)); also == nil {
			return n
		}
		err = fmt.Errorf("%q is no name", s)
		return n
	}
	r.Header = dnsmessage.ResourceHeader{Name: name(f[0]), Class: dnsmessage.ClassINET}
	if _, err := fmt.Sscan(f[1], &r.Header.TTL); err != nil {
		return r, err
	}
	switch strings.ToUpper(f[2]) {
	case "A", "AAAA":
		ip, err := netip.ParseAddr(f[3])
		if err != nil {
			return r, err
		}
		if ip.Is4() {
			r.Body = &dnsmessage.AResource{A: ip.As4()}
		} else {
			r.Body = &dnsmessage.AAAAResource{AAAA: ip.As16()}
		}
	case "CNAME":
		r.Body = &dnsmessage.CNAMEResource{CNAME: name(f[3])}
	case "SRV":
		srv := &dnsmessage.SRVResource{}
		var target string
		if _, err := fmt.Sscan(strings.Join(f[3:], " "), &srv.Priority, &srv.Weight, &srv.Port, &target); err != nil {
			return r, err
		}
		srv.Target = dnsmessage.MustNewName(".")
		if target != "." {
			srv.Target = name(target)
		}
		r.Body = srv
	default:
		return r, fmt.Errorf("no type %q here", f[2])
	}
	return r, err
}

// typeOf is the type of a record that has not been packed yet.
func typeOf(r dnsmessage.Resource) dnsmessage.Type {
	switch r.Body.(type) {
	case *dnsmessage.AResource:
		return dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	case *dnsmessage.CNAMEResource:
		return dnsmessage.TypeCNAME
	}
	return dnsmessage.TypeSRV
}

// answer returns the answer to a packed question, when its time has come; nil:
// silence.
func (s *Server) answer(question []byte) []byte {
	out, after := s.reply(question)
	if after > 0 {
		time.Sleep(after)
	}
	return out
}

func (s *Server) reply(question []byte) (out []byte, after time.Duration) {
	var q dnsmessage.Message
	if q.Unpack(question) != nil || len(q.Questions) != 1 {
		return nil, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := q.Questions[0]
	name := dotted(want.Name.String())
	s.asked = append(s.asked, strings.TrimPrefix(want.Type.String(), "Type")+" "+name)
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, RecursionDesired: q.RecursionDesired, RecursionAvailable: true},
		Questions: q.Questions,
	}
	switch s.fail[name] {
	case Silent:
		return nil, 0
	case ServFail:
		m.RCode = dnsmessage.RCodeServerFailure
	case Refused:
		m.RCode = dnsmessage.RCodeRefused
	default:
		m.Answers, m.RCode = s.find(name, want.Type)
	}
	if len(m.Answers) == 0 && m.RCode != dnsmessage.RCodeServerFailure {
		m.Authorities = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Class: dnsmessage.ClassINET, TTL: 5},
			Body:   &dnsmessage.SOAResource{NS: dnsmessage.MustNewName("."), MBox: dnsmessage.MustNewName("."), MinTTL: 5},
		}}
	}
	out, err := m.Pack()
	if err != nil {
		return nil, 0
	}
	if s.Observe != nil {
		s.Observe(s.asked[len(s.asked)-1], spelled(m.Answers))
	}
	return out, s.slow[name]
}

// spelled are records as a person reads them.
func spelled(all []dnsmessage.Resource) (out []string) {
	for _, r := range all {
		switch b := r.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(b.A).String())
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(b.AAAA).String())
		case *dnsmessage.CNAMEResource:
			out = append(out, strings.TrimSuffix(b.CNAME.String(), "."))
		case *dnsmessage.SRVResource:
			out = append(out, fmt.Sprintf("%s port %d", strings.TrimSuffix(b.Target.String(), "."), b.Port))
		}
	}
	return out
}

// find follows aliases to records of a type.
func (s *Server) find(name string, t dnsmessage.Type) (out []dnsmessage.Resource, code dnsmessage.RCode) {
	code = dnsmessage.RCodeNameError
	for range 8 {
		next := ""
		for _, r := range s.records {
			if r.Header.Name.String() != name {
				continue
			}
			code = dnsmessage.RCodeSuccess
			switch {
			case typeOf(r) == t:
				out = append(out, r)
			case typeOf(r) == dnsmessage.TypeCNAME:
				out, next = append(out, r), r.Body.(*dnsmessage.CNAMEResource).CNAME.String()
			}
		}
		if name = next; next == "" {
			break
		}
	}
	return out, code
}

// Dial answers in memory whoever dials any address by "udp" or "tcp".
func (s *Server) Dial(_ context.Context, network, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	s.conns.Go(func() { s.converse(there, strings.HasPrefix(network, "tcp")) })
	return here, nil
}

// Wait returns when all who dialled have hung up.
func (s *Server) Wait() { s.conns.Wait() }

// converse answers one connection; messages on a stream have their length
// before them.
func (s *Server) converse(c net.Conn, stream bool) {
	defer c.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := 0, error(nil)
		if !stream {
			n, err = c.Read(buf)
		} else if _, err = io.ReadFull(c, buf[:2]); err == nil {
			n, err = io.ReadFull(c, buf[:int(binary.BigEndian.Uint16(buf))])
		}
		if err != nil {
			return
		}
		out := s.answer(buf[:n])
		if out == nil {
			continue
		}
		if stream {
			out = append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// Serve answers on sockets until they are closed.
func (s *Server) Serve(udp net.PacketConn, tcp net.Listener) {
	var both sync.WaitGroup
	both.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go s.converse(c, true)
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, from, err := udp.ReadFrom(buf)
		if err != nil {
			break
		}
		question := bytes.Clone(buf[:n])
		both.Go(func() {
			if out := s.answer(question); out != nil {
				_, _ = udp.WriteTo(out, from)
			}
		})
	}
	both.Wait()
}
