package linuxconf

// IP interfaces and static routes, where systemd-networkd manages the links: a file
// of ours for each link that something is configured of, in the place of the one
// that networkd has for it. Links are the interfaces here, and called alike.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/platform"
)

var networkd = daemon{"systemd-networkd", "org.freedesktop.network1", "/org/freedesktop/network1", "org.freedesktop.network1.Manager"}

const (
	networkdUnit   = "systemd-networkd.service"
	networkFolder  = "/etc/systemd/network"
	networkPrefix  = "10-gatehouse-" // before what distributions and netplan call theirs
	networkSuffix  = ".network"
	inThePlaceOf   = "# In the place of "
	networkdStates = "/run/systemd/netif/links" // a file for each link, as networkctl reads them
	networkdLeases = "/run/systemd/netif/leases"
)

// netd implements area, and the roles of platform.Interfaces.
type netd struct {
	p      *platform.Platform
	table  platform.Table[platform.Interface] // as they are configured
	routes platform.Table[platform.StaticRoute]
	bus    system
	root   string
	log    *slog.Logger
	told   bool          // networkd has read our files as they are
	settle time.Duration // how long nothing must happen before we look at what networkd has done
}

func openNetwork(m *machine) (area, error) {
	switch {
	case !m.runs(networkd):
		return nil, errors.New("systemd-networkd does not run: addresses and routes are the kernel's, and the agent puts back those that it keeps")
	case m.p.Links == nil || m.p.Addresses == nil || m.p.Routes == nil:
		return nil, errors.New("links, addresses or routes cannot be read")
	}
	n := &netd{p: m.p, table: m.conf.Interfaces(), routes: m.conf.Routes(), bus: m.bus, root: cmp.Or(m.Root, "/"), log: m.Log, settle: time.Second}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	links, err := n.links(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(links, func(l networkLink) bool { return l.base != "" }) {
		return nil, errors.New("systemd-networkd manages no link")
	}
	m.p.Interfaces = platform.Interfaces{Table: interfaceTable{n}, State: n, Restart: n, Renew: n}
	m.netd = n
	m.p.Routing = strict[platform.StaticRoute]{n.routes, n.checkRoute}
	return n, nil
}

// A networkLink is a link as networkd has it.
type networkLink struct {
	platform.Link
	state string // "unmanaged", "configuring", "configured", "failed"; "": networkd does not know it
	file  string // that is in effect
	base  string // that would be without ours; "": none, networkd leaves the link to others
}

// links are those that can be IP interfaces: no ports of bridges.
func (n *netd) links(ctx context.Context) (all []networkLink, err error) {
	for l, err := range n.p.Links.Links(ctx) {
		if err != nil {
			return nil, err
		}
		if l.Master == "" {
			all = append(all, n.known(l))
		}
	}
	return all, nil
}

// known adds what networkd says of a link.
func (n *netd) known(l platform.Link) networkLink {
	says := n.assignments(filepath.Join(networkdStates, strconv.Itoa(l.Index)))
	k := networkLink{Link: l, state: says["ADMIN_STATE"], file: says["NETWORK_FILE"]}
	if k.state == "unmanaged" {
		k.file = ""
	}
	if k.base = k.file; k.file == n.fileOf(l.Name) {
		k.base = n.replaced(k.file)
	}
	return k
}

// assignments reads a file of lines NAME=value; nil when it cannot be read.
func (n *netd) assignments(path string) map[string]string {
	text, err := readable{}.ReadFile(filepath.Join(n.root, path), maxFile)
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			all[name] = value
		}
	}
	return all
}

// fileOf is our file for a link, as networkd calls it.
func (n *netd) fileOf(link string) string {
	return filepath.Join(networkFolder, networkPrefix+sectionOf(link)+networkSuffix)
}

// replaced is the file that one of ours stands in for.
func (n *netd) replaced(file string) string {
	text, err := readable{}.ReadFile(filepath.Join(n.root, file), maxFile)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if base, ok := strings.CutPrefix(strings.TrimSpace(line), inThePlaceOf); ok {
			return base
		}
	}
	return ""
}

// base reads the file that a link would have without ours. One that has gone says
// nothing.
func (n *netd) base(l networkLink) (networkFile, error) {
	if l.base == "" {
		return nil, nil
	}
	text, err := readable{}.ReadFile(filepath.Join(n.root, l.base), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &platform.Unavailable{Source: l.base, Err: err}
	}
	return parseNetwork(string(text)), nil
}

// apply implements area.
func (n *netd) apply(ctx context.Context) error {
	links, err := n.links(ctx)
	if err != nil {
		return err
	}
	files := map[string]string{}
	var took []networkLink
	for _, l := range links {
		text, err := n.text(ctx, l)
		if err != nil {
			return err
		}
		if text != "" {
			files[n.fileOf(l.Name)] = text
			took = append(took, l)
		}
	}
	return n.put(ctx, files, took)
}

// forget implements area.
func (n *netd) forget(ctx context.Context) error { return n.put(ctx, nil, nil) }

// text is our file for a link, "" when nothing is configured of it.
func (n *netd) text(ctx context.Context, l networkLink) (string, error) {
	row, own, err := n.configured(ctx, l)
	if err != nil {
		return "", err
	}
	all, err := rowsOf(ctx, n.routes)
	if err != nil {
		return "", err
	}
	var routes []platform.StaticRoute
	for _, e := range all {
		if r := e.Value; r.Enabled && r.Interface == l.Name && r.Dest.IsValid() {
			routes = append(routes, r)
		}
	}
	if !own && len(routes) == 0 || !row.Loopback && !isPlainName(l.Name) {
		return "", nil
	}
	base, err := n.base(l)
	if err != nil {
		return "", err
	}
	head := ""
	if l.base != "" {
		head = inThePlaceOf + l.base + "\n"
	}
	return head + base.render(l.Name, row, routes), nil
}

