package uciconf

import (
	"bytes"
	"strings"
	"testing"

	"gatehouse/platform"
)

// TestOptionText: dnsmasq insists on addresses for some options and sends the text
// of others as it stands; bytes in a wrong form keep it from starting.
func TestOptionText(t *testing.T) {
	for _, c := range []struct {
		tag   uint8
		value string
		want  string // "" refused
	}{
		{43, "acs", "61:63:73"},
		{43, "\x00\n,#\"", "00:0a:2c:23:22"},
		{43, "\x07", "7b"},
		{46, "\x08", "8b"},
		{121, "\x18\xc0\x00\x02", "18:c0:00:02"},
		{42, "\xc0\x00\x02\x01\xc0\x00\x02\x02", "192.0.2.1,192.0.2.2"},
		{42, "abc", ""},
		{42, strings.Repeat("\xff", 252), ""},
		{150, "\xc0\x00\x02\x01", "192.0.2.1"},
		{66, "tftp.example", "tftp.example"},
		{100, "CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3"},
		{66, "61:62", "61:62"},
		{66, "a b", ""},
		{67, "a\nb", ""},
		{67, `a"b`, ""},
		{67, `a\b`, ""},
		{67, "=61", ""},
		{17, "\xff", ""},
		{119, "\x07example\x00\x01a\x07example\x00", "example,a.example"},
		{119, "\x01a\x07example\x00\x01b\xc0\x02", ""},
		{119, "\x00", ""},
		{119, "\x07exam", ""},
		{119, "\x03a,b\x00", ""},
		{119, "\x03a.b\x00", ""},
		{26, "\x05\xdc", "05:dc"},
		{26, "\x05", "5b"},
		{58, "\x00\x00\x00\x01", ""},
	} {
		text, err := OptionText(c.tag, []byte(c.value))
		if text != c.want || (err != nil) != (c.want == "") {
			t.Errorf("option %d %q: %q (%v), want %q", c.tag, c.value, text, err, c.want)
		}
	}
	if text, err := OptionText(42, nil); text != "" || err != nil {
		t.Errorf("no value: %q (%v)", text, err)
	}
}

// TestOptionValues: what a row holds is what is read of it, also while it is
// switched off and holds what dnsmasq could not send.
func TestOptionValues(t *testing.T) {
	c := vanilla(t)
	key := create(t, c, c.DHCPOptions(), func(o *platform.DHCPOption) { o.Pool = "lan" })
	for _, o := range []platform.DHCPOption{
		{Enabled: true, Pool: "lan", Tag: 42, Value: []byte{192, 0, 2, 1}},
		{Enabled: true, Pool: "lan", Tag: 66, Value: []byte("192.0.2.1")},
		{Enabled: true, Pool: "lan", Tag: 67, Value: []byte("1234")},
		{Enabled: true, Pool: "lan", Tag: 119, Value: []byte("\x07example\x00")},
		{Pool: "lan", Tag: 66, Value: []byte("\xff\x00 \n")},
		{Pool: "lan", Tag: 42, Value: []byte("abc")},
		{Enabled: true, Pool: "lan", Tag: 43, Value: []byte("abc")},
		{Enabled: true, Pool: "lan", Tag: 26, Value: []byte{200}},
		{Enabled: true, Pool: "lan", Tag: 43, Value: bytes.Repeat([]byte{0xff}, 255)},
	} {
		change(t, c, c.DHCPOptions(), key, func(r *platform.DHCPOption) { *r = o })
	}
	if text := text1(t, c, "dhcp"); !strings.Contains(text, "43,ff:ff") {
		t.Errorf("%s", text)
	}
	change(t, c, c.DHCPOptions(), key, func(r *platform.DHCPOption) { r.Enabled, r.Tag = false, 42 })
	refused(t, c, c.DHCPOptions(), key, func(r *platform.DHCPOption) { r.Enabled = true })
	refused(t, c, c.DHCPOptions(), key, func(r *platform.DHCPOption) { r.Enabled, r.Tag = true, 66 })

	// What somebody else has written stays, and may be put back.
	write(t, c, "dhcp", "config dhcp 'lan'\n\tlist dhcp_option '66,a b'\n")
	change(t, c, c.DHCPOptions(), "lan_66", func(*platform.DHCPOption) {})
	refused(t, c, c.DHCPOptions(), "lan_66", func(r *platform.DHCPOption) { r.Value = []byte("a c") })
}
