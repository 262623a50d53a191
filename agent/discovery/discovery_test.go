package discovery_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/agent/discovery"
	"gatehouse/agent/settings"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// configured are settings of a section acs.
func configured(t *testing.T, options ...string) *settings.Settings {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse")
	text := "config acs\n\t" + strings.Join(options, "\n\t") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Open(settings.Options{Config: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheck(t *testing.T) {
	free, http := configured(t), configured(t, "option allow_http 1")
	domains := configured(t, "list dhcp_domains .Example.net", "list dhcp_domains 192.0.2.7")
	const good = "https://acs.example.net/"
	for _, c := range []struct {
		s   *settings.Settings
		url string
		ok  bool
	}{
		{free, good, true}, {free, "https://192.0.2.1:8443/a?b=c", true}, {free, "https://[2001:db8::1]/", true}, {free, "https://10.0.0.1/", true},
		{free, good + strings.Repeat("a", 256-len(good)), true}, {free, good + strings.Repeat("a", 257-len(good)), false},
		{free, "http://acs.example.net/", false}, {http, "http://acs.example.net/", true}, {http, "ftp://acs.example.net/", false},
		// Plain http to this device is allowed in the configuration: not by DHCP.
		{http, "http://127.0.0.1/", false}, {free, "https://[::1]/", false}, {free, "https://0.0.0.0/", false}, {free, "https://[::]/", false},
		{free, "https://[::ffff:0.0.0.0]/", false}, {free, "https://[::ffff:127.0.0.1]/", false}, {free, "https://[::ffff:224.0.0.1]/", false},
		{free, "https://224.0.0.1/", false}, {free, "https://[ff02::1]/", false}, {free, "https://localhost/", false}, {free, "https://LocalHost.:1/", false},
		{free, good + "\x00", false}, {free, good + "\t", false}, {free, good + "a b", false}, {free, good + "\u0085", false}, {free, good + "\xff", false},
		{free, "https://u@acs.example.net/", false}, {free, good + "#x", false}, {free, "https:///", false}, {free, "", false},
		{domains, good, true}, {domains, "https://EXAMPLE.NET./", true}, {domains, "https://192.0.2.7/", true}, {domains, "https://192.0.2.8/", false},
		{domains, "https://evil-example.net/", false}, {domains, "https://example.net.evil.org/", false}, {domains, "https://evil.org/example.net", false},
	} {
		err := discovery.Check(c.s, c.url)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.url, err)
		}
		if err != nil && len(c.url) > 8 && strings.Contains(err.Error(), c.url) {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}

// TestLook: what says nothing is no offer, and what cannot be read no news.
func TestLook(t *testing.T) {
	s := configured(t)
	r := fake.New()
	r.SetDHCPAnswer(platform.DHCPAnswer{Link: "eth0"})
	r.SetDHCPAnswer(platform.DHCPAnswer{Link: "br-lan", Interface: "lan", Vendor: []byte("\x07\x01x")})
	r.SetDHCPAnswer(platform.DHCPAnswer{Link: "eth1", Interface: "wan2", Vendor: []byte("\x01\x09")})
	offers, err := discovery.Look(t.Context(), r.Platform(), s)
	if err != nil || len(offers) != 1 || offers[0].Interface != "wan2" || offers[0].Refused == nil || offers[0].Uplink || len(offers[0].Values()) > 0 {
		t.Errorf("%+v %v", offers, err)
	}
	for _, source := range []fake.Source{fake.Answers, fake.Links} {
		r.FailRead(source, errors.New("gone"))
		if _, err := discovery.Look(t.Context(), r.Platform(), s); !errors.As(err, new(*platform.Unavailable)) {
			t.Errorf("%s: %v", source, err)
		}
		r.FailRead(source, nil)
	}
	p := r.Platform()
	p.Links = nil // nobody knows which way is out
	if offers, err := discovery.Look(t.Context(), p, s); err != nil || len(offers) != 1 || offers[0].Refused == nil {
		t.Errorf("without links: %+v %v", offers, err)
	}
	p.DHCPClient = nil
	if offers, err := discovery.Look(t.Context(), p, s); err != nil || offers != nil {
		t.Errorf("without a client: %+v %v", offers, err)
	}
}
