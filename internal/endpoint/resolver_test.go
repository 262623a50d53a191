package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// texts prints addresses.
func texts(addrs []netip.Addr) string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return strings.Join(out, " ")
}

func one(m *dnsmessage.Message) []*dnsmessage.Message { return []*dnsmessage.Message{m} }

// TestLookup: what is an address, what is "no such name" and what is "no
// answer".
func TestLookup(t *testing.T) {
	acs := zone("acs.example. 60 A 198.51.100.1", "acs.example. 300 A 198.51.100.2", "acs.example. 90 AAAA 2001:db8::1",
		"www.example. 20 CNAME alias.example.", "alias.example. 50 CNAME acs.example.", "only4.example. 60 A 198.51.100.4", "text.example. 60 CNAME void.example.")
	loop := zone("a.example. 60 CNAME b.example.", "b.example. 60 CNAME a.example.")
	referral := func(_ string, q *dnsmessage.Message) []*dnsmessage.Message {
		m := reply(q, dnsmessage.RCodeSuccess)
		m.Authorities = append(m.Authorities, rr("example. 60 NS ns.example."))
		return one(m)
	}
	noData := func(_ string, q *dnsmessage.Message) []*dnsmessage.Message {
		return one(reply(q, dnsmessage.RCodeSuccess))
	}
	tests := map[string]struct {
		servers []nameServer
		host    string
		want    string
		ttl     time.Duration
		no      bool   // ErrNoSuchName
		why     string // in a NoAnswerError
	}{
		"both families":               {[]nameServer{acs}, "ACS.example", "2001:db8::1 198.51.100.1 198.51.100.2", time.Minute, false, ""},
		"one family":                  {[]nameServer{acs}, "only4.example.", "198.51.100.4", time.Minute, false, ""},
		"aliases":                     {[]nameServer{acs}, "www.example", "2001:db8::1 198.51.100.1 198.51.100.2", 20 * time.Second, false, ""},
		"no such name":                {[]nameServer{acs, silent}, "nobody.example", "", 0, true, "NXDOMAIN"},
		"alias to nothing":            {[]nameServer{acs}, "text.example", "", 0, true, "no such name"},
		"no data without soa":         {[]nameServer{noData}, "acs.example", "", 0, true, "has no A"},
		"refused, then an answer":     {[]nameServer{says(dnsmessage.RCodeRefused), acs}, "only4.example", "198.51.100.4", time.Minute, false, ""},
		"referral, then an answer":    {[]nameServer{referral, acs}, "only4.example", "198.51.100.4", time.Minute, false, ""},
		"referral":                    {[]nameServer{referral}, "acs.example", "", 0, false, "192.0.2.1:53: referral"},
		"servfail":                    {[]nameServer{says(dnsmessage.RCodeServerFailure)}, "acs.example", "", 0, false, "192.0.2.1:53: SERVFAIL"},
		"refused and silent":          {[]nameServer{says(dnsmessage.RCodeRefused), silent}, "acs.example", "", 0, false, "192.0.2.1:53: REFUSED; 192.0.2.2:53: timeout"},
		"nobody listens":              {[]nameServer{nil}, "acs.example", "", 0, false, "connection refused"},
		"loop":                        {[]nameServer{loop}, "a.example", "", 0, false, "CNAME loop"},
		"literal":                     {nil, "192.0.2.9", "192.0.2.9", 0, false, ""},
		"literal in brackets":         {nil, "[2001:db8::9]", "2001:db8::9", 0, false, ""},
		"localhost needs no server":   {nil, "localhost", "127.0.0.1 ::1", 0, false, ""},
		"silent first, good next one": {[]nameServer{silent, acs}, "only4.example", "198.51.100.4", time.Minute, false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := resolver(t, tt.servers...)
				got, err := r.Lookup(t.Context(), tt.host)
				var none *NoAnswerError
				switch {
				case tt.want != "":
					if err != nil || texts(got.Addrs) != tt.want || got.TTL != tt.ttl || got.Expires.IsZero() != (tt.ttl == 0) {
						t.Errorf("%s, TTL %v, expires %v, %v; want %s, %v", texts(got.Addrs), got.TTL, got.Expires, err, tt.want, tt.ttl)
					}
				case tt.no != errors.Is(err, ErrNoSuchName), tt.no == errors.As(err, &none), !strings.Contains(err.Error(), tt.why):
					t.Errorf("error %v; want no such name: %v, with %q", err, tt.no, tt.why)
				}
			})
		})
	}
}

