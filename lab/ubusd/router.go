package ubusd

// The rest of an OpenWrt router behind its bus: procd, netifd, hostapd, rpcd,
// odhcpd and logd, with the objects of vanilla OpenWrt 24.10 and 25.12. What
// they say follows from the UCI files below a root, which they read again when
// they are told to.

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Router is a vanilla router. Its fields are set before Serve; what its
// methods set may change at any time, and outlives one life of ubusd.
type Router struct {
	Root      string // of the file system
	Model     string
	BoardName string
	Version   string // of the release: "24.10.4"
	Revision  string
	Hostname  string
	WAN       Offer
	WPS       bool // hostapd is built with it
	// Odhcpd serves DHCPv4, too, and tells of its leases.
	Odhcpd []Lease
	Access []Access
	Who    func(net.Conn) User
	// Delay is how long procd waits before it reloads.
	Delay time.Duration
	// Load puts the rules of the firewall into a kernel; nil: there is none.
	Load func([]Rule)

	knobs
	mu       sync.Mutex
	began    time.Time
	daemon   *Daemon
	life     *life
	lines    []string // of the log
	images   map[string]bool
	rebooted int
	radios   []*radio
	nets     []*iface
	down     map[string]bool // interfaces that were taken down
	services []*service
	stations map[string][]Station
}

// An Offer is what the provider's DHCP server gives the WAN.
type Offer struct {
	Addr    netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	Seconds int
}

// A Lease of odhcpd.
type Lease struct {
	Link, MAC, Name string // MAC without colons
	Addr            netip.Addr
	Seconds         int // -1: for ever
}

// A Station that has joined a network.
type Station struct {
	MAC        string
	Signal     int
	Rx, Tx     int // kbit/s
	RxBytes    int64
	TxBytes    int64
	Unknown    bool // has not proved itself
	Seconds    int
	Generation string // ht vht he
}

// knobs are what goes wrong, and what is counted. mu guards them.
type knobs struct {
	mu      sync.Mutex
	absent  map[string]bool
	broken  map[string]bool
	slow    map[string]time.Duration
	vanish  string
	lose    string
	calls   map[string]int
	reloads map[string]int
}

// life is one life of ubusd with its peers.
type life struct {
	ctx                                      context.Context
	procd, netifd, hostapd, rpcd, odhcp, log *peer
	all                                      *sync.WaitGroup
}

// Serve is one life of ubusd on l, until ctx ends.
func (r *Router) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	d := &Daemon{Access: r.Access, Who: r.Who}
	d.begin()
	b := &life{ctx: ctx, all: &all}
	for _, p := range []**peer{&b.procd, &b.netifd, &b.hostapd, &b.rpcd, &b.odhcp, &b.log} {
		*p = r.join(ctx, d, &all)
	}
	r.mu.Lock()
	r.daemon, r.life = d, b
	if r.began.IsZero() {
		r.began = time.Now()
		r.images = map[string]bool{}
		r.services = vanilla()
		r.readNetwork(nil)
		r.readWireless(nil)
		r.writeDnsmasq()
		if r.Load != nil {
			r.Load(r.firewall())
		}
	}
	names := r.up()
	r.mu.Unlock()
	r.publish(b, names)
	return d.Serve(ctx, l)
}

// publish announces everything as it is.
func (r *Router) publish(b *life, networks []string) {
	r.offer(b.procd, "system", r.system()...)
	r.offer(b.procd, "service", r.service()...)
	r.offer(b.netifd, "network", method{"reload", nil, func(Table) (Table, int) { r.change("network"); return nil, ok }})
	r.offer(b.netifd, "network.device", method{"status", map[string]int{"name": 3}, r.devices})
	r.offer(b.netifd, "network.interface",
		method{"dump", nil, r.dump}, method{"status", map[string]int{"interface": 3}, r.status})
	r.offer(b.netifd, "network.wireless", method{"status", map[string]int{"device": 3}, r.wireless})
	r.mu.Lock()
	nets := slices.Clone(r.nets)
	r.mu.Unlock()
	for _, i := range nets {
		r.offerInterface(b, i.name)
	}
	r.offer(b.rpcd, "iwinfo", r.iwinfo()...)
	if r.Odhcpd != nil {
		r.offer(b.odhcp, "dhcp", method{"ipv4leases", nil, r.leases})
	}
	r.offer(b.log, "log", method{"read", map[string]int{"lines": 5, "stream": 7, "oneshot": 7}, r.read})
	for _, name := range networks {
		r.offerNetwork(b, name)
	}
}

func (r *Router) offerInterface(b *life, name string) {
	r.offer(b.netifd, "network.interface."+name,
		method{"up", nil, func(Table) (Table, int) { return nil, r.switchInterface(b, name, true) }},
		method{"down", nil, func(Table) (Table, int) { return nil, r.switchInterface(b, name, false) }},
		method{"renew", nil, func(Table) (Table, int) { return nil, ok }},
		method{"status", nil, func(Table) (Table, int) { return r.status(T("interface", name)) }})
}

// offer publishes an object unless it is to be absent.
func (r *Router) offer(p *peer, path string, methods ...method) {
	r.knobs.mu.Lock()
	gone := r.absent[path]
	r.knobs.mu.Unlock()
	if !gone {
		p.publish(path, methods...)
	}
}

