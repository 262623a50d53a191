//go:build !no_linuxconf

package linux

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/platform"
)

const bbf = "\x00\x00\x0d\xe9"

// TestNetworkdAnswers: networkd names links by their number; lo is always 1.
func TestNetworkdAnswers(t *testing.T) {
	root := t.TempDir()
	const dir = "run/systemd/netif/leases/"
	put(t, root, dir+"1", `# This is private data. Do not parse.
ADDRESS=192.0.2.55
NETMASK=255.255.255.0
ROUTER=192.0.2.1
LIFETIME=120
CLIENTID=ff68c94f6d00020000ab110033bdebf95e192c
VENDOR_SPECIFIC=011868747470733a2f2f6163732e6578616d706c652e6e65742fff
`) // of systemd 252
	put(t, root, dir+"999999999", "VENDOR_SPECIFIC=01\n")
	put(t, root, dir+"x", "VENDOR_SPECIFIC=01\n")
	want := []platform.DHCPAnswer{{Link: "lo", Vendor: []byte(option43 + "\xff")}}
	if all, err := answers(t, root); err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%q %v", all, err)
	}
}

// TestDhclientAnswers: the second lease is as dhclient 4.4.3 writes what dnsmasq
// sends.
func TestDhclientAnswers(t *testing.T) {
	root := t.TempDir()
	put(t, root, "var/lib/dhcp/dhclient.leases", `lease {
  interface "eth0";
  fixed-address 192.0.2.2;
  option vendor-encapsulated-options "https://old.example.net/";
}
lease {
  interface "eth0";
  option dhcp-lease-time 120;
  option vendor-class-identifier "dslforum.org";
  option vendor-encapsulated-options 1:18:68:74:74:70:73:3a:2f:2f:61:63:73:2e:65:78:61:6d:70:6c:65:2e:6e:65:74:2f:ff;
  option vivso 0:0:d:e9:1a:b:18:68:74:74:70:73:3a:2f:2f:61:63:73:2e:65:78:61:6d:70:6c:65:2e:6e:65:74:2f;
  option vendor.unknown-3561 b:18:68:74:74:70:73:3a:2f:2f:61:63:73:2e:65:78:61:6d:70:6c:65:2e:6e:65:74:2f;
  renew 0 2126/11/22 07:16:54;
  expire 0 2126/11/22 07:18:04;
}
lease {
  interface "eth1";
  option vendor-encapsulated-options "a \"b\" \\ \101";
  option unknown-125 0:0:d:e9:1g;
  expire never;
}
lease {
  interface "eth2";
  option vendor-encapsulated-options "https://old.example.net/";
  expire 4 2020/01/01 12:00:00;
}
`)
	// In a text dhclient escapes what a shell would heed, and more than Go does.
	put(t, root, "var/lib/dhcp/dhclient.eth3.leases", `lease {
  interface "eth3";
  option vendor-encapsulated-options "https://acs.example.net/?a=\$b\&c=\'d\'\`+"`"+`\|\303\251\\";
  option unknown-125 0:0:d:e9;
  option vivso "no end;
}
lease6 {
  interface "eth4";
  ia-na 00:01 {
    iaaddr 2001:db8::1 {
    }
  }
}
`)
	want := []platform.DHCPAnswer{
		{Link: "eth3", Vendor: []byte("https://acs.example.net/?a=$b&c='d'`|é\\")},
		{Link: "eth4"},
		{Link: "eth0", Vendor: []byte(option43 + "\xff"), Identified: []byte(bbf + "\x1a\x0b\x18" + acs)},
		{Link: "eth1", Vendor: []byte(`a "b" \ A`)},
		{Link: "eth2"},
	}
	if all, err := answers(t, root); err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%q %v", all, err)
	}
}

// bootp is a DHCP message with these options.
func bootp(options string) string {
	return strings.Repeat("\x00", 236) + "\x63\x82\x53\x63" + options
}

func TestDhcpcdAnswers(t *testing.T) {
	root := t.TempDir()
	const dir = "var/lib/dhcpcd/"
	put(t, root, dir+"eth0.lease", bootp("\x35\x01\x05\x00\x2b\x03abc\x2b\x02de\x7d\x05"+bbf+"\x00\xff\x2b\x01x"))
	put(t, root, dir+"eth0.lease6", "\x07\x01\x02\x03"+"\x00\x11\x00\x04\x00\x00\x00\x09"+"\x00\x11\x00\x06"+bbf+"xy"+"\x00\x11\x00\x04\x00\x00\x00\x07"+"\x00\x11\xff\xff")
	put(t, root, dir+"eth1.lease", bootp("\x2b\x40short"))
	put(t, root, dir+"eth2.lease", "no message")
	put(t, root, dir+"duid", "00:01")
	want := []platform.DHCPAnswer{
		{Link: "eth0", Vendor: []byte("abcde"), Identified: []byte(bbf + "\x00")},
		{Link: "eth0", Identified6: []byte(bbf + "xy")},
		{Link: "eth1"},
		{Link: "eth2"},
	}
	if all, err := answers(t, root); err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%q %v", all, err)
	}
}

// TestAnswersAreWatched: a client that writes its lease is a hint.
func TestAnswersAreWatched(t *testing.T) {
	root := tree(t, map[string]string{"run/systemd/netif/leases/1": "", "var/lib/dhcp/dhclient.eth0.leases": "", "proc/sys/kernel/hostname": "router\n"})
	events := background(t, newBackend(Options{Root: root, Log: slog.New(slog.DiscardHandler)}).watchFiles)
	for _, name := range []string{"run/systemd/netif/leases/7", "var/lib/dhcp/dhclient.eth0.leases"} {
		until(t, events, platform.DHCPAnswered, func() { put(t, root, name, "\n") })
	}
}

func FuzzClientLeases(f *testing.F) {
	f.Add([]byte("lease {\n interface \"eth0\";\n option vivso 0:1;\n}\n"))
	f.Add([]byte(bootp("\x2b\x03abc\xff")))
	f.Add([]byte("\x07\x01\x02\x03\x00\x11\x00\x04" + bbf))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := append(dhclientAnswers(b, time.Unix(1767225600, 0)), dhcpMessage("eth0", b), dhcpv6Message("eth0", b))
		for _, a := range all {
			if len(a.Vendor)+len(a.Identified)+len(a.Identified6) > len(b) {
				t.Errorf("%d bytes made %q", len(b), a)
			}
		}
	})
}
