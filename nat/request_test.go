package nat

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/guard"
	"gatehouse/lab/stun"
	"gatehouse/lab/stun/udpnet"
)

// vector is the worked example of nat.md 8; the key that TR-069 used for its
// own example is not published.
const vector = "GET http://10.1.1.1:8080?ts=1120673700&id=1234&un=CPE57689&cn=XTGRWIPC6D3IPXS3&sig=3949A09A7DCC801B076F79FC8E12ABEB2F9BD06E HTTP/1.1\r\n\r\n"

func verifies(pkt, name string, key Secret) bool {
	r, ok := parseRequest([]byte(pkt))
	if !ok {
		return false
	}
	var v verifier
	v.set(name, key)
	ours, signed := v.verify(r)
	return ours && signed
}

func TestRequestForms(t *testing.T) {
	knock := func(m stun.Manner, un, cn string) string {
		return string(stun.Knock{Manner: m, At: time.Unix(1700000000, 5e6), ID: 77, CN: cn, Username: un, Password: "k",
			To: netip.MustParseAddrPort("203.0.113.9:50007")}.Datagram())
	}
	edit := func(old, new string) string { return strings.Replace(vector, old, new, 1) }
	tests := map[string]struct {
		pkt, name string
		key       Secret
		want      bool
	}{
		"vector":           {vector, "CPE57689", "3F8E6C1A", true},
		"lower case":       {edit("3949A09A7DCC801B076F79FC8E12ABEB2F9BD06E", "3949a09a7dcc801b076f79fc8e12abeb2f9bd06e"), "CPE57689", "3F8E6C1A", true},
		"other method":     {edit("GET", "PUT"), "CPE57689", "3F8E6C1A", false},
		"https":            {edit("http:", "https:"), "CPE57689", "3F8E6C1A", true}, // what is signed is right
		"path":             {edit("8080?", "8080/?"), "CPE57689", "3F8E6C1A", true},
		"relative":         {edit("http://10.1.1.1:8080", ""), "CPE57689", "3F8E6C1A", true},
		"HTTP/1.0":         {edit("HTTP/1.1", "HTTP/1.0"), "CPE57689", "3F8E6C1A", true},
		"no version":       {edit(" HTTP/1.1", ""), "CPE57689", "3F8E6C1A", false},
		"another field":    {edit("ts=", "x=1&ts="), "CPE57689", "3F8E6C1A", true},
		"other order":      {edit("ts=1120673700&id=1234", "id=1234&ts=1120673700"), "CPE57689", "3F8E6C1A", true},
		"moved digit":      {edit("ts=1120673700&id=1234", "ts=11206737001&id=234"), "CPE57689", "3F8E6C1A", true}, // nothing between them in what is signed
		"no id":            {edit("id=1234&", ""), "CPE57689", "3F8E6C1A", false},
		"two ids":          {edit("id=1234", "id=1234&id=1234"), "CPE57689", "3F8E6C1A", false},
		"no ts":            {edit("1120673700", ""), "CPE57689", "3F8E6C1A", false},
		"negative ts":      {edit("1120673700", "-120673700"), "CPE57689", "3F8E6C1A", false},
		"long ts":          {edit("1120673700", strings.Repeat("1", 16)), "CPE57689", "3F8E6C1A", false},
		"short sig":        {edit("BD06E", "BD0"), "CPE57689", "3F8E6C1A", false},
		"sig not hex":      {edit("BD06E", "BD06X"), "CPE57689", "3F8E6C1A", false},
		"sig wrong":        {edit("BD06E", "BD06F"), "CPE57689", "3F8E6C1A", false},
		"wrong key":        {vector, "CPE57689", "3F8E6C1B", false},
		"no key":           {vector, "CPE57689", "", false},
		"other name":       {vector, "CPE57680", "3F8E6C1A", false},
		"genieacs":         {knock(stun.GenieACS, "cpe1", ""), "cpe1", "k", true},
		"freeacs":          {knock(stun.FreeACS, "cpe1", ""), "cpe1", "k", true},
		"standard":         {knock(stun.Standard, "cpe1", ""), "cpe1", "k", true},
		"relative, too":    {knock(stun.Relative, "cpe1", ""), "cpe1", "k", true},
		"escaped name":     {knock(stun.Standard, "a b+c%20&d=e?", "x y"), "a b+c%20&d=e?", "k", true},
		"name as it is":    {knock(stun.GenieACS, "a b+c%20d=e?", "x+y"), "a b+c%20d=e?", "k", true},
		"percents, plus":   {knock(stun.GenieACS, "a%zz+", "50%"), "a%zz+", "k", true},
		"cn as it is":      {knock(stun.GenieACS, "cpe1", "a%41+b"), "cpe1", "k", true},
		"longest name":     {knock(stun.Standard, strings.Repeat("ä", 128), ""), strings.Repeat("ä", 128), "k", true},
		"name too long":    {knock(stun.GenieACS, strings.Repeat("a", 769), ""), strings.Repeat("a", 769), "k", false},
		"empty":            {"", "", "k", false},
		"G":                {"G", "", "k", false},
		"no query":         {"GET / HTTP/1.1\r\n\r\n", "", "k", false},
		"query in a field": {"GET / HTTP/1.1\r\nX: ?ts=1 HTTP/1.1\r\n\r\n", "", "k", false},
	}
	for name, tt := range tests {
		if got := verifies(tt.pkt, tt.name, tt.key); got != tt.want {
			t.Errorf("%s: %v, want %v: %q", name, got, tt.want, tt.pkt)
		}
	}
}

