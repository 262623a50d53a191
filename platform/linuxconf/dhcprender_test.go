package linuxconf

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/platform"
)

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }

func ips(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, ip(text))
	}
	return all
}

// guests is a pool that is complete.
var guests = platform.DHCPPool{
	Enabled: true, Order: 1, Interface: "lan0", Min: ip("192.168.1.20"), Max: ip("192.168.1.30"), LeaseTime: time.Hour,
}

// A ruler changes the rows that guests are served with.
type ruler func(r *dhcpRows, p *platform.DHCPPool)

// table is the rows of one pool.
func (change ruler) table() dhcpRows {
	r := dhcpRows{serves: true, relays: true}
	p := guests
	if change != nil {
		change(&r, &p)
	}
	r.pools = append([]platform.Entry[platform.DHCPPool]{{Key: "pool1", Value: p}}, r.pools...)
	return r
}

func host(key, mac, addr string, change func(*platform.DHCPHost)) platform.Entry[platform.DHCPHost] {
	h := platform.DHCPHost{Enabled: true, Pool: "pool1", MAC: mac, Addr: ip(addr)}
	if change != nil {
		change(&h)
	}
	return platform.Entry[platform.DHCPHost]{Key: key, Value: h}
}

func opt(tag uint8, value string) platform.Entry[platform.DHCPOption] {
	return platform.Entry[platform.DHCPOption]{Key: "opt", Value: platform.DHCPOption{Enabled: true, Pool: "pool1", Tag: tag, Value: []byte(value)}}
}

func second(change func(*platform.DHCPPool)) platform.Entry[platform.DHCPPool] {
	p := guests
	p.Order, p.Min, p.Max = 2, ip("192.168.1.10"), ip("192.168.1.40")
	change(&p)
	return platform.Entry[platform.DHCPPool]{Key: "pool2", Value: p}
}

const (
	macA = "00:00:5e:00:53:0a"
	macB = "00:00:5e:00:53:0b"
	head = "dhcp-range=tag:lan0,set:gh_pool1,"
)

// ranges are the lines of a pool whose ranges are given, and nothing else.
func ranges(pool string, texts ...string) string {
	s := "# pool " + pool + "\n"
	for _, text := range texts {
		s += "dhcp-range=tag:lan0,set:gh_" + pool + "," + text + "\n"
	}
	return s
}