// TestCache honours TTLs, also of what is not there.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := resolver(t, zone("acs.example. 60 A 198.51.100.1", "acs.example. 60 AAAA 2001:db8::1", "zero.example. 0 A 198.51.100.1", "zero.example. 0 AAAA ::2"))
		step := func(host string, questions int, ttl time.Duration) {
			t.Helper()
			got, err := r.Lookup(t.Context(), host)
			if n := len(w.questions()); n != questions {
				t.Errorf("%s: %d questions, want %d", host, n, questions)
			}
			if (err == nil) != (ttl >= 0) || err == nil && got.TTL != ttl {
				t.Errorf("%s: TTL %v, %v; want %v", host, got.TTL, err, ttl)
			}
		}
		step("acs.example", 2, time.Minute)
		time.Sleep(20 * time.Second)
		step("ACS.EXAMPLE.", 0, 40*time.Second)
		time.Sleep(40 * time.Second)
		step("acs.example", 2, time.Minute)
		r.Flush()
		step("acs.example", 2, time.Minute)
		step("zero.example", 2, 0)
		step("zero.example", 2, 0)
		step("nobody.example", 2, -1)
		step("nobody.example", 0, -1)
		time.Sleep(30 * time.Second) // the SOA's minimum, below its TTL
		step("nobody.example", 2, -1)
	})
}

func TestCacheIsBounded(t *testing.T) {
	var c cache
	now := time.Now()
	for i := range 10 * maxCached {
		c.put(cacheKey{fmt.Sprint(i), dnsmessage.TypeA}, &answer{ttl: time.Duration(i+1) * time.Second}, now)
	}
	if len(c.rows) != maxCached || c.get(cacheKey{fmt.Sprint(10*maxCached - 1), dnsmessage.TypeA}, now) == nil {
		t.Errorf("%d answers kept, want %d with the last", len(c.rows), maxCached)
	}
}

// TestSilentFamily: a server that never answers AAAA holds nobody up.
func TestSilentFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := resolver(t, func(n string, q *dnsmessage.Message) []*dnsmessage.Message {
			if q.Questions[0].Type == dnsmessage.TypeAAAA {
				return nil
			}
			return zone("acs.example. 3600 A 198.51.100.1")(n, q)
		})
		start := time.Now()
		got, err := r.Lookup(t.Context(), "acs.example")
		if err != nil || texts(got.Addrs) != "198.51.100.1" || got.TTL != partialTTL || time.Since(start) != grace {
			t.Errorf("%v, %v after %v", got, err, time.Since(start))
		}
	})
}

// TestPatience: each server is asked twice, three seconds each; the one that
// answered last is asked first from then on; a caller may give up before.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := resolver(t, silent, zone("acs.example. 0 A 198.51.100.1", "acs.example. 0 AAAA ::1"))
		for i, want := range []time.Duration{defaultTimeout, 0} {
			start := time.Now()
			if _, err := r.Lookup(t.Context(), "acs.example"); err != nil || time.Since(start) != want {
				t.Errorf("lookup %d: %v after %v, want %v", i, err, time.Since(start), want)
			}
		}
		w.questions()
		w.servers["192.0.2.2:53"] = silent
		start := time.Now()
		_, err := r.Lookup(t.Context(), "acs.example")
		if n := len(w.questions()); err == nil || n != 8 || time.Since(start) != 4*defaultTimeout {
			t.Errorf("%v after %v and %d questions", err, time.Since(start), n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = r.Lookup(ctx, "acs.example"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNoSuchName) {
			t.Errorf("given up: %v", err)
		}
	})
}

