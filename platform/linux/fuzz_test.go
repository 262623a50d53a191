// Whatever the bytes, decoders and parsers neither panic nor run away.

package linux

import (
	"testing"

	"golang.org/x/sys/unix"
)

func FuzzNetlink(f *testing.F) {
	f.Add(question(unix.RTM_NEWLINK, unix.NLM_F_MULTI, linkMessage(unix.ARPHRD_ETHER, 5, running, "eth0", info("vlan"))))
	f.Add(question(unix.RTM_NEWROUTE, 0, routeMessage(unix.AF_INET, 0, 4, unix.RTN_UNICAST)))
	f.Add(question(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWRULE, 0, attribute(make([]byte, 4), unix.NFTA_RULE_USERDATA, []byte{commentType, 2, 'x', 0})))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		for h, m := range messages(data) {
			if n++; n > len(data) {
				t.Fatal("more messages than bytes")
			}
			if done, err := answered(h, m); err != nil && !done {
				t.Fatal("an error that does not end the answer")
			}
			if l, ok := decodeLink(unix.RTM_NEWLINK, m); ok {
				l.link(map[int32]string{l.index: l.name})
			}
			decodeAddress(unix.RTM_NEWADDR, m)
			if r, ok := decodeRoute(m); ok {
				for range r.rows(nil) {
				}
			}
			decodeNeighbor(unix.RTM_NEWNEIGH, m)
			decodeRule(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWRULE, m)
		}
	})
}

func FuzzFiles(f *testing.F) {
	f.Add("lease 1.2.3.4 {\n ends 4 2027/01/15 08:00:00;\n}\n")
	f.Add("1800000000 00:00:5e:00:53:20 192.168.1.101 laptop 01\n# br-lan x ipv4 n 1 2 32 1.2.3.4/32\n")
	f.Add("9 (x) S 1 2 3")
	f.Add("TZif2\nCET-1\n")
	f.Fuzz(func(t *testing.T, s string) {
		b := []byte(s)
		parseDnsmasq(b)
		parseOdhcpd(b)
		parseDhcpd(b)
		parseResolvConf(b)
		parseAssignments(b)
		parseMemory(b)
		parseProcess(s, 4096)
		parseCPU(s)
		parseUptime(s)
		parseNTP(b, nil)
		footer(b)
		for range inotifyEvents(b) {
		}
	})
}
