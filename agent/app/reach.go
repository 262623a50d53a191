package app

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// reach knows at which address the ACS can reach us: the literal local
// address of the last session's socket (TR-069 3.2.2 asks for a host address,
// not a name), as long as the device still has it; else the address of the
// link that leads upstream.
type reach struct {
	links     platform.Links
	addresses platform.Addresses
	// kept holds our end of the last session, in RAM: a process that starts over
	// must not tell another URL until its first session. nil: it may.
	kept datamodel.Backing

	mu   sync.Mutex
	last netip.Addr // our end of the last session
	way  string     // upstream links that run, and host: how the ACS is reached
	ups  []string   // the links that led upstream last
	host netip.Addr // what is told
	port uint16     // of the connection request server; 0: it does not listen
	path string     // with its slash
}

// load reads where the last session of an earlier process came from.
func (r *reach) load() {
	if r.kept == nil {
		return
	}
	text, err := r.kept.Load()
	if err != nil {
		return // a first start, or one after a boot
	}
	if addr, err := netip.ParseAddr(strings.TrimSpace(string(text))); err == nil {
		r.last = addr
	}
}

// ConnectionRequestURL implements tr181.Reach; "" while we cannot be reached.
func (r *reach) ConnectionRequestURL() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.port == 0 || !r.host.IsValid() {
		return ""
	}
	hostport := net.JoinHostPort(r.host.WithZone("").String(), strconv.Itoa(int(r.port)))
	return "http://" + hostport + r.path
}

// listening says where the connection request server listens; port 0: not.
func (r *reach) listening(port uint16, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.port, r.path = port, path
}

func (r *reach) listens() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.port != 0
}

// session says which address the present session comes from.
func (r *reach) session(local net.Addr) {
	ap, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return // a pipe of a test has none
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host = ap.Addr().Unmap()
	if r.last == r.host {
		return
	}
	r.last = r.host
	if r.kept != nil {
		// What cannot be kept is found out again by the next session.
		_ = r.kept.Save([]byte(r.last.String() + "\n"))
	}
}

// refresh looks anew at the links and addresses of the device. It reports
// whether the URL is another one now, and whether there is a way to the ACS
// that was not there before.
func (r *reach) refresh(ctx context.Context) (changed, newWay bool) {
	if r.addresses == nil || r.links == nil {
		return false, false
	}
	before := r.ConnectionRequestURL()
	upstream := map[string]bool{}
	way := ""
	var ups []string
	for l, err := range r.links.Links(ctx) {
		if err != nil {
			return false, false
		}
		upstream[l.Name] = l.Upstream
		if l.Upstream {
			ups = append(ups, l.Name)
		}
		if l.Upstream && l.Running {
			way += l.Name + " "
		}
	}
	host, ok := r.look(ctx, upstream)
	if !ok {
		return false, false // nothing is known: what was true may still be
	}
	if way != "" {
		way += host.String()
	}
	r.mu.Lock()
	newWay = way != "" && way != r.way
	r.host, r.way = host, way
	if len(ups) > 0 {
		r.ups = ups
	}
	r.mu.Unlock()
	return r.ConnectionRequestURL() != before, newWay
}

// upstream returns the links that led upstream when one last did.
func (r *reach) upstream() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ups
}

// cut reports whether no link that runs leads upstream.
func (r *reach) cut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links != nil && r.addresses != nil && r.way == ""
}

// look finds the address to tell: the last session's if it is still there,
// else the first usable one of the upstream link, IPv4 before IPv6.
func (r *reach) look(ctx context.Context, upstream map[string]bool) (host netip.Addr, ok bool) {
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	var v4, v6 netip.Addr
	for a, err := range r.addresses.Addresses(ctx) {
		addr := a.Prefix.Addr()
		switch {
		case err != nil:
			return host, false
		case addr == last && last.IsValid():
			return last, true
		case !upstream[a.Link] || !usable(a):
		case addr.Is4() && !v4.IsValid():
			v4 = addr
		case addr.Is6() && !v6.IsValid():
			v6 = addr
		}
	}
	if v4.IsValid() {
		return v4, true
	}
	return v6, true
}

func usable(a platform.Address) bool {
	addr := a.Prefix.Addr()
	return addr.IsGlobalUnicast() && !a.Tentative && !a.Duplicate && !a.Deprecated && !a.Temporary
}