// TestForeignAnswers: wrong id, wrong question, queries and rubbish are ignored.
func TestForeignAnswers(t *testing.T) {
	forge := func(q *dnsmessage.Message, edit func(*dnsmessage.Message)) *dnsmessage.Message {
		m := reply(q, dnsmessage.RCodeSuccess, rr("acs.example. 60 A 203.0.113.66"))
		m.Questions = slices.Clone(q.Questions)
		edit(m)
		return m
	}
	attacker := func(q *dnsmessage.Message) []*dnsmessage.Message {
		return []*dnsmessage.Message{
			forge(q, func(m *dnsmessage.Message) { m.ID++ }),
			forge(q, func(m *dnsmessage.Message) { m.Response = false }),
			forge(q, func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("x.example.") }),
			forge(q, func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeTXT }),
			forge(q, func(m *dnsmessage.Message) { m.Questions = nil }),
			forge(q, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }),
		}
	}
	synctest.Test(t, func(t *testing.T) {
		good := zone("acs.example. 60 A 198.51.100.1", "x.example. 60 A 203.0.113.66")
		r, w := resolver(t, func(n string, q *dnsmessage.Message) []*dnsmessage.Message { return append(attacker(q), good(n, q)...) })
		if got, err := r.Lookup(t.Context(), "acs.example"); err != nil || texts(got.Addrs) != "198.51.100.1" {
			t.Errorf("%v, %v", got, err)
		}
		// A record of another name in the right answer is not ours either.
		w.servers["192.0.2.1:53"] = func(_ string, q *dnsmessage.Message) []*dnsmessage.Message {
			return one(reply(q, dnsmessage.RCodeSuccess, rr("bank.example. 60 A 203.0.113.66")))
		}
		if got, err := r.Lookup(t.Context(), "new.example"); !errors.Is(err, ErrNoSuchName) {
			t.Errorf("foreign record: %v, %v", got, err)
		}
		// A flood ends the attempt, not the agent.
		w.servers["192.0.2.1:53"] = func(_ string, q *dnsmessage.Message) []*dnsmessage.Message {
			var out []*dnsmessage.Message
			for range 20 {
				out = append(out, attacker(q)...)
			}
			return out
		}
		if _, err := r.Lookup(t.Context(), "flood.example"); err == nil || !strings.Contains(err.Error(), "flooded") {
			t.Errorf("flood: %v", err)
		}
	})
}

// TestTruncated answers are asked for again over TCP.
func TestTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := zone("acs.example. 60 A 198.51.100.1")
		r, w := resolver(t, func(network string, q *dnsmessage.Message) []*dnsmessage.Message {
			if network == "tcp" {
				return good(network, q)
			}
			m := reply(q, dnsmessage.RCodeSuccess)
			m.Truncated = true
			return one(m)
		})
		if got, err := r.Lookup(t.Context(), "acs.example"); err != nil || texts(got.Addrs) != "198.51.100.1" {
			t.Errorf("%v, %v", got, err)
		}
		asked := w.questions()
		slices.Sort(asked)
		if len(asked) != 4 || asked[0] != "192.0.2.1:53/tcp A acs.example." {
			t.Errorf("asked %q", asked)
		}
		w.servers["192.0.2.1:53"] = func(network string, q *dnsmessage.Message) []*dnsmessage.Message {
			m := reply(q, dnsmessage.RCodeSuccess)
			m.Truncated = network == "udp"
			for i := range 2000 {
				m.Answers = append(m.Answers, rr(fmt.Sprintf("acs%d.example. 60 A 198.51.100.1", i)))
			}
			if m.Truncated {
				m.Answers = nil
			}
			return one(m)
		}
		if _, err := r.Lookup(t.Context(), "long.example"); err == nil || !strings.Contains(err.Error(), "too long") {
			t.Errorf("64 KiB answer: %v", err)
		}
	})
}

// TestChase: an alias that the server did not follow is followed, not for ever.
func TestChase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lazy := func(_ string, q *dnsmessage.Message) []*dnsmessage.Message {
			name := q.Questions[0].Name.String()
			if name == "c.example." {
				return zone("c.example. 60 A 198.51.100.3", "c.example. 60 AAAA ::3")("udp", q)
			}
			next := map[string]string{"a.example.": "b.example.", "b.example.": "c.example.", "x.example.": "y.example.", "y.example.": "x.example."}[name]
			return one(reply(q, dnsmessage.RCodeSuccess, rr(name+" 10 CNAME "+next)))
		}
		r, w := resolver(t, lazy)
		if got, err := r.Lookup(t.Context(), "a.example"); err != nil || texts(got.Addrs) != "::3 198.51.100.3" || got.TTL != 10*time.Second {
			t.Errorf("%v, %v", got, err)
		}
		w.questions()
		_, err := r.Lookup(t.Context(), "x.example")
		if n := len(w.questions()); err == nil || errors.Is(err, ErrNoSuchName) || n > 2*maxChain {
			t.Errorf("loop: %v after %d questions", err, n)
		}
	})
}

func TestSearchList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := resolver(t, zone("acs.lan. 60 A 192.168.1.2", "acs.lan. 60 AAAA ::2", "top. 60 A 198.51.100.9"))
		if err := os.WriteFile(r.Config, []byte("nameserver 192.0.2.1\nsearch corp.example lan\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]string{"acs": "::2 192.168.1.2", "top": "198.51.100.9", "acs.": ""} {
			got, err := r.Lookup(t.Context(), host)
			if texts(got.Addrs) != want || (want == "") != errors.Is(err, ErrNoSuchName) {
				t.Errorf("%s: %v, %v; want %s", host, got, err, want)
			}
		}
	})
}

func TestHostsFileGoesFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("192.0.2.77 acs.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &Resolver{Hosts: path, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("asked") }}
	if got, err := r.Lookup(t.Context(), "ACS.example"); err != nil || texts(got.Addrs) != "192.0.2.77" || !got.Expires.IsZero() {
		t.Errorf("%v, %v", got, err)
	}
	r.Servers = func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("203.0.113.5:53")} }
	if _, err := r.Lookup(t.Context(), "other.example"); err == nil || !strings.Contains(err.Error(), "203.0.113.5:53: asked") {
		t.Errorf("the given server was not asked: %v", err)
	}
	if _, err := r.Lookup(t.Context(), "not a name"); !errors.Is(err, ErrBadName) {
		t.Errorf("bad name: %v", err)
	}
}

func TestSRV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := resolver(t, zone(
			"_x._tcp.xmpp.example. 60 SRV 20 0 5224 xmpp3.example.", "_x._tcp.xmpp.example. 90 SRV 10 60 5222 XMPP1.example.",
			"_x._tcp.none.example. 60 SRV 0 0 0 .", "_x._tcp.bad.example. 60 SRV 0 0 1 ."))
		r.Rand = func(int) int { return 0 }
		got, ttl, err := r.SRV(t.Context(), "x", "tcp", "xmpp.example")
		want := []SRV{{"xmpp1.example", 5222, 10, 60}, {"xmpp3.example", 5224, 20, 0}}
		if err != nil || ttl != time.Minute || !slices.Equal(got, want) {
			t.Errorf("%v, %v, %v", got, ttl, err)
		}
		if _, _, err = r.SRV(t.Context(), "x", "tcp", "none.example"); !errors.Is(err, ErrNoService) || errors.Is(err, ErrNoSuchName) {
			t.Errorf("target '.': %v", err)
		}
		if _, _, err = r.SRV(t.Context(), "y", "tcp", "xmpp.example"); !errors.Is(err, ErrNoSuchName) {
			t.Errorf("no such service: %v", err)
		}
		if _, _, err = r.SRV(t.Context(), "x", "tcp", "a b"); !errors.Is(err, ErrBadName) {
			t.Errorf("bad name: %v", err)
		}
	})
}

// TestOrderSRV: priorities in order, weights as chances.
func TestOrderSRV(t *testing.T) {
	in := []SRV{{"c", 1, 20, 0}, {"b", 1, 10, 40}, {"a", 1, 10, 60}, {"z", 1, 10, 0}}
	random := uint64(1)
	pick := func(n int) int { // a fixed sequence, good enough to count chances
		random = random*6364136223846793005 + 1442695040888963407
		return int(random >> 33 % uint64(n))
	}
	first := map[string]int{}
	for range 10000 {
		out := orderSRV(in, pick)
		first[out[0].Target]++
		if out[3].Target != "c" {
			t.Fatalf("priority 20 at the wrong place: %v", out)
		}
		seen := map[string]bool{}
		for _, s := range out {
			seen[s.Target] = true
		}
		if len(seen) != 4 {
			t.Fatalf("lost a record: %v", out)
		}
	}
	if first["a"] < 5500 || first["a"] > 6500 || first["b"] < 3500 || first["b"] > 4500 || first["z"] < 30 || first["z"] > 300 {
		t.Errorf("first of 10000: %v", first)
	}
	equal := map[string]int{}
	for range 3000 {
		equal[orderSRV([]SRV{{"a", 1, 1, 5}, {"b", 1, 1, 5}, {"c", 1, 1, 5}}, pick)[0].Target]++
	}
	for target, n := range equal {
		if n < 850 || n > 1150 {
			t.Errorf("%s is first %d times of 3000", target, n)
		}
	}
	if got := orderSRV(nil, pick); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func FuzzParseAnswer(f *testing.F) {
	q := &dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("acs.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	for _, m := range []*dnsmessage.Message{
		reply(q, dnsmessage.RCodeSuccess, rr("acs.example. 60 CNAME a.example."), rr("a.example. 60 A 198.51.100.1")),
		zone()("udp", q)[0],
		reply(q, dnsmessage.RCodeRefused),
	} {
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, want := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeSRV} {
			a, err := parseAnswer(msg, 7, "acs.example", want)
			if (a == nil) == (err == nil) {
				t.Fatalf("answer %v with error %v", a, err)
			}
			if a != nil && (a.ttl < 0 || a.ttl > maxTTL || len(a.addrs) > maxAddrs || !a.exists && a.next != "") {
				t.Fatalf("answer %+v", a)
			}
		}
	})
}
