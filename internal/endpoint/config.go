package endpoint

// The resolver's files: resolv.conf and hosts.

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits on the files. A hosts file that blocks advertising is long, but the
// names that matter to us stand at its start.
const (
	maxConfig  = 64 << 10
	maxHosts   = 1 << 20
	maxServers = 3 // as everywhere (resolv.conf(5))
	maxSearch  = 6
)

// A config is what resolv.conf says.
type config struct {
	servers []netip.AddrPort
	search  []string
	timeout time.Duration // 0: not said
	tries   int           // 0: not said
}

// parseConfig reads resolv.conf. Lines that it does not understand are left
// out, as every resolver does. Without a server it names the local host.
func parseConfig(r io.Reader) config {
	var c config
	lines := bufio.NewScanner(io.LimitReader(r, maxConfig))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0][0] == '#' || words[0][0] == ';' {
			continue
		}
		switch words[0] {
		case "nameserver":
			if addr, err := netip.ParseAddr(words[1]); err == nil && len(c.servers) < maxServers {
				c.servers = append(c.servers, netip.AddrPortFrom(addr, 53))
			}
		case "domain", "search":
			c.search = c.search[:0]
			for _, w := range words[1:min(len(words), 1+maxSearch)] {
				if name, err := cleanName(w); err == nil {
					c.search = append(c.search, name)
				}
			}
		case "options":
			c.options(words[1:])
		}
	}
	if c.servers == nil {
		c.servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return c
}

// options reads the options we follow, within the limits of resolv.conf(5).
func (c *config) options(words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, ":")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			continue
		}
		switch name {
		case "timeout":
			c.timeout = time.Duration(min(n, 30)) * time.Second
		case "attempts":
			c.tries = min(n, 5)
		}
	}
}

// readConfig reads the resolver's configuration; a missing file is an empty one.
func readConfig(path string) (config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return parseConfig(strings.NewReader("")), nil
	}
	if err != nil {
		return config{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return parseConfig(f), nil
}

// parseHosts returns the addresses that a hosts file gives to a clean name.
func parseHosts(r io.Reader, name string) []netip.Addr {
	var out []netip.Addr
	lines := bufio.NewScanner(io.LimitReader(r, maxHosts))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		if !slices.ContainsFunc(words[1:], func(w string) bool { return strings.EqualFold(strings.TrimSuffix(w, "."), name) }) {
			continue
		}
		if addr, err := netip.ParseAddr(words[0]); err == nil && !slices.Contains(out, addr) && len(out) < maxAddrs {
			out = append(out, addr)
		}
	}
	return out
}

// readHosts looks a name up in a hosts file. One that cannot be read says
// nothing.
func readHosts(path, name string) []netip.Addr {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	return parseHosts(f, name)
}

// cleanName returns a name in lower case and without its last dot.
func cleanName(name string) (string, error) {
	clean := strings.ToLower(strings.TrimSuffix(name, "."))
	if clean == "" || len(clean) > 253 {
		return "", ErrBadName
	}
	for label := range strings.SplitSeq(clean, ".") {
		if label == "" || len(label) > 63 {
			return "", ErrBadName
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return "", ErrBadName
			}
		}
	}
	return clean, nil
}
