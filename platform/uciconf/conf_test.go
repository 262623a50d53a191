package uciconf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// vanilla is a router with two radios as OpenWrt 24.10 ships it.
func vanilla(t testing.TB) *Conf {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/config")); err != nil {
		t.Fatal(err)
	}
	return New(Options{Dir: uci.Dir{Config: dir, FS: noSync{}}, Uplink: func(key string) bool { return key == "wan" }})
}

// put writes one file of a router.
func write(t testing.TB, c *Conf, pkg, text string) {
	t.Helper()
	if err := os.WriteFile(c.o.Dir.Path(pkg), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func text1(t testing.TB, c *Conf, pkg string) string {
	t.Helper()
	b, err := os.ReadFile(c.o.Dir.Path(pkg))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sums are the hashes of all files of a router, whatever their names.
func sums(t testing.TB, c *Conf) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(c.o.Dir.Config)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(c.o.Dir.Config, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		all[e.Name()] = hex.EncodeToString(sum[:])
	}
	return all
}

func rows[T any](t testing.TB, tab platform.Table[T]) map[string]T {
	t.Helper()
	all := map[string]T{}
	for e, err := range tab.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[e.Key]; twice {
			t.Errorf("two rows with the key %s", e.Key)
		}
		all[e.Key] = e.Value
	}
	return all
}

func row[T any](t testing.TB, tab platform.Table[T], key string) T {
	t.Helper()
	all := rows(t, tab)
	r, ok := all[key]
	if !ok {
		t.Fatalf("no row %s in %v", key, slices.Sorted(maps.Keys(all)))
	}
	return r
}

// do runs a batch from Begin to Commit.
func do(t testing.TB, c *Conf, fill func(platform.ConfigBatch)) (*Batch, error) {
	t.Helper()
	b, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill(b)
	if err = b.Prepare(t.Context()); err == nil {
		_, err = b.Commit(t.Context())
	}
	if err != nil {
		if rerr := b.Rollback(context.WithoutCancel(t.Context())); rerr != nil {
			t.Errorf("rollback: %v", rerr)
		}
	}
	return b.(*Batch), err
}

// change edits one row that is there.
func change[T any](t testing.TB, c *Conf, tab platform.Table[T], key string, edit func(*T)) *Batch {
	t.Helper()
	r := row(t, tab, key)
	edit(&r)
	b, err := do(t, c, func(b platform.ConfigBatch) { tab.Put(b, key, r) })
	if err != nil {
		t.Fatal(err)
	}
	if got := row(t, tab, key); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", r) {
		t.Errorf("%s reads\n%+v, was written\n%+v", key, got, r)
	}
	return b
}

// refused is a change of one row that must fail and leave all files as they are.
func refused[T any](t testing.TB, c *Conf, tab platform.Table[T], key string, edit func(*T)) error {
	t.Helper()
	before := sums(t, c)
	r := row(t, tab, key)
	edit(&r)
	_, err := do(t, c, func(b platform.ConfigBatch) { tab.Put(b, key, r) })
	if err == nil {
		t.Errorf("%s: %+v is accepted", key, r)
	}
	if after := sums(t, c); !maps.Equal(before, after) {
		t.Errorf("a refused change changed %v to %v", before, after)
	}
	return err
}

// create makes a row.
func create[T any](t testing.TB, c *Conf, tab platform.Table[T], edit func(*T)) string {
	t.Helper()
	key, r, err := tab.Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	edit(&r)
	if _, err := do(t, c, func(b platform.ConfigBatch) { tab.Put(b, key, r) }); err != nil {
		t.Fatal(err)
	}
	if got := row(t, tab, key); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", r) {
		t.Errorf("%s reads\n%+v, was created as\n%+v", key, got, r)
	}
	return key
}

func remove[T any](t testing.TB, c *Conf, tab platform.Table[T], key string) {
	t.Helper()
	if _, err := do(t, c, func(b platform.ConfigBatch) { tab.Delete(b, key) }); err != nil {
		t.Fatal(err)
	}
	if _, left := rows(t, tab)[key]; left {
		t.Errorf("%s is still there", key)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// Reading everything changes nothing.
func TestReadingChangesNothing(t *testing.T) {
	c := vanilla(t)
	before := sums(t, c)
	n := readAll(t, c)
	if n != 2+2+2+4+1+2+0+0+2+0+0+1+1+1+0+1 {
		t.Errorf("%d rows", n)
	}
	if after := sums(t, c); !maps.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
}

func readAll(t testing.TB, c *Conf) int {
	return len(rows(t, c.Radios())) + len(rows(t, c.SSIDs())) + len(rows(t, c.AccessPoints())) + len(rows(t, c.Interfaces())) +
		len(rows(t, c.DHCPServer())) + len(rows(t, c.DHCPPools())) + len(rows(t, c.DHCPHosts())) + len(rows(t, c.DHCPOptions())) +
		len(rows(t, c.NATInterfaces())) + len(rows(t, c.PortMappings())) + len(rows(t, c.Routes())) + len(rows(t, c.Timing())) +
		len(rows(t, c.Host())) + len(rows(t, c.Naming())) + len(rows(t, c.Forwards())) + len(rows(t, c.Users()))
}

// A package that does not parse: file and line are told, the others live, and
// nothing is written to it.
func TestDamagedPackage(t *testing.T) {
	c := vanilla(t)
	write(t, c, "firewall", "config zone\n\toptoin name lan\n")
	before := sums(t, c)
	var errs []error
	for _, err := range c.NATInterfaces().Rows(t.Context()) {
		errs = append(errs, err)
	}
	var un *platform.Unavailable
	want := c.o.Dir.Path("firewall") + ":2: "
	if len(errs) != 1 || !errors.As(errs[0], &un) || un.Err.Error()[:len(want)] != want {
		t.Errorf("%v", errs)
	}
	if all := c.Damaged(); len(all) != 1 || all[0].Error()[:len(want)] != want {
		t.Errorf("%v", all)
	}
	if got := row(t, c.Interfaces(), "lan"); got.Zone != "" || !got.Enabled {
		t.Errorf("%+v", got)
	}
	if _, err := do(t, c, func(b platform.ConfigBatch) {
		c.PortMappings().Put(b, "map1", platform.PortMapping{})
	}); err == nil {
		t.Error("a damaged package is written")
	}
	if after := sums(t, c); !maps.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	change(t, c, c.Interfaces(), "lan", func(r *platform.Interface) { r.MTU = 1400 })
}