// S002-23, S002-24: a UDP request leads to a session, in which everything else
// happens; copies and the same request through another door's guard do not.
func TestRequestStory(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.pass(time.Second)
		base := time.Now()
		for i, m := range []stun.Manner{stun.Standard, stun.GenieACS, stun.FreeACS, stun.Relative} {
			w.pass(10 * time.Second)
			w.knock(stun.Knock{Manner: m, ID: 9 - uint32(i)}, 3) // ids do not increase
			w.wantSessions(1)
		}
		// Two of one second, in milliseconds and in seconds.
		w.pass(10 * time.Second)
		w.knock(stun.Knock{Manner: stun.FreeACS, ID: 100}, 2)
		w.knock(stun.Knock{Manner: stun.GenieACS, ID: 3}, 2)
		w.wantSessions(2)
		w.knock(stun.Knock{Manner: stun.FreeACS, ID: 100}, 1)
		w.knock(stun.Knock{ID: 4, At: base}, 3) // old
		w.wantSessions(0)
		// Others' requests, as GenieACS sends with several credentials, and
		// forged ones: nothing moves.
		future := time.Now().Add(100 * time.Hour)
		w.knock(stun.Knock{ID: 5, At: future, Username: "other", Password: "s3cret"}, 3)
		w.knock(stun.Knock{ID: 6, At: future, Username: "cpe1", Password: "wrong"}, 3)
		w.wantSessions(0)
		w.pass(10 * time.Second)
		w.knock(stun.Knock{ID: 7}, 1)
		w.wantSessions(1)
		r := w.client.Status().Requests
		if r.Accepted != 7 || r.Stale != 3 || r.Forged != 6 || r.Copies != 11 || r.LastFrom != first || r.Last.IsZero() || r.LastRefused.IsZero() {
			t.Errorf("counted %+v", r)
		}
		if c := w.guard.Stats().Transports["udp"]; c.Accepted != 7 || c.Failed != 1 {
			t.Errorf("the guard counted %+v", c)
		}
	})
}

// No datagram is ever answered, but by what a session does.
func TestNeverAnAnswer(t *testing.T) {
	story(t, udpnet.FullCone, time.Minute, stun.Coturn(), func(w *world) {
		w.pass(time.Second)
		to := netip.MustParseAddrPort(w.client.Status().UDPConnectionRequestAddress)
		before := w.net.Sent()
		random := rand.New(rand.NewPCG(1, 2))
		datagrams := [][]byte{{}, {0}, {1}, {'G'}, []byte("GET "), []byte(vector), bytes.Repeat([]byte("G"), 65000), make([]byte, 20), make([]byte, 65000)}
		for range 500 {
			b := make([]byte, random.IntN(200))
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			datagrams = append(datagrams, b)
		}
		for _, d := range datagrams {
			w.net.Send(first, to, d)
			w.net.Send(third, to, d)
			w.pass(time.Microsecond)
		}
		if n := w.net.Sent() - before - 2*len(datagrams); n != 0 {
			t.Errorf("%d datagrams were sent in answer", n)
		}
		w.wantSessions(0)
		w.wantState(Bound)
	})
}

