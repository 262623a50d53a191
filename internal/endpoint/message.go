package endpoint

// DNS messages: the question that we send and what we take from an answer.
// Nothing here does IO.

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Limits on an answer.
const (
	maxMessage  = 16 << 10 // bytes over TCP
	maxDatagram = 4 << 10  // bytes over UDP; we do not ask for more than 512
	maxAddrs    = 32
	maxRecords  = 128 // of an answer that are looked at
	maxChain    = 8   // CNAMEs from one name to its records

	maxTTL      = 24 * time.Hour
	maxNegative = 15 * time.Minute
)

var (
	// errForeign is a message that does not belong to our question. It may
	// have been sent by anybody, so it is ignored.
	errForeign   = errors.New("not the answer to our question")
	errTruncated = errors.New("truncated answer")
)

// question packs a query. The name is clean.
func question(id uint16, name string, t dnsmessage.Type) ([]byte, error) {
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, ErrBadName)
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: t, Class: dnsmessage.ClassINET}},
	}
	return m.Pack()
}

// An answer is what a server says about a name.
type answer struct {
	exists bool   // false: NXDOMAIN
	next   string // the chain of CNAMEs leads here, and the server did not follow
	addrs  []netip.Addr
	srvs   []SRV
	refuse bool // the only SRV target is "."
	ttl    time.Duration
}

// empty reports whether there is nothing of what was asked for.
func (a *answer) empty() bool { return len(a.addrs) == 0 && len(a.srvs) == 0 && !a.refuse }

// A section collects the records of an answer.
type section struct {
	want  dnsmessage.Type
	alias map[string]alias
	addrs map[string][]netip.Addr
	srvs  map[string][]SRV
	ttl   map[string]uint32 // smallest of the wanted records of a name
	count int
}

type alias struct {
	target string
	ttl    uint32
}

// parseAnswer reads the answer to a question. errForeign is not for us,
// errTruncated is to be repeated over TCP; any other error says what is wrong
// with the server.
func parseAnswer(msg []byte, id uint16, name string, want dnsmessage.Type) (*answer, error) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.ID != id || !h.Response || h.OpCode != 0 {
		return nil, errForeign
	}
	if err := checkQuestion(&p, &h, name, want); err != nil {
		return nil, err
	}
	switch {
	case h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError:
		return nil, errors.New(rcodeText(h.RCode))
	case h.Truncated:
		return nil, errTruncated
	}
	s := section{want: want, alias: map[string]alias{}, addrs: map[string][]netip.Addr{}, srvs: map[string][]SRV{}, ttl: map[string]uint32{}}
	if err := s.read(&p); err != nil {
		return nil, fmt.Errorf("malformed answer: %w", err)
	}
	a, err := s.follow(name)
	if err != nil {
		return nil, err
	}
	a.exists = h.RCode == dnsmessage.RCodeSuccess
	if !a.empty() {
		return a, nil
	}
	return negative(&p, &h, a, name)
}

// checkQuestion reports whether a message repeats our question. Servers that
// report a failure may leave it out.
func checkQuestion(p *dnsmessage.Parser, h *dnsmessage.Header, name string, want dnsmessage.Type) error {
	qs, err := p.AllQuestions()
	if err != nil {
		return errForeign
	}
	if len(qs) == 0 && h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError {
		return nil
	}
	if len(qs) != 1 || qs[0].Type != want || qs[0].Class != dnsmessage.ClassINET || nameOf(qs[0].Name) != name {
		return errForeign
	}
	return nil
}

// read collects the answer section.
func (s *section) read(p *dnsmessage.Parser) error {
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.count++; s.count > maxRecords {
			return errors.New("too many records")
		}
		if h.Class != dnsmessage.ClassINET || h.Type != s.want && h.Type != dnsmessage.TypeCNAME {
			if err := p.SkipAnswer(); err != nil {
				return err
			}
			continue
		}
		if err := s.record(p, &h); err != nil {
			return err
		}
	}
}

