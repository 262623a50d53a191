package nat

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The minimal request of nat.md 2, to the byte.
func TestEncode(t *testing.T) {
	id := transactionID(unhex(t, "000102030405060708090a0b0c0d0e0f"))
	modern := transactionID(unhex(t, "2112a4420405060708090a0b0c0d0e0f"))
	crb := "c0010014 64736c666f72756d2e6f72672f54522d31313120"
	tests := map[string]struct {
		ask  ask
		want string
	}{
		"minimal": {ask{id: id, binding: true}, "0001 0018 000102030405060708090a0b0c0d0e0f" + crb},
		"change":  {ask{id: id, binding: true, change: true}, "0001 001c 000102030405060708090a0b0c0d0e0f" + crb + "c0020000"},
		"probe": {ask{id: id, changeRequest: true, response: netip.MustParseAddrPort("203.0.113.9:4660")},
			"0001 0014 000102030405060708090a0b0c0d0e0f 00020008 00011234cb007109 00030004 00000000"},
		"name, blanks":    {ask{id: id, username: "cpe12"}, "0001 000c 000102030405060708090a0b0c0d0e0f 00060008 6370653132202020"},
		"name, zeros":     {ask{id: id, username: "cpe12", zeroPad: true}, "0001 000c 000102030405060708090a0b0c0d0e0f 00060008 6370653132000000"},
		"name, RFC 5389":  {ask{id: modern, username: "cpe12"}, "0001 000c 2112a4420405060708090a0b0c0d0e0f 00060005 6370653132000000"},
		"rfc3489":         {ask{id: id, binding: true, username: "cpe1", key: "s3cret", sign: rfc3489}, "0001 0038 000102030405060708090a0b0c0d0e0f" + crb + "00060004 63706531 00080014 c1da9ad5284c0ffc8662dbf042c4b4badb7de018"},
		"variant":         {ask{id: id, binding: true, username: "cpe1", key: "s3cret", sign: variant}, "0001 0038 000102030405060708090a0b0c0d0e0f" + crb + "00060004 63706531 00080014 9326fde8e31b3a2d6371a57cd980cf66cc78568f"},
		"rfc5389 flavour": {ask{id: id, binding: true, username: "cpe1", key: "s3cret", sign: rfc5389}, "0001 0038 000102030405060708090a0b0c0d0e0f" + crb + "00060004 63706531 00080014 0c6690bfa8aa0a243f8ce7c0e54d0d97fb2485de"},
	}
	for name, tt := range tests {
		if got := tt.ask.encode(); !bytes.Equal(got, unhex(t, tt.want)) {
			t.Errorf("%s:\n got %x\nwant %s", name, got, strings.ReplaceAll(tt.want, " ", ""))
		}
	}
}

// The responses of RFC 5769 2.2: XOR-MAPPED-ADDRESS and short-term integrity,
// with SOFTWARE padded by a blank and FINGERPRINT after MESSAGE-INTEGRITY.
func TestRFC5769(t *testing.T) {
	pkt := unhex(t, `0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
		00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96`)
	a, err := decode(pkt, transactionID(pkt[4:20]), "VOkJxbRl1RmTxUk/WvJxBt")
	if err != nil || a.mapped != netip.MustParseAddrPort("192.0.2.1:32853") || !a.signed || !a.verified {
		t.Errorf("%+v, %v", a, err)
	}
	if a, _ = decode(pkt, transactionID(pkt[4:20]), "another"); a.verified {
		t.Error("verified with another password")
	}
}

