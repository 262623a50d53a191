package uciconf

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// ram is a file system of one folder, in memory.
type ram map[string][]byte

func (r ram) ReadFile(name string, limit int) ([]byte, error) {
	b, ok := r[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(b[:min(limit, len(b))]), nil
}

func (r ram) ReadDir(string) ([]string, error) {
	var names []string
	for name := range r {
		names = append(names, path.Base(name))
	}
	return names, nil
}

func (r ram) Resolve(name string) (string, error) {
	_, err := r.ReadFile(name, 0)
	return name, err
}

func (r ram) Create(name, _ string) (uci.Writer, error) { return &ramFile{ram: r, name: name}, nil }

func (r ram) Rename(from, to string) error {
	r[to] = r[from]
	delete(r, from)
	return nil
}

func (r ram) Remove(name string) error {
	delete(r, name)
	return nil
}

func (ram) Lock(string) (func() error, error) { return func() error { return nil }, nil }
func (ram) SyncDir(string) error              { return nil }

type ramFile struct {
	bytes.Buffer
	ram  ram
	name string
}

func (f *ramFile) Sync() error { return nil }
func (f *ramFile) Close() error {
	f.ram[f.name] = f.Bytes()
	return nil
}

// dirFS are the files of a vanilla router.
var dirFS = os.DirFS("testdata/config")

// putBack puts all rows of a table as they were read.
func putBack[T any](t testing.TB, b platform.ConfigBatch, tab platform.Table[T]) {
	seen := map[string]bool{}
	for e, err := range tab.Rows(t.Context()) {
		if err != nil {
			return // the package does not parse
		}
		if e.Key == "" || seen[e.Key] {
			t.Errorf("%T: key %q", e.Value, e.Key)
		}
		seen[e.Key] = true
		tab.Put(b, e.Key, e.Value)
	}
}

func putAllBack(t testing.TB, batch platform.ConfigBatch, c *Conf) {
	putBack(t, batch, c.Radios())
	putBack(t, batch, c.SSIDs())
	putBack(t, batch, c.AccessPoints())
	putBack(t, batch, c.Interfaces())
	putBack(t, batch, c.Routes())
	putBack(t, batch, c.DHCPServer())
	putBack(t, batch, c.DHCPPools())
	putBack(t, batch, c.DHCPHosts())
	putBack(t, batch, c.DHCPOptions())
	putBack(t, batch, c.NATInterfaces())
	putBack(t, batch, c.PortMappings())
	putBack(t, batch, c.Timing())
	putBack(t, batch, c.Host())
	putBack(t, batch, c.Naming())
	putBack(t, batch, c.Forwards())
	putBack(t, batch, c.Users())
}

// Whatever the files say, reading them ends, every row has a key of its own, and
// what is put back as it was read writes nothing but names.
func FuzzPutBack(f *testing.F) {
	for _, m := range managed {
		text, err := fs.ReadFile(dirFS, m.pkg)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.pkg, string(text))
	}
	f.Add("firewall", "c redirect")
	f.Add("wireless", "config wifi-device r\n option htmode HE\n option band 6g\nconfig wifi-iface\n option device r\n option mode ap\n option gh_ap x\n option disabled 1\nconfig gh_accesspoint\n option encryption wep\n option key 5\n")
	f.Add("dhcp", "config dhcp\n option interface lan\n option start -1\n option limit 4294967295\n list dhcp_option 3\n list dhcp_option 42,::1,\n list gh_dhcp_option 'x off 9'\n list gh_reserved -\nconfig host\n option ip x\n")
	f.Add("network", "config interface lan\n option ipaddr '1.2.3.4/33 1.2.3.4 ::1'\n option netmask 255.0.255.0\n list gh_addr 'a on -'\n option dns 'x 1.1.1.1@y'\nconfig route\n option target default\n option metric -5\nconfig interface\n option device lo\n")
	f.Add("firewall", "config redirect\n option src_dport 99999-1:2\n option proto 'udp tcp'\n option enabled maybe\n option src lan\n option gh_expires x\nconfig zone\n option network 'a b'\n")
	f.Fuzz(func(t *testing.T, pkg, text string) {
		if strings.ContainsAny(pkg, "/.") || managedTypes(pkg) == nil && pkg != "system" {
			return
		}
		r := ram{}
		for _, m := range managed {
			b, err := fs.ReadFile(dirFS, m.pkg)
			if err != nil {
				t.Fatal(err)
			}
			r["/c/"+m.pkg] = b
		}
		r["/c/"+pkg] = []byte(text)
		if _, err := uci.Parse(pkg, []byte(text)); err != nil {
			return
		}
		c := New(Options{Dir: uci.Dir{Config: "/c", FS: r}})
		batch, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		putAllBack(t, batch, c)
		if err := batch.Prepare(t.Context()); err != nil {
			if strings.Contains(err.Error(), "read") { // a type that cannot be written
				return
			}
			t.Fatalf("%q: %v", text, err)
		}
		for _, w := range batch.Writes() {
			if w.Service != "" || strings.Contains(w.Place, ".") {
				t.Errorf("%q: %+v", text, w)
			}
		}
		if err := batch.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
