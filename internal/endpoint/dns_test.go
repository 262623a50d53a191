package endpoint

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A nameServer answers a question, over "udp" or "tcp", with whole messages.
// None means silence.
type nameServer func(network string, q *dnsmessage.Message) []*dnsmessage.Message

// world is a network of name servers in memory; it counts what they are asked.
type world struct {
	servers map[string]nameServer // by address
	mu      sync.Mutex
	asked   []string // "192.0.2.53:53/udp A acs.example."
	wg      sync.WaitGroup
}

// resolver returns a resolver that lives in a world with these servers, in
// order, at 192.0.2.1 and so on.
func resolver(t *testing.T, servers ...nameServer) (*Resolver, *world) {
	t.Helper()
	w := &world{servers: map[string]nameServer{}}
	var conf strings.Builder
	for i, s := range servers {
		fmt.Fprintf(&conf, "nameserver 192.0.2.%d\n", i+1)
		w.servers[fmt.Sprintf("192.0.2.%d:53", i+1)] = s
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.wg.Wait)
	return &Resolver{Config: path, Dial: w.dial}, w
}

func (w *world) dial(_ context.Context, network, addr string) (net.Conn, error) {
	s := w.servers[addr]
	if s == nil {
		return nil, fmt.Errorf("dial %s: connection refused", addr)
	}
	here, there := net.Pipe()
	w.wg.Go(func() { w.serve(there, network, addr, s) })
	return here, nil
}

// serve answers on one socket until it is closed.
func (w *world) serve(c net.Conn, network, addr string, s nameServer) {
	defer func() { _ = c.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		raw := buf[:n]
		if network == "tcp" {
			raw = raw[2:]
		}
		var q dnsmessage.Message
		if q.Unpack(raw) != nil {
			return
		}
		w.mu.Lock()
		w.asked = append(w.asked, fmt.Sprintf("%s/%s %s %s", addr, network, strings.TrimPrefix(q.Questions[0].Type.String(), "Type"), q.Questions[0].Name))
		w.mu.Unlock()
		for _, m := range s(network, &q) {
			out, err := m.Pack()
			if err != nil {
				panic(err)
			}
			if network == "tcp" {
				out = append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}
}

// questions returns what was asked, and forgets it.
func (w *world) questions() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.asked
	w.asked = nil
	return out
}

// reply is an answer to q with these records.
func reply(q *dnsmessage.Message, rcode dnsmessage.RCode, records ...dnsmessage.Resource) *dnsmessage.Message {
	return &dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: rcode},
		Questions: q.Questions, Answers: records,
	}
}

// rr makes a record from its text: name, TTL, type, data.
func rr(text string) dnsmessage.Resource {
	f := strings.Fields(text)
	var ttl uint32
	if _, err := fmt.Sscan(f[1], &ttl); err != nil {
		panic(err)
	}
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(f[0]), Class: dnsmessage.ClassINET, TTL: ttl}}
	switch f[2] {
	case "A":
		r.Body = &dnsmessage.AResource{A: netip.MustParseAddr(f[3]).As4()}
	case "AAAA":
		r.Body = &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(f[3]).As16()}
	case "CNAME":
		r.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(f[3])}
	case "NS":
		r.Body = &dnsmessage.NSResource{NS: dnsmessage.MustNewName(f[3])}
	case "SOA":
		soa := &dnsmessage.SOAResource{NS: dnsmessage.MustNewName("ns."), MBox: dnsmessage.MustNewName("h.")}
		if _, err := fmt.Sscan(f[3], &soa.MinTTL); err != nil {
			panic(err)
		}
		r.Body = soa
	case "SRV":
		srv := &dnsmessage.SRVResource{}
		if _, err := fmt.Sscan(strings.Join(f[3:6], " "), &srv.Priority, &srv.Weight, &srv.Port); err != nil {
			panic(err)
		}
		srv.Target = dnsmessage.MustNewName(f[6])
		r.Body = srv
	default:
		panic(text)
	}
	return r
}

// zone is a recursive server that knows these records and, of everything else,
// that it does not exist.
func zone(records ...string) nameServer {
	return func(_ string, q *dnsmessage.Message) []*dnsmessage.Message {
		want, name, known := q.Questions[0].Type, strings.ToLower(q.Questions[0].Name.String()), false
		var out []dnsmessage.Resource
		for range 10 {
			next := ""
			for _, text := range records {
				r := rr(text)
				if r.Header.Name.String() != name {
					continue
				}
				known = true
				if c, ok := r.Body.(*dnsmessage.CNAMEResource); ok {
					out, next = append(out, r), c.CNAME.String()
				} else if strings.Fields(text)[2] == strings.TrimPrefix(want.String(), "Type") {
					out = append(out, r)
				}
			}
			if name = next; name == "" {
				break
			}
		}
		m := reply(q, dnsmessage.RCodeSuccess, out...)
		if !known {
			m.RCode = dnsmessage.RCodeNameError
		}
		m.Authorities = append(m.Authorities, rr("example. 60 SOA 30"))
		return []*dnsmessage.Message{m}
	}
}

func silent(string, *dnsmessage.Message) []*dnsmessage.Message { return nil }

// says is a server that answers everything with an rcode.
func says(c dnsmessage.RCode) nameServer {
	return func(_ string, q *dnsmessage.Message) []*dnsmessage.Message {
		m := reply(q, c)
		m.Questions = nil
		return []*dnsmessage.Message{m}
	}
}