var renderings = map[string]struct {
	change ruler
	want   string // without what every file begins with, and empty lines
	left   string // keys of rows that are left out
}{
	"a pool": {nil, ranges("pool1", "192.168.1.20,192.168.1.30,3600"), ""},
	"off":    {func(_ *dhcpRows, p *platform.DHCPPool) { p.Enabled = false }, "", ""},
	"the server is off": {func(r *dhcpRows, _ *platform.DHCPPool) {
		r.serves = false
		r.hosts = append(r.hosts, host("h", macA, "192.168.1.25", nil))
	}, "", ""},
	"no interface": {func(_ *dhcpRows, p *platform.DHCPPool) { p.Interface = "" }, "", ""},
	"no addresses": {func(_ *dhcpRows, p *platform.DHCPPool) { p.Min = netip.Addr{} }, "", ""},
	"backwards":    {func(_ *dhcpRows, p *platform.DHCPPool) { p.Max = ip("192.168.1.9") }, "", "pool1"},
	"IPv6":         {func(_ *dhcpRows, p *platform.DHCPPool) { p.Max = ip("2001:db8::9") }, "", "pool1"},
	"one address":  {func(_ *dhcpRows, p *platform.DHCPPool) { p.Max = p.Min }, ranges("pool1", "192.168.1.20,192.168.1.20,3600"), ""},

	"a mask":       {func(_ *dhcpRows, p *platform.DHCPPool) { p.Mask = ip("255.255.255.0") }, ranges("pool1", "192.168.1.20,192.168.1.30,255.255.255.0,3600"), ""},
	"two networks": {func(_ *dhcpRows, p *platform.DHCPPool) { p.Mask = ip("255.255.255.248") }, "", "pool1"},
	"no mask":      {func(_ *dhcpRows, p *platform.DHCPPool) { p.Mask = ip("255.0.255.0") }, "", "pool1"},
	"a whole net": {func(_ *dhcpRows, p *platform.DHCPPool) {
		p.Min, p.Max, p.Mask = ip("192.168.1.0"), ip("192.168.1.255"), ip("255.255.255.0")
	}, ranges("pool1", "192.168.1.1,192.168.1.254,255.255.255.0,3600"), ""},
	"a net of two": {func(_ *dhcpRows, p *platform.DHCPPool) { p.Max, p.Mask = ip("192.168.1.21"), ip("255.255.255.254") }, ranges("pool1", "192.168.1.20,192.168.1.21,255.255.255.254,3600"), ""},
	"the very last": {func(_ *dhcpRows, p *platform.DHCPPool) {
		p.Max, p.Reserved = ip("255.255.255.255"), ips("255.255.255.255")
	}, ranges("pool1", "192.168.1.20,255.255.255.254,3600"), ""},

	"for ever":  {func(_ *dhcpRows, p *platform.DHCPPool) { p.LeaseTime = -1 }, ranges("pool1", "192.168.1.20,192.168.1.30,infinite"), ""},
	"centuries": {func(_ *dhcpRows, p *platform.DHCPPool) { p.LeaseTime = 1 << 62 }, ranges("pool1", "192.168.1.20,192.168.1.30,infinite"), ""},
	"a moment":  {func(_ *dhcpRows, p *platform.DHCPPool) { p.LeaseTime = 1 }, ranges("pool1", "192.168.1.20,192.168.1.30,120"), ""},

	"reserved": {func(_ *dhcpRows, p *platform.DHCPPool) {
		p.Reserved = ips("192.168.1.25", "10.0.0.1", "192.168.1.23", "192.168.1.25")
	}, ranges("pool1", "192.168.1.20,192.168.1.22,3600", "192.168.1.24,192.168.1.24,3600", "192.168.1.26,192.168.1.30,3600"), ""},
	"both ends":        {func(_ *dhcpRows, p *platform.DHCPPool) { p.Reserved = ips("192.168.1.20", "192.168.1.30") }, ranges("pool1", "192.168.1.21,192.168.1.29,3600"), ""},
	"all are reserved": {func(_ *dhcpRows, p *platform.DHCPPool) { p.Max, p.Reserved = p.Min, ips("192.168.1.20") }, ranges("pool1", "192.168.1.20,static,3600"), ""},

	"router, name server, domain": {func(_ *dhcpRows, p *platform.DHCPPool) {
		p.Routers, p.DNS, p.Domain = ips("192.168.1.2"), ips("192.168.1.1", "9.9.9.9"), "home.example"
	}, ranges("pool1", "192.168.1.20,192.168.1.30,3600") + "dhcp-option=tag:gh_pool1,3,192.168.1.2\ndhcp-option=tag:gh_pool1,6,192.168.1.1,9.9.9.9\ndhcp-option=tag:gh_pool1,15,home.example\n", ""},
	"options": {func(r *dhcpRows, _ *platform.DHCPPool) {
		r.options = append(r.options, opt(43, "\x01\n,\"#"), opt(42, "\xc0\x00\x02\x01"), opt(66, "tftp.example"), opt(80, ""), opt(160, "\x07"))
	}, ranges("pool1", "192.168.1.20,192.168.1.30,3600") + "dhcp-option=tag:gh_pool1,43,01:0a:2c:22:23\ndhcp-option=tag:gh_pool1,42,192.0.2.1\ndhcp-option=tag:gh_pool1,66,tftp.example\ndhcp-option=tag:gh_pool1,80\ndhcp-option=tag:gh_pool1,160,7b\n", ""},
	"options that cannot be": {func(r *dhcpRows, _ *platform.DHCPPool) {
		off, other := opt(43, "a"), opt(43, "b")
		off.Value.Enabled, other.Value.Pool = false, "pool9"
		r.options = append(r.options, off, other, opt(0, "x"), opt(255, "x"), opt(42, "abc"), opt(67, "a\nport=0"))
	}, ranges("pool1", "192.168.1.20,192.168.1.30,3600"), "opt opt"},

	"a static address": {func(r *dhcpRows, p *platform.DHCPPool) {
		p.Reserved = ips("192.168.1.25") // which does not take it out of its pool
		r.hosts = append(r.hosts, host("h", macA, "192.168.1.25", func(h *platform.DHCPHost) { h.Name = "tv" }))
	}, ranges("pool1", "192.168.1.20,192.168.1.30,3600") + "dhcp-host=" + macA + ",192.168.1.25,tv\n", ""},
	"one that is off is nobody's": {func(r *dhcpRows, _ *platform.DHCPPool) {
		r.hosts = append(r.hosts, host("h", macA, "192.168.1.25", func(h *platform.DHCPHost) { h.Enabled = false }))
	}, ranges("pool1", "192.168.1.20,192.168.1.24,3600", "192.168.1.26,192.168.1.30,3600"), ""},
	"one without a client": {func(r *dhcpRows, _ *platform.DHCPPool) {
		r.hosts = append(r.hosts, host("h", "", "192.168.1.20", nil), host("i", "00:00:5e:00:53", "192.168.1.30", nil))
	}, ranges("pool1", "192.168.1.21,192.168.1.29,3600"), ""},
	"one of a pool that is not served": {func(r *dhcpRows, _ *platform.DHCPPool) {
		r.hosts = append(r.hosts, host("h", macA, "192.168.1.25", func(h *platform.DHCPHost) { h.Pool = "pool9" }))
	}, ranges("pool1", "192.168.1.20,192.168.1.30,3600"), ""},
	"the first pool's counts": {func(r *dhcpRows, p *platform.DHCPPool) {
		p.Order = 3
		r.pools = append(r.pools, second(func(*platform.DHCPPool) {}))
		r.hosts = append(r.hosts, host("h", macA, "192.168.1.25", nil), host("i", macA, "192.168.1.35", func(h *platform.DHCPHost) { h.Pool = "pool2" }))
	}, ranges("pool2", "192.168.1.10,192.168.1.40,3600") + ranges("pool1", "192.168.1.20,192.168.1.30,3600") + // dnsmasq takes the last
		"dhcp-host=" + macA + ",192.168.1.25\ndhcp-host=" + macA + ",192.168.1.35\n", ""},
	"no order comes last": {func(r *dhcpRows, p *platform.DHCPPool) {
		p.Order = 0
		r.pools = append(r.pools, second(func(p *platform.DHCPPool) { p.Order = 77 }))
	}, ranges("pool2", "192.168.1.10,192.168.1.40,3600") + ranges("pool1", "192.168.1.20,192.168.1.30,3600"), ""},

	"relay": {func(r *dhcpRows, p *platform.DHCPPool) {
		p.Enabled = false
		for i, f := range []platform.DNSForward{
			{Enabled: true, Relay: true, Server: ip("192.0.2.53")}, {Enabled: true, Relay: true, Server: ip("2001:db8::53"), Interface: "wan0"},
			{Enabled: true, Server: ip("192.0.2.54")}, {Relay: true, Server: ip("192.0.2.55")}, {Enabled: true, Relay: true},
			{Enabled: true, Relay: true, Server: ip("192.0.2.56"), Interface: "wan0,\nport=0"},
			{Enabled: true, Relay: true, Server: ip("fe80::1").WithZone("a\nb")},
		} {
			r.forwards = append(r.forwards, platform.Entry[platform.DNSForward]{Key: "dns" + string(rune('1'+i)), Value: f})
		}
	}, "server=192.0.2.53\nserver=2001:db8::53@wan0\n", "dns6 dns7"},
	"no relay": {func(r *dhcpRows, p *platform.DHCPPool) { r.relays, p.Enabled = false, false }, "port=0\n", ""},
}