// The guard has the last word, and one that it refuses is not tried again by
// its copies.
func TestLimited(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.pass(time.Second)
		for id := range uint32(30) {
			w.knock(stun.Knock{ID: id}, 3)
		}
		w.wantSessions(10)
		r := w.client.Status().Requests
		if r.Accepted != 10 || r.Limited != 20 || r.Copies != 60 {
			t.Errorf("counted %+v", r)
		}
	})
}

// A reboot does not open the door to what was sniffed before it; flash is
// written once in ten minutes.
func TestReboot(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.pass(time.Second)
		old := time.Now()
		for id := range uint32(20) {
			w.knock(stun.Knock{ID: id}, 1)
			w.pass(15 * time.Second)
		}
		w.wantSessions(20)
		if w.state.Saves() != 1 {
			t.Errorf("%d writes within five minutes, want 1", w.state.Saves())
		}
		w.pass(10 * time.Minute)
		if w.state.Saves() != 2 {
			t.Errorf("%d writes within a quarter of an hour, want 2", w.state.Saves())
		}
		last := time.Now()
		w.knock(stun.Knock{ID: 50, At: last}, 1)
		w.reboot()
		if w.state.Saves() != 3 || strings.Contains(w.state.Text(), "s3cret") {
			t.Errorf("%d writes after a clean stop, want 3: %s", w.state.Saves(), w.state.Text())
		}
		w.wantSessions(1)
		w.knock(stun.Knock{ID: 50, At: last}, 3)
		w.knock(stun.Knock{ID: 3, At: old}, 3)
		w.wantSessions(0)
		w.pass(2 * time.Second)
		w.knock(stun.Knock{ID: 51}, 3)
		w.wantSessions(1)

		// Another password: nothing that was signed with it is old.
		w.set(func(s *Settings) { s.ConnectionRequestPassword = "new" })
		w.knock(stun.Knock{ID: 1, At: old, Username: "cpe1", Password: "new"}, 1)
		w.wantSessions(1)
		w.halt()
		w.state.Write("newest garbage\nkey\n\x00")
		w.state.Refuse(errTest)
		w.start()
		w.knock(stun.Knock{ID: 60, Username: "cpe1", Password: "new"}, 1)
		w.wantSessions(1)
	})
}

// The clock of the ACS went back by years: after a day of silence and a good
// session it is believed again, once; a replay of an hour ago is not.
func TestClockOfTheACSGoesBack(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.pass(time.Second)
		w.knock(stun.Knock{ID: 1, At: time.Now().Add(1e5 * time.Hour)}, 1)
		w.wantSessions(1)
		w.knock(stun.Knock{ID: 2}, 1)
		w.client.SessionSucceeded()
		w.pass(time.Second)
		w.knock(stun.Knock{ID: 2}, 1)
		w.wantSessions(0)
		w.pass(25 * time.Hour)
		w.knock(stun.Knock{ID: 3}, 1)
		w.wantSessions(0)
		w.client.SessionSucceeded()
		w.pass(time.Second)
		w.knock(stun.Knock{ID: 4, At: time.Now().Add(1e5*time.Hour - 26*time.Hour)}, 1)
		w.wantSessions(0)
		w.knock(stun.Knock{ID: 4}, 3)
		w.wantSessions(1)
		w.pass(time.Minute)
		w.knock(stun.Knock{ID: 5}, 3)
		w.wantSessions(1)
		w.knock(stun.Knock{ID: 4, At: time.Now().Add(-50 * time.Hour)}, 3)
		w.wantSessions(0)
	})
}

