package linuxconf

// The DHCP server, and the relay of name requests: dnsmasq. Their rows become one
// file of ours, in the folder that it reads beside its own configuration.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/store"
	"gatehouse/platform"
)

const (
	// lan is the package, which is the service as well.
	lan         = "dhcp"
	dnsmasqUnit = "dnsmasq.service"
	dnsmasqFile = "etc/dnsmasq.d/gatehouse.conf" // Debian's dnsmasq reads this folder
	// maxFile is more than all pools can come to.
	maxFile = 8 << 20
)

// dhcp implements area and platform.Applied.
type dhcp struct {
	tables  dhcpTables
	file    string
	sockets string // where the kernel lists those of UDP
	units   units
	log     *slog.Logger

	applying sync.Mutex   // held while the file is made and taken up
	took     atomic.Value // string: the file that we have started dnsmasq with
}

// openDHCP opens the area: where dnsmasq is a service of systemd, and has the
// folder that distributions let it read.
func openDHCP(m *machine) (area, error) {
	if m.running == nil {
		return nil, errors.New("there is no D-Bus to have dnsmasq started by")
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if there, err := m.units.Present(ctx, dnsmasqUnit); err != nil {
		return nil, err
	} else if !there {
		return nil, errors.New("there is no " + dnsmasqUnit)
	}
	c := m.conf
	d := &dhcp{
		tables: dhcpTables{c.DHCPServer(), c.DHCPPools(), c.DHCPHosts(), c.DHCPOptions(), c.Naming(), c.Forwards()},
		file:   m.DNSMasq, sockets: m.at("proc/net/udp"), units: m.units, log: m.Log,
	}
	if d.file == "" {
		d.file = m.at(dnsmasqFile)
	}
	if _, err := os.Stat(filepath.Dir(d.file)); err != nil {
		return nil, fmt.Errorf("there is no folder for our part of dnsmasq's configuration: %w", err)
	}
	m.p.DHCP.Server, m.p.DHCP.Pools, m.p.DHCP.Hosts, m.p.DHCP.Options = d.tables.server, d.tables.pools, d.tables.hosts, d.tables.options
	m.p.DHCP.Applied = d
	m.p.Naming = d.tables.naming
	m.p.Forwards, m.p.RelayOnly = strict[platform.DNSForward]{d.tables.forwards, relayed}, true
	return d, nil
}

// relayed refuses name servers that dnsmasq would not ask for the network.
func relayed(_ context.Context, _ string, row platform.DNSForward) error {
	if !row.Relay {
		return fmt.Errorf("a name server of the device itself: %w", platform.ErrUnsupported)
	}
	return nil
}

// apply implements area. dnsmasq is restarted when the file becomes another one,
// and when the one that is there was not taken up: whoever wrote it may have ended
// before that.
func (d *dhcp) apply(ctx context.Context) error {
	d.applying.Lock()
	defer d.applying.Unlock()
	rows, err := d.tables.read(ctx)
	if err != nil {
		return err
	}
	text, left := rows.render()
	for _, l := range left {
		d.log.Warn("dnsmasq cannot be told of a row", "row", l.key, "why", l.why)
	}
	nothing := text == ours
	have, written, err := d.read()
	absent := errors.Is(err, fs.ErrNotExist)
	if nothing && (absent || errors.Is(err, errForeign)) {
		return nil // and nothing of ours is there
	}
	if err != nil && !absent {
		return err
	}
	since, err := d.units.Since(ctx, dnsmasqUnit)
	if err != nil || have == text && d.taken(since, written, text) {
		return err
	}
	if have != text {
		if err := store.Replace(readable{}, d.file, []byte(text)); err != nil {
			return err
		}
	}
	if nothing && since.IsZero() {
		return nil // somebody has stopped it, and we have nothing to do for it
	}
	return d.restart(ctx, text)
}

func (d *dhcp) restart(ctx context.Context, text string) error {
	d.took.Store("")
	if err := d.units.Restart(ctx, dnsmasqUnit); err != nil {
		return err
	}
	d.took.Store(text)
	return nil
}

// taken says whether a dnsmasq that has run since then knows our file. If we have
// started it we need not look at the clock, which may have been set since.
func (d *dhcp) taken(since, written time.Time, text string) bool {
	return !since.IsZero() && (d.took.Load() == text || since.After(written))
}

// errForeign says that somebody else has a file of this name.
var errForeign = errors.New("it is not ours, and left alone")

// read returns our file, and when it was written.
func (d *dhcp) read() (text string, written time.Time, err error) {
	info, err := os.Lstat(d.file)
	if err != nil {
		return "", written, err
	}
	if !info.Mode().IsRegular() {
		return "", written, fmt.Errorf("%s: %w", d.file, errForeign)
	}
	f, err := os.Open(d.file)
	if err != nil {
		return "", written, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err == nil && !bytes.HasPrefix(b, []byte(ours)) {
		err = fmt.Errorf("%s: %w", d.file, errForeign)
	}
	return string(b), info.ModTime(), err
}

// readable is a file system whose new files everybody may read: dnsmasq may not be
// root when it does. There are no secrets in them.
type readable struct{ store.OS }

// Create implements store.FS, whatever the umask.
func (r readable) Create(path string, _ fs.FileMode) (store.Writer, error) {
	const mode = 0o644
	w, err := r.OS.Create(path, mode)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// forget implements area. A dnsmasq that does not run is left so.
func (d *dhcp) forget(ctx context.Context) error {
	d.applying.Lock()
	defer d.applying.Unlock()
	if _, _, err := d.read(); errors.Is(err, fs.ErrNotExist) || errors.Is(err, errForeign) {
		return nil
	}
	if err := os.Remove(d.file); err != nil {
		return err
	}
	since, err := d.units.Since(ctx, dnsmasqUnit)
	if err != nil || since.IsZero() {
		return err
	}
	return d.restart(ctx, "")
}

// also implements teller.
func (d *dhcp) also(w platform.Write) (platform.Write, bool) {
	w.File, w.Service = d.file, dnsmasqUnit
	return w, true
}

// Applied implements platform.Applied: the pools of our file, while a dnsmasq runs
// that has read it, and somebody listens where DHCP clients ask.
func (d *dhcp) Applied(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		keys, err := d.serves(ctx)
		if err != nil {
			yield("", err)
			return
		}
		for _, k := range keys {
			if !yield(k, nil) {
				return
			}
		}
	}
}

func (d *dhcp) serves(ctx context.Context) (keys []string, err error) {
	text, written, err := d.read()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errForeign) {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &platform.Unavailable{Source: d.file, Err: err}
	}
	for line := range strings.Lines(text) {
		if key, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), poolLine); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, ctx.Err()
	}
	since, err := d.units.Since(ctx, dnsmasqUnit)
	if err != nil {
		return nil, &platform.Unavailable{Source: "systemd", Err: err}
	}
	if !d.taken(since, written, text) || !d.listens() {
		return nil, nil
	}
	return keys, nil
}

// listens says whether there is a socket at the port of DHCP servers (67): a
// dnsmasq that was told to serve nobody, or does not read our folder, has none.
// Where the kernel does not tell it is taken for granted.
func (d *dhcp) listens() bool {
	f, err := os.Open(d.sockets)
	if err != nil {
		return true
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// proc(5): "sl local_address rem_address st …", "0: 00000000:0043 …"
		if f := strings.Fields(lines.Text()); len(f) > 1 && strings.HasSuffix(f[1], ":0043") {
			return true
		}
	}
	return lines.Err() != nil
}
