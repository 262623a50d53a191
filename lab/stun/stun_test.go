package stun

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/rooms"
	"gatehouse/lab/stun/udpnet"
)

const (
	classicID = "000102030405060708090a0b0c0d0e0f"
	modernID  = "2112a4420405060708090a0b0c0d0e0f"
	binding   = "c001001464736c666f72756d2e6f72672f54522d31313120"
)

var client = netip.MustParseAddrPort("203.0.113.9:4660")

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What the servers of the field do with the same questions (interop.md).
func TestQuirks(t *testing.T) {
	plain, modern := "00010000"+classicID, "00010000"+modernID
	bound := "00010018" + classicID + binding
	odd := "0001000c" + classicID + "0006000561626364" + "65000000"
	response := "0001000c" + classicID + "00020008000122b8cb007163"
	unknown := "00010004" + classicID + "00550000"
	tests := []struct {
		name  string
		knobs Knobs
		ask   string
		want  string // contained in the answer; "": no answer
		to    string
	}{
		{"coturn, plain", Coturn(), plain, "0001000800011234cb007109", "203.0.113.9:4660"},
		{"coturn, modern", Coturn(), modern, "0020000800013326ea12d54b", "203.0.113.9:4660"},
		{"coturn, odd length", Coturn(), odd, "00010008", "203.0.113.9:4660"},
		{"coturn, RESPONSE-ADDRESS", Coturn(), response, "000b0008", "203.0.113.9:4660"},
		{"stund, plain", Stund(), plain, "0020000800011235cb01730a", "203.0.113.9:4660"},
		{"stund, odd length", Stund(), odd, "", ""},
		{"stund, RESPONSE-ADDRESS", Stund(), response, "00010008", "203.0.113.99:8888"},
		{"stund, unknown", Stund(), unknown, "", ""},
		{"freeacs, plain", Freeacs(), plain, "", ""},
		{"freeacs, bound", Freeacs(), bound, "00010008", "203.0.113.9:4660"},
		{"modern only", Knobs{ModernOnly: true}, plain, "", ""},
		{"silent", Knobs{Silent: true}, modern, "", ""},
		{"challenge", Knobs{Challenge: true}, bound, "00090010" + "00000401" + hex.EncodeToString([]byte("Unauthorized")), "203.0.113.9:4660"},
		{"jstun", Knobs{Unpadded: true}, plain, "802200056a7374756e0001000800011234cb007109", "203.0.113.9:4660"},
	}
	for _, tt := range tests {
		s := New(tt.knobs)
		s.at = netip.MustParseAddrPort("198.51.100.1:3478")
		answer, to := s.take(unhex(t, tt.ask), client)
		want := unhex(t, strings.ReplaceAll(tt.want, " ", ""))
		if (answer == nil) != (tt.want == "") || !bytes.Contains(answer, want) || answer != nil && to.String() != tt.to {
			t.Errorf("%s: %x to %v", tt.name, answer, to)
		}
	}
}

// Each violation that a client can commit is told.
func TestViolations(t *testing.T) {
	for ask, want := range map[string]string{
		"00010018" + classicID + strings.Replace(binding, "3120", "3121", 1): "CONNECTION-REQUEST-BINDING says",
		"00010004" + classicID + "c0020000":                                  "BINDING-CHANGE without",
		"00010018" + classicID + "00080014" + strings.Repeat("00", 20):       "without USERNAME",
		"00010001" + classicID:                                               "length in the header",
		"00010006" + classicID + "000600026162":                              "not a multiple of 4",
		"00010004" + classicID + "0006ffff":                                  "longer than the message",
		"00010024" + classicID + binding + "00020008000122b8cb007163":        "in a probe",
	} {
		r, ok := parse(unhex(t, ask), client, "x")
		if !ok || !strings.Contains(strings.Join(r.Violations, "; "), want) {
			t.Errorf("%s: %q, want %q", ask, r.Violations, want)
		}
	}
}

// The bench's server in a bubble, and a connection request from its port.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := udpnet.New()
		at := netip.MustParseAddrPort("198.51.100.1:3478")
		conn, err := n.Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		s := New(Knobs{})
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(ctx, conn) })
		c, err := n.Listen(client)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.WriteToUDPAddrPort(unhex(t, "00010018"+classicID+binding), at); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 2048)
		if _, from, err := c.ReadFromUDPAddrPort(buf); err != nil || from != at {
			t.Error(from, err)
		}
		if got := s.Binding(""); got != client || len(s.Seen()) != 1 {
			t.Error(got)
		}
		pkt := Knock{At: time.Unix(1, 0), Username: "u", Password: "p", To: client}.Datagram()
		if err := s.Send(client, pkt); err != nil {
			t.Fatal(err)
		}
		if size, from, err := c.ReadFromUDPAddrPort(buf); err != nil || from != at || !bytes.Equal(buf[:size], pkt) {
			t.Errorf("%s from %v, %v", buf[:size], from, err)
		}
		stop()
		wg.Wait()
	})
}

// Debian's STUN clients understand the bench's server.
func TestPeerClients(t *testing.T) {
	for _, line := range []string{"turnutils_stunclient -p %s 127.0.0.1", "stun 127.0.0.1:%s 1 -v"} {
		tool, _, _ := strings.Cut(line, " ")
		rooms.Need(t, tool)
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		s := New(Knobs{})
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(ctx, conn) })
		_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		words := strings.Fields(strings.Replace(line, "%s", port, 1))
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)                      // turnutils goes on to tests of its own
		out, _ := exec.CommandContext(limited, words[0], words[1:]...).CombinedOutput() // stun's status is the type of the NAT
		cancel()
		stop()
		wg.Wait()
		if len(s.Seen()) == 0 || !bytes.Contains(out, []byte("127.0.0.1:")) {
			t.Errorf("%s: %s", line, out)
		}
	}
}

// Whatever arrives, the server lives.
func FuzzTake(f *testing.F) {
	f.Add(unhex(f, "00010018"+classicID+binding))
	f.Add(unhex(f, "0001000c"+classicID+"00020008000122b8cb007163"))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		for _, k := range []Knobs{Coturn(), Stund(), Freeacs(), {Challenge: true, Unpadded: true}} {
			s := New(k)
			s.at = client
			if answer, to := s.take(bytes.Clone(pkt), client); answer != nil && !to.IsValid() {
				t.Errorf("answer to nobody: %x", answer)
			}
		}
	})
}
