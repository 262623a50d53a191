package zoo

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform"
)

// answers are what a DHCP server sends to name an ACS: options 43, with
// sub-options and bare, 125, and 17 of DHCPv6.
func answers(link, url string) map[string]platform.DHCPAnswer {
	if len(url) > 240 {
		return map[string]platform.DHCPAnswer{"43, bare": {Link: link, Vendor: []byte(url)}}
	}
	sub := func(code byte) string { return string([]byte{code, byte(len(url))}) + url }
	long := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte("\x00\x00\x0d\xe9"), 1), uint16(len(url)))
	return map[string]platform.DHCPAnswer{
		"43":       {Link: link, Vendor: []byte(sub(1))},
		"43, bare": {Link: link, Vendor: []byte(url)},
		"125":      {Link: link, Identified: []byte("\x00\x00\x0d\xe9" + string([]byte{byte(len(url) + 2)}) + sub(11))},
		"17":       {Link: link, Identified6: append(long, url...)},
	}
}

// TestRogueDHCP: somebody else answers DHCP, on the WAN or in the house, and names
// an ACS of theirs. A router that has one does not look at it; one that has none
// goes nowhere, because what is named is refused, or came in by the wrong side.
func TestRogueDHCP(t *testing.T) {
	for name, rogue := range map[string]struct {
		link, url  string
		configured bool
	}{
		"a router with an ACS":   {"eth0", "http://other.example.net/", true},
		"plain http":             {"eth0", "http://other.example.net/", false},
		"from the LAN":           {"br-lan", "https://other.example.net/", false},
		"no URL":                 {"eth0", "javascript:alert(1)", false},
		"a URL without an end":   {"eth0", "https://other.example.net/" + strings.Repeat("a", 300), false},
		"a command":              {"eth0", "https://other.example.net/" + shell, false},
		"a line of a log":        {"eth0", "https://other.example.net/\nlevel=INFO msg=\"session ended\"", false},
		"the router's own ports": {"eth0", "https://[::ffff:127.0.0.1]:7547/", false},
		"a password":             {"eth0", "https://" + user + ":" + pass + "@other.example.net/", false},
	} {
		for option, answer := range answers(rogue.link, rogue.url) {
			t.Run(name+", option "+option, func(t *testing.T) {
				story(t, plan{}, func(t *testing.T, h *house) {
					theirs := []*acs.Server{h.server(otherIP+":80", acs.Options{}), h.server(otherIP+":443", acs.Options{})}
					for _, s := range theirs {
						h.closers = append(h.closers, s.Close)
					}
					if !rogue.configured {
						h.write("gatehouse", "config acs\n option periodic_inform_enable 0\nconfig cpe\n option passwd x\n")
					}
					h.router.SetDHCPAnswer(answer)
					h.start()
					time.Sleep(24 * time.Hour)
					h.router.SetDHCPAnswer(answer) // a renewal
					time.Sleep(24 * time.Hour)
					for _, s := range theirs {
						if n := len(s.Sessions()); n > 0 {
							t.Errorf("%d sessions with the rogue", n)
						}
					}
					if url := h.get(ms + "URL"); (url != "") != rogue.configured || strings.Contains(url, "other") {
						t.Errorf("the URL is %q", url)
					}
					if rogue.configured {
						h.good(1)
						h.unharmed()
					}
					if h.log.has(pass) || strings.Contains(h.log.String(), "\nlevel=INFO msg=\"session ended\"\"") {
						t.Error("what the rogue wrote is in the log")
					}
				})
			})
		}
	}
}