// hold counts a call, and lets go wrong what is to.
func (r *Router) hold(path, name string) int {
	k := &r.knobs
	k.mu.Lock()
	if k.calls == nil {
		k.calls = map[string]int{}
	}
	k.calls[path+" "+name]++
	wait, gone, dies := k.slow[path], k.vanish == path, k.lose == path
	if gone {
		k.vanish = ""
	}
	if dies {
		k.lose = ""
	}
	k.mu.Unlock()
	if dies {
		return dead
	}
	r.mu.Lock()
	d, ctx := r.daemon, r.life.ctx
	r.mu.Unlock()
	if gone {
		d.Kick()
		return silent
	}
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return silent
		}
	}
	return ok
}

// Calls returns how often each method was called, by "OBJECT METHOD", since
// the last time.
func (r *Router) Calls() map[string]int {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// Reloads returns how often a package was reloaded.
func (r *Router) Reloads(pkg string) int {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	return r.reloads[pkg]
}

// Absent has an object missing from the next life on.
func (r *Router) Absent(paths ...string) {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	r.absent = map[string]bool{}
	for _, p := range paths {
		r.absent[p] = true
	}
}

// FailReload has a package's services not come up again.
func (r *Router) FailReload(pkg string, fails bool) {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	if r.broken == nil {
		r.broken = map[string]bool{}
	}
	r.broken[pkg] = fails
}

// Slow has an object think before it answers.
func (r *Router) Slow(path string, wait time.Duration) {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	if r.slow == nil {
		r.slow = map[string]time.Duration{}
	}
	r.slow[path] = wait
}

// VanishAt ends every connection when the object is called next, before it
// answers. Who serves the next life is another matter.
func (r *Router) VanishAt(path string) {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	r.vanish = path
}

// LoseAt has the process behind an object die when it is called next: the object
// goes, and nobody answers, which ubusd does not tell who has called.
func (r *Router) LoseAt(path string) {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	r.lose = path
}

func (r *Router) fails(pkg string) bool {
	r.knobs.mu.Lock()
	defer r.knobs.mu.Unlock()
	return r.broken[pkg]
}

// Write adds a line to the log.
func (r *Router) Write(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

// Rebooted says how often somebody asked for it.
func (r *Router) Rebooted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rebooted
}

// Join has a station join the network of an interface, or leave it.
func (r *Router) Join(ifname string, s Station) { r.join1(ifname, s, true) }

// Leave has a station leave.
func (r *Router) Leave(ifname, mac string) { r.join1(ifname, Station{MAC: mac}, false) }

func (r *Router) join1(ifname string, s Station, comes bool) {
	r.mu.Lock()
	if r.stations == nil {
		r.stations = map[string][]Station{}
	}
	r.stations[ifname] = slices.DeleteFunc(r.stations[ifname], func(o Station) bool { return o.MAC == s.MAC })
	what := "disassoc"
	if comes {
		what = "assoc"
		r.stations[ifname] = append(r.stations[ifname], s)
	}
	b := r.life
	r.mu.Unlock()
	if b != nil {
		b.hostapd.notify("hostapd."+ifname, what, T("address", s.MAC, "target", "02:00:00:00:01:00", "signal", s.Signal, "freq", 2412))
	}
}

// Probe has a stranger look for networks, as they do all the time.
func (r *Router) Probe(ifname string) {
	r.mu.Lock()
	b := r.life
	r.mu.Unlock()
	b.hostapd.notify("hostapd."+ifname, "probe", T("address", "02:aa:aa:aa:aa:aa", "signal", -80, "freq", 2412))
}

// read is logd's. Without stream it answers with lines; with it, with a file
// descriptor, which the lab does not pass.
func (r *Router) read(args Table) (Table, int) {
	if stream, given := args.Get("stream").(bool); !given || stream {
		return nil, 8
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	if n, given := args.Get("lines").(int); given && n > 0 && n < len(lines) {
		lines = lines[len(lines)-n:]
	}
	list := List{}
	for i, l := range lines {
		list = append(list, T("msg", l, "id", i, "priority", 30, "source", 1, "time", int64(1760000000000)+int64(i)))
	}
	return T("log", list), ok
}

func (r *Router) leases(Table) (Table, int) {
	devices := Table{}
	for _, l := range r.Odhcpd {
		entry := T("mac", l.MAC, "hostname", l.Name, "ip", l.Addr.String(), "valid", l.Seconds)
		i := slices.IndexFunc(devices, func(p Pair) bool { return p.Name == l.Link })
		if i < 0 {
			i, devices = len(devices), append(devices, Pair{l.Link, T("leases", List{})})
		}
		list := devices[i].Value.(Table)
		list[0].Value = append(list[0].Value.(List), entry)
	}
	return T("device", devices), ok
}

// mac is an address that the lab makes up for an interface.
func mac(name string) string {
	h := djb(5381, name)
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.WriteString("02:00:5e")
	for _, v := range []byte{byte(h >> 16), byte(h >> 8), byte(h)} {
		b.WriteByte(':')
		b.WriteByte(digits[v>>4])
		b.WriteByte(digits[v&15])
	}
	return b.String()
}
