package endpoint

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var sameAddrs = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func TestParseConfig(t *testing.T) {
	local := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	tests := map[string]struct {
		text string
		want config
	}{
		"empty":   {"", config{servers: local}},
		"openwrt": {"search lan\nnameserver 127.0.0.1\nnameserver ::1\n", config{servers: []netip.AddrPort{local[0], netip.MustParseAddrPort("[::1]:53")}, search: []string{"lan"}}},
		"link local, comments, rubbish": {"; x\n# y\nnameserver\nnameserver x\nnameserver fe80::1%eth0\nfoo bar\n",
			config{servers: []netip.AddrPort{netip.MustParseAddrPort("[fe80::1%eth0]:53")}}},
		"four servers": {"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
			config{servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53"), netip.MustParseAddrPort("192.0.2.3:53")}}},
		"options": {"options ndots:1 timeout:1 attempts:9 rotate timeout:x\n", config{servers: local, timeout: time.Second, tries: 5}},
		"search":  {"domain old.example\nsearch A.example. b..c d.example\n", config{servers: local, search: []string{"a.example", "d.example"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseConfig(strings.NewReader(tt.text)), cmp.AllowUnexported(config{}), sameAddrs, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseHosts(t *testing.T) {
	const hosts = "127.0.0.1 localhost\n# 192.0.2.9 acs.example\n192.0.2.1\tother ACS.example. # acs\n2001:db8::1 acs.example acs\n192.0.2.1 acs.example\nx acs.example\n"
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	if diff := cmp.Diff(want, parseHosts(strings.NewReader(hosts), "acs.example"), sameAddrs); diff != "" {
		t.Error(diff)
	}
	if got := parseHosts(strings.NewReader(hosts), "example"); got != nil {
		t.Errorf("example is at %v", got)
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{"ACS.Example.": "acs.example", "_tr069._tcp.x": "_tr069._tcp.x", "a": "a"} {
		if got, err := cleanName(in); got != want || err != nil {
			t.Errorf("cleanName(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ".", "a..b", "a b", "b\u00fccher.example", "a\r\nb", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"} {
		if got, err := cleanName(in); !errors.Is(err, ErrBadName) {
			t.Errorf("cleanName(%.20q) = %q, %v", in, got, err)
		}
	}
}

func TestReadConfigErrors(t *testing.T) {
	dir := t.TempDir()
	if c, err := readConfig(filepath.Join(dir, "none")); err != nil || len(c.servers) != 1 {
		t.Errorf("no file: %+v, %v", c, err)
	}
	if _, err := readConfig(filepath.Join(dir, "x\x00")); err == nil || os.IsNotExist(err) {
		t.Errorf("unreadable file: %v", err)
	}
}