func TestReadings(t *testing.T) {
	tests := []struct {
		k    reading
		in   string
		out  string
		want bool
	}{
		{asItStands, "a+%41", "a+%41", true},
		{percents, "a+%41", "a+A", true},
		{form, "a+%41", "a A", true},
		{percents, "abc", "", false},
		{form, "%41", "", false}, // as percents
		{percents, "%4", "", false},
		{percents, "%", "", false},
		{percents, "%g0", "", false},
		{form, "+%0", "", false},
	}
	for _, tt := range tests {
		out, ok := tt.k.read(nil, []byte(tt.in))
		if ok != tt.want || ok && string(out) != tt.out {
			t.Errorf("%d %q: %q, %v", tt.k, tt.in, out, ok)
		}
	}
}

// forged is a request that is right but for its signature: the dearest to
// refuse.
func forged() []byte {
	return stun.Knock{At: time.Unix(1700000000, 0), ID: 1, Username: "cpe1", Password: "wrong", To: first}.Datagram()
}

// quietMachine is one that is listening, with a guard that is told of nothing.
func quietMachine() *machine {
	m := newMachine(func(int64) int64 { return 0 }, noLog())
	m.configure(Settings{Listen: true, ConnectionRequestUsername: "cpe1", ConnectionRequestPassword: "s3cret"}, time.Unix(1, 0))
	m.bind(netip.AddrPortFrom(home, 7547), time.Unix(1, 0))
	m.forgedTold = time.Unix(1, 0)
	return m
}

// What is refused costs no memory: 50,000 forged datagrams a second for ten
// seconds leave the heap as it was.
func TestForgedCostNoMemory(t *testing.T) {
	m := quietMachine()
	now := time.Unix(1, 1)
	for name, pkt := range map[string][]byte{
		"forged": forged(), "other user": bytes.Replace(forged(), []byte("cpe1"), []byte("cpe2"), 1), "garbage": []byte("GET / HTTP/1.1\r\n\r\n"),
		"STUN": append([]byte{1, 1, 0, 0}, make([]byte, 40)...), "SIP": []byte("OPTIONS sip:x SIP/2.0\r\n\r\n"),
	} {
		if n := testing.AllocsPerRun(1000, func() { m.Receive(primary, pkt, third, now) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	good := stun.Knock{At: time.Unix(1700000000, 0), ID: 1, Username: "cpe1", Password: "s3cret", To: first}.Datagram()
	m.Receive(primary, good, first, now)
	if n := testing.AllocsPerRun(1000, func() { m.Receive(primary, good, first, now) }); n != 0 {
		t.Errorf("a copy: %v allocations", n)
	}
}

// Budget: 3 µs.
func BenchmarkForged(b *testing.B) {
	m, pkt, now := quietMachine(), forged(), time.Unix(1, 1)
	b.ReportAllocs()
	for b.Loop() {
		m.Receive(primary, pkt, third, now)
	}
}

// From the datagram to the guard's word that there is to be a session.
func BenchmarkAccepted(b *testing.B) {
	g := guard.New(guard.Config{Total: guard.Rate{N: 1 << 30, Per: time.Second}, PerSource: guard.Rate{N: 1 << 30, Per: time.Second}, Accept: func(string) {}})
	c, err := New(Config{Settings: func() Settings { return Settings{} }, Local: func() netip.Addr { return home }, Resolver: &world{}, Guard: g})
	if err != nil {
		b.Fatal(err)
	}
	c.m = quietMachine()
	ts := int64(1700000000)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		ts++
		pkt := stun.Knock{At: time.Unix(ts, 0), ID: 1, Username: "cpe1", Password: "s3cret", To: first}.Datagram()
		b.StartTimer()
		c.m.Receive(primary, pkt, first, time.Now())
		c.carryOut(context.Background(), time.Now())
	}
}

// Whatever arrives: no panic, no answer, and no move unless it is signed.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(vector))
	f.Add(forged())
	f.Add([]byte("GET ?ts=1&id=%zz&un=+&cn=%41&sig=" + strings.Repeat("0", 40) + " HTTP/1.1"))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		m := quietMachine()
		m.Receive(primary, pkt, third, time.Unix(1, 1))
		if m.todo.admit || len(m.todo.send) > 0 || m.mark.newest != 0 {
			t.Errorf("%q moves something", pkt)
		}
		if r, ok := parseRequest(pkt); ok {
			_ = fmt.Sprint(r.seconds())
			if r.seconds() < 0 {
				t.Errorf("%q: before 1970", pkt)
			}
		}
	})
}