// record takes one record of the answer section.
func (s *section) record(p *dnsmessage.Parser, h *dnsmessage.ResourceHeader) error {
	owner := nameOf(h.Name)
	if h.Type == dnsmessage.TypeCNAME {
		r, err := p.CNAMEResource()
		if _, twice := s.alias[owner]; err == nil && !twice {
			s.alias[owner] = alias{nameOf(r.CNAME), h.TTL}
		}
		return err
	}
	switch h.Type {
	case dnsmessage.TypeA:
		r, err := p.AResource()
		if err != nil {
			return err
		}
		s.addrs[owner] = append(s.addrs[owner], netip.AddrFrom4(r.A))
	case dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		if err != nil {
			return err
		}
		s.addrs[owner] = append(s.addrs[owner], netip.AddrFrom16(r.AAAA).Unmap())
	case dnsmessage.TypeSRV:
		r, err := p.SRVResource()
		if err != nil {
			return err
		}
		s.srvs[owner] = append(s.srvs[owner], SRV{Target: nameOf(r.Target), Port: r.Port, Priority: r.Priority, Weight: r.Weight})
	}
	if ttl, seen := s.ttl[owner]; !seen || h.TTL < ttl {
		s.ttl[owner] = h.TTL
	}
	return nil
}

// follow goes from the name that was asked for over its CNAMEs to the records.
func (s *section) follow(name string) (*answer, error) {
	ttl := maxTTL
	for range maxChain + 1 {
		if n, has := s.ttl[name]; has {
			a := &answer{addrs: s.addrs[name], ttl: min(ttl, seconds(n))}
			a.addrs = a.addrs[:min(len(a.addrs), maxAddrs)]
			for _, srv := range s.srvs[name] {
				if srv.Target == "" { // ".", RFC 2782
					a.refuse = true
					continue
				}
				if _, err := cleanName(srv.Target); err == nil {
					a.srvs = append(a.srvs, srv)
				}
			}
			a.refuse = a.refuse && len(a.srvs) == 0
			return a, nil
		}
		next, has := s.alias[name]
		if !has {
			return &answer{next: name, ttl: ttl}, nil
		}
		name, ttl = next.target, min(ttl, seconds(next.ttl))
	}
	return nil, errors.New("CNAME loop, or a chain that is too long")
}

// negative decides what an answer without records means. Nothing is believed
// to be absent but on the word of one who can know it: NXDOMAIN, or no data
// with the zone's SOA (RFC 2308 2.2), from the authority itself, or from a
// server that recurses (dnsmasq sends no SOA). The rest is a referral.
func negative(p *dnsmessage.Parser, h *dnsmessage.Header, a *answer, name string) (*answer, error) {
	soa, ns, ttl, err := authority(p)
	if err != nil {
		return nil, fmt.Errorf("malformed answer: %w", err)
	}
	switch {
	case !a.exists, soa:
	case a.next != name: // an alias whose target was not looked up
		return a, nil
	case h.Authoritative, h.RecursionAvailable && !ns:
	default:
		return nil, errors.New("referral to other servers (the server does not recurse)")
	}
	a.next = ""
	a.ttl = min(a.ttl, ttl, maxNegative)
	return a, nil
}

// authority reads the authority section: whether it has a SOA and NS records,
// and how long a negative answer holds (RFC 2308 5).
func authority(p *dnsmessage.Parser) (soa, ns bool, ttl time.Duration, err error) {
	if err := p.SkipAllAnswers(); err != nil {
		return false, false, 0, err
	}
	for range maxRecords {
		h, err := p.AuthorityHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return false, false, 0, err
		}
		ns = ns || h.Type == dnsmessage.TypeNS
		if h.Type != dnsmessage.TypeSOA {
			if err := p.SkipAuthority(); err != nil {
				return false, false, 0, err
			}
			continue
		}
		r, err := p.SOAResource()
		if err != nil {
			return false, false, 0, err
		}
		soa, ttl = true, min(seconds(h.TTL), seconds(r.MinTTL))
	}
	return soa, ns, ttl, nil
}

// seconds is a TTL; one with its top bit set is 0 (RFC 2181 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return min(time.Duration(ttl)*time.Second, maxTTL)
}

// nameOf is a name as we compare it.
func nameOf(n dnsmessage.Name) string {
	return strings.ToLower(strings.TrimSuffix(n.String(), "."))
}

// rcodeText names what a server said.
func rcodeText(c dnsmessage.RCode) string {
	switch c {
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	}
	return fmt.Sprintf("rcode %d", c)
}