// Answers that lie about lengths, families and themselves.
func TestDecode(t *testing.T) {
	const id, magic = "000102030405060708090a0b0c0d0e0f", "2112a442050607080808090a0b0c0d0e"
	tests := map[string]struct {
		pkt, id string
		mapped  string
		code    int
		fails   bool
	}{
		"mapped":                      {"0101000c" + id + "0001000800011234cb007109", id, "203.0.113.9:4660", 0, false},
		"more after its end":          {"0101000c" + id + "0001000800011234cb007109ffffff", id, "203.0.113.9:4660", 0, false},
		"unpadded before it":          {"01010015" + id + "80220005" + "6a7374756e" + "0001000800011234cb007109", id, "203.0.113.9:4660", 0, false},
		"xor to a classic id":         {"0101000c" + id + "0020000800011335cb017009", id, "", 0, true},
		"xor before mapped":           {"01010018" + magic + "0001000800011234cb007109" + "00200008000133 26ea12d54a", magic, "203.0.113.8:4660", 0, false},
		"0x8020":                      {"0101000c" + magic + "8020000800013326ea12d54a", magic, "203.0.113.8:4660", 0, false},
		"IPv6":                        {"01010018" + id + "00010014000212340000000000000000000000000000000f", id, "", 0, true},
		"short address":               {"01010008" + id + "0001000400011234", id, "", 0, true},
		"another id":                  {"0101000c" + id + "0001000800011234cb007109", magic, "", 0, true},
		"a request":                   {"0001000c" + id + "0001000800011234cb007109", id, "", 0, true},
		"header longer than it is":    {"010100ff" + id + "0001000800011234cb007109", id, "", 0, true},
		"attribute longer than it is": {"0101000c" + id + "0001ffff00011234cb007109", id, "", 0, true},
		"half an attribute":           {"01010002" + id + "0001", id, "", 0, true},
		"nothing":                     {"01010000" + id, id, "", 0, true},
		"cut":                         {"0101", id, "", 0, true},
		"empty":                       {"", id, "", 0, true},
		"401":                         {"01110008" + id + "0009000400000401", id, "", 401, false},
		"an error without a code":     {"01110000" + id, id, "", 0, true},
	}
	for name, tt := range tests {
		a, err := decode(unhex(t, tt.pkt), transactionID(unhex(t, tt.id)), "x")
		mapped := ""
		if a.mapped.IsValid() {
			mapped = a.mapped.String()
		}
		if (err != nil) != tt.fails || mapped != tt.mapped || a.code != tt.code {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestNewID(t *testing.T) {
	seen := map[transactionID]bool{}
	for range 1000 {
		a, b := newID(false), newID(true)
		if a.cookie() || !b.cookie() || seen[a] || seen[b] {
			t.Fatalf("ids %x, %x", a, b)
		}
		seen[a], seen[b] = true, true
	}
}

func TestBelievable(t *testing.T) {
	local, loop, link := netip.MustParseAddrPort("10.0.0.1:7547"), netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("169.254.0.1:1")
	tests := []struct {
		mapped string
		local  netip.AddrPort
		want   bool
	}{
		{"203.0.113.9:1", local, true}, {"10.1.1.1:1", local, true}, {"100.64.0.1:1", local, true}, {"10.0.0.1:7547", local, true},
		{"127.0.0.1:1", local, false}, {"127.0.0.1:2", loop, true}, {"169.254.0.9:1", local, false}, {"169.254.0.9:1", link, true},
		{"224.0.0.1:1", local, false}, {"239.1.1.1:1", local, false}, {"255.255.255.255:1", local, false}, {"250.1.1.1:1", local, false},
		{"0.0.0.0:1", local, false}, {"0.1.2.3:1", local, false}, {"203.0.113.9:0", local, false}, {"[2001:db8::1]:1", local, false},
	}
	for _, tt := range tests {
		if got := believable(netip.MustParseAddrPort(tt.mapped), tt.local); got != tt.want {
			t.Errorf("%s from %s: %v", tt.mapped, tt.local, got)
		}
	}
}

func TestHostPort(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:7547": "192.0.2.1:7547", "192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "[2001:db8::1]", "[2001:db8::1]:7547": "[2001:db8::1]:7547",
	} {
		if got := hostPort(netip.MustParseAddrPort(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// Secrets print as stars wherever they stand.
func TestSecrets(t *testing.T) {
	s := Settings{STUNPassword: "hidden1", ConnectionRequestPassword: "hidden2"}
	for _, f := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(f, s); strings.Contains(got, "hidden") {
			t.Errorf("%s: %s", f, got)
		}
	}
}

// An answer may be anything: no panic, no reading past its end, and no address
// that cannot be.
func FuzzAnswer(f *testing.F) {
	id := transactionID(unhex(f, "000102030405060708090a0b0c0d0e0f"))
	for _, s := range []string{
		"0101000c000102030405060708090a0b0c0d0e0f0001000800011234cb007109",
		"01110008000102030405060708090a0b0c0d0e0f0009000400000401",
		"01010015000102030405060708090a0b0c0d0e0f802200056a7374756e0001000800011234cb007109",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, pkt []byte) {
		for _, withCookie := range []bool{false, true} {
			b := bytes.Clone(pkt)
			at := id
			if withCookie {
				binary.BigEndian.PutUint32(at[:], cookie)
			}
			if len(b) >= headerLen {
				copy(b[4:], at[:])
			}
			before := bytes.Clone(b)
			a, err := decode(b, at, "x")
			if !bytes.Equal(b, before) {
				t.Fatal("the datagram was changed")
			}
			if err == nil && a.code == 0 && !a.mapped.Addr().Is4() || a.verified && !a.signed || len(a.reason) > 64 {
				t.Errorf("%x: %+v", pkt, a)
			}
		}
	})
}
