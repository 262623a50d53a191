// What the resolver is told: resolv.conf, or the file that really counts when
// resolv.conf only names a daemon on this machine.

package linux

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/platform"
)

type resolver struct{ paths paths }

// DNS reads the resolver's configuration. A machine without one has none.
func (r resolver) DNS(ctx context.Context) (platform.DNS, error) {
	var d platform.DNS
	host, err := line(ctx, r.paths.hostname)
	if err != nil {
		return d, err
	}
	d.HostName = host
	conf, err := readFile(r.paths.resolvConf, fileLimit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, &platform.Unavailable{Source: r.paths.resolvConf, Err: err}
	}
	d.Domain, d.Servers = parseResolvConf(conf)
	if r.stub(d.Servers) {
		for _, name := range append([]string{r.paths.resolvedConf}, r.paths.resolvAuto...) {
			behind, err := readFile(name, fileLimit)
			if err != nil {
				continue
			}
			domain, servers := parseResolvConf(behind)
			if d.Servers = servers; d.Domain == "" || d.Domain == "." {
				d.Domain = domain
			}
			break
		}
	}
	r.leased(d.Servers)
	return d, nil
}

// stub says whether the servers are only a daemon of this machine.
func (r resolver) stub(servers []platform.DNSServer) bool {
	for _, s := range servers {
		if !s.Addr.IsLoopback() {
			return false
		}
	}
	return true
}

// maxServers bounds the servers of one file.
const maxServers = 32

// parseResolvConf reads resolv.conf(5). netifd notes the interface of the
// servers that follow in a comment.
func parseResolvConf(b []byte) (domain string, servers []platform.DNSServer) {
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil && len(servers) < maxServers {
				servers = append(servers, platform.DNSServer{Addr: a.WithZone("").Unmap(), Link: a.Zone(), Type: "Static"})
			}
		case "domain", "search": // the last of them counts; its first word is the own domain
			domain = f[1]
		}
	}
	return domain, servers
}

// leased marks the servers that a DHCP client got, and on which link.
func (r resolver) leased(servers []platform.DNSServer) {
	if len(servers) == 0 {
		return
	}
	from := map[netip.Addr]string{}
	for _, name := range expand(r.paths.dhclientLeases) {
		if b, err := readFile(name, fileLimit); err == nil {
			parseDhclient(b, from)
		}
	}
	leases, err := os.ReadDir(r.paths.networkdLeases)
	if err == nil {
		for _, e := range leases {
			b, err := readFile(filepath.Join(r.paths.networkdLeases, e.Name()), fileLimit)
			if err != nil {
				continue
			}
			for _, s := range strings.Fields(parseAssignments(b)["DNS"]) {
				a, err := netip.ParseAddr(s)
				if _, known := from[a]; err == nil && !known {
					from[a] = "" // networkd names the link by its index only
				}
			}
		}
	}
	for i := range servers {
		if link, ok := from[servers[i].Addr]; ok {
			servers[i].Type = "DHCPv4"
			if servers[i].Link == "" {
				servers[i].Link = link
			}
		}
	}
}

// parseDhclient reads dhclient.leases(5): of each lease the interface and the
// servers.
func parseDhclient(b []byte, from map[netip.Addr]string) {
	link := ""
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(strings.TrimRight(l, "; \n"))
		switch {
		case len(f) == 2 && f[0] == "interface":
			link = strings.Trim(f[1], `"`)
		case len(f) > 2 && f[0] == "option" && f[1] == "domain-name-servers":
			for _, s := range strings.Split(strings.Join(f[2:], ""), ",") {
				if a, err := netip.ParseAddr(s); err == nil && len(from) < maxServers {
					from[a] = link
				}
			}
		}
	}
}