func TestDHCPRendering(t *testing.T) {
	for name, c := range renderings {
		t.Run(name, func(t *testing.T) {
			text, left := c.change.table().render()
			body, good := strings.CutPrefix(strings.ReplaceAll(text, "\n\n", "\n"), ours)
			var keys []string
			for _, l := range left {
				keys = append(keys, l.key)
			}
			if !good || body != c.want || strings.Join(keys, " ") != c.left {
				t.Errorf("left out %q, and made\n%s\nwant\n%s", keys, text, c.want)
			}
			accepted(t, text)
		})
	}
}

// hostileWords are what an ACS, or a file that was edited by hand, could put where
// a name belongs.
var hostileWords = []string{
	"a\nport=0", "a\r\nport=0", "a,b", `a"`, `\`, "#", " #", "a b", "\x00", "\xff\xfe", "äöü", "*", "!lan0", "tag:x", "set:x", "12h", "infinite", "ignore",
	"-", "", strings.Repeat("x", 2000), "conf-script=/bin/sh", "$(reboot)", "id:*", "[::1]", "192.168.1.66",
}

// TestDHCPHostileWords: whatever stands in a row, the file has no line more than it
// would have, and dnsmasq starts with it.
func TestDHCPHostileWords(t *testing.T) {
	words := map[string]func(r *dhcpRows, p *platform.DHCPPool, word string){
		"link":   func(_ *dhcpRows, p *platform.DHCPPool, w string) { p.Interface = w },
		"domain": func(_ *dhcpRows, p *platform.DHCPPool, w string) { p.Domain = w },
		"host": func(r *dhcpRows, _ *platform.DHCPPool, w string) {
			r.hosts = append(r.hosts, host("h", macB, "192.168.1.25", func(h *platform.DHCPHost) { h.Name = w }))
		},
		"MAC": func(r *dhcpRows, _ *platform.DHCPPool, w string) {
			r.hosts = append(r.hosts, host("h", w, "192.168.1.25", nil))
		},
		"option": func(r *dhcpRows, _ *platform.DHCPPool, w string) {
			for tag := range 256 {
				r.options = append(r.options, opt(uint8(tag), w[:min(len(w), 255)]))
			}
		},
		"key": func(r *dhcpRows, _ *platform.DHCPPool, w string) {
			r.pools = append(r.pools, platform.Entry[platform.DHCPPool]{Key: w, Value: guests})
		},
	}
	for what, put := range words {
		for _, word := range hostileWords {
			text, _ := ruler(func(r *dhcpRows, p *platform.DHCPPool) { put(r, p, word) }).table().render()
			if strange := strangeLine(text); strange != "" {
				t.Errorf("%s %.40q: the line %q", what, word, strange)
			}
			if what == "option" || what == "host" {
				accepted(t, text)
			}
		}
	}
}

// strangeLine finds a line that no row may lead to: dnsmasq reads 1024 bytes of one.
func strangeLine(text string) string {
	for line := range strings.Lines(text) {
		begins := func(with string) bool { return strings.HasPrefix(line, with) }
		known := slices.ContainsFunc([]string{"#", "port=0\n", "server=", "dhcp-range=tag:", "dhcp-option=tag:gh_", "dhcp-host=", "\n"}, begins)
		if !known || len(line) > 1024 || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n\r\t\"\\\x00") || begins("#") && !begins(strings.TrimSuffix(ours, "\n")) && !begins(poolLine) {
			return line
		}
	}
	return ""
}

func FuzzDHCPRendering(f *testing.F) {
	for _, word := range hostileWords {
		f.Add("pool1", "lan0", word, word, macA, byte(43), []byte(word), uint32(0xc0a80114), uint32(0xc0a8011e), uint32(0xffffff00))
		f.Add(word, word, "home.example", "tv", word, byte(66), []byte(word), uint32(0), ^uint32(0), uint32(1))
	}
	f.Fuzz(func(t *testing.T, key, link, domain, name, mac string, tag byte, value []byte, low, high, mask uint32) {
		quad := func(n uint32) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		text, _ := ruler(func(r *dhcpRows, p *platform.DHCPPool) {
			p.Interface, p.Domain, p.Min, p.Max, p.Mask, p.Reserved = link, domain, quad(low), quad(high), quad(mask), []netip.Addr{quad(low), quad(high - 1)}
			r.hosts = append(r.hosts, host("h", mac, "192.168.1.25", func(h *platform.DHCPHost) { h.Name = name }))
			r.options = append(r.options, opt(tag, string(value[:min(len(value), 255)])))
			r.forwards = append(r.forwards, platform.Entry[platform.DNSForward]{Value: platform.DNSForward{Enabled: true, Relay: true, Server: quad(low), Interface: link}})
			r.pools = append(r.pools, platform.Entry[platform.DHCPPool]{Key: key, Value: guests})
		}).table().render()
		if strange := strangeLine(text); strange != "" {
			t.Errorf("%q", strange)
		}
	})
}

// accepted asks dnsmasq itself, where it is installed.
func accepted(t *testing.T, text string) {
	t.Helper()
	if _, err := exec.LookPath("dnsmasq"); err != nil {
		return
	}
	file := filepath.Join(t.TempDir(), "gatehouse.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("dnsmasq", "--test", "-C", file).CombinedOutput(); err != nil {
		t.Errorf("dnsmasq: %v: %s\n%s", err, said, text)
	}
}