// put makes our files those, has networkd read them, and looks whether it has.
func (n *netd) put(ctx context.Context, files map[string]string, took []networkLink) error {
	there, err := filepath.Glob(filepath.Join(n.root, networkFolder, networkPrefix+"*"+networkSuffix))
	if err != nil {
		return err
	}
	for _, path := range there {
		name := filepath.Join(networkFolder, filepath.Base(path))
		if _, ok := files[name]; !ok {
			files = withFile(files, name, "")
		}
	}
	any := false
	var anew []networkLink
	for name, text := range files {
		changed, err := putFile(filepath.Join(n.root, name), text)
		if err != nil {
			return err
		}
		any = any || changed
		if i := slices.IndexFunc(took, func(l networkLink) bool { return n.fileOf(l.Name) == name }); i >= 0 && (changed || took[i].file != name) {
			anew = append(anew, took[i])
		}
	}
	if any || len(anew) > 0 {
		n.told = false
		if err := n.reload(ctx, anew); err != nil {
			return err
		}
	} else if !n.told && len(files) > 0 {
		// Whoever wrote them may have ended before networkd was told, which leaves
		// alone what it knows already.
		if err := n.bus.ask(ctx, func(l *line) error { return l.call(ctx, networkd, "Reload", nil) }); err != nil {
			return err
		}
	}
	n.told = true
	return nil
}

func withFile(files map[string]string, name, text string) map[string]string {
	if files == nil {
		files = map[string]string{}
	}
	files[name] = text
	return files
}

// settling bounds how long networkd may take: a DHCP client goes on asking after
// that, which is no failure.
const settling = 15 * time.Second

// reload has networkd read its files, and waits until it has done what they say.
// It sets up anew those links, and only those, whose files have changed.
func (n *netd) reload(ctx context.Context, links []networkLink) error {
	return n.bus.ask(ctx, func(l *line) error {
		signs := make(chan *dbus.Signal, 64)
		l.Signal(signs)
		err := l.AddMatchSignalContext(ctx, dbus.WithMatchSender(networkd.destination), dbus.WithMatchInterface("org.freedesktop.DBus.Properties"))
		if err != nil {
			return fmt.Errorf("D-Bus: %w", plainly(err))
		}
		if err := l.call(ctx, networkd, "Reload", nil); err != nil {
			return err
		}
		deadline := time.NewTimer(settling)
		defer deadline.Stop()
		quiet := time.NewTimer(n.settle)
		defer quiet.Stop()
		for late := false; ; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case _, ok := <-signs:
				if !ok {
					return errors.New("systemd-networkd: D-Bus has closed the connection")
				}
				quiet.Reset(n.settle)
				continue
			case <-quiet.C:
			case <-deadline.C:
				late = true
			}
			failed, waiting := n.verdict(links)
			if !waiting || late {
				return failed
			}
			quiet.Reset(n.settle)
		}
	})
}

// verdict says what networkd has made of our files, and whether it is still at it.
func (n *netd) verdict(links []networkLink) (failed error, waiting bool) {
	var errs []error
	for _, l := range links {
		now := n.known(l.Link)
		file := n.fileOf(l.Name)
		switch {
		case now.state == "failed":
			errs = append(errs, fmt.Errorf("systemd-networkd cannot set up %s as %s says (networkctl status %s)", l.Name, file, l.Name))
		case now.file != file:
			errs = append(errs, fmt.Errorf("systemd-networkd has not taken up %s for %s, it has %s", file, l.Name, cmp.Or(now.file, "nothing")))
			waiting = true
		case now.state == "pending" || now.state == "initialized" || now.state == "configuring":
			waiting = true
		}
	}
	return errors.Join(errs...), waiting
}

// also implements teller.
func (n *netd) also(w platform.Write) (platform.Write, bool) {
	section, option, _ := strings.Cut(w.Place, ".")
	if strings.HasPrefix(section, "gh_") || strings.HasPrefix(section, "route") || strings.HasPrefix(option, "gh_") {
		return w, false
	}
	w.File, w.Place, w.Service = n.fileOf(linkOfSection(section)), option, networkdUnit
	return w, true
}

// RestartInterface implements platform.InterfaceRestart.
func (n *netd) RestartInterface(ctx context.Context, key string) error {
	return n.tell(ctx, "ReconfigureLink", key)
}

// Renew implements platform.Renewer.
func (n *netd) Renew(ctx context.Context, key string) error { return n.tell(ctx, "RenewLink", key) }

func (n *netd) tell(ctx context.Context, method, link string) error {
	l, err := n.link(ctx, link)
	if err != nil {
		return err
	}
	return n.bus.ask(ctx, func(c *line) error { return c.call(ctx, networkd, method, []any{int32(l.Index)}) })
}

func (n *netd) link(ctx context.Context, name string) (networkLink, error) {
	links, err := n.links(ctx)
	if err != nil {
		return networkLink{}, err
	}
	i := slices.IndexFunc(links, func(l networkLink) bool { return l.Name == name })
	if i < 0 {
		return networkLink{}, fmt.Errorf("%s: %w", name, platform.ErrGone)
	}
	return links[i], nil
}

// dropIns are what others have added to the file of a link.
func (n *netd) dropIns(base string) (all []string) {
	for _, dir := range []string{"/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"} {
		found, err := filepath.Glob(filepath.Join(n.root, dir, "systemd/network", filepath.Base(base)+".d", "*.conf"))
		if err == nil { // ErrBadPattern: a name that nobody gives to a file
			all = append(all, found...)
		}
	}
	return all
}
