package datamodel

// Instance numbers: kept, forgotten, damaged, never given twice.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestNumbersSurviveARestart(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	if err := set(t, tree, "Device.Port.3.Alias", "my lan"); err != nil {
		t.Fatal(err)
	}
	values(t, tree.Reader(ReadOptions{}), "")
	if err := tree.Sync(); err != nil {
		t.Fatal(err)
	}
	want := `Device.Port.{i}. last 3
1 lo
2 eth0
3 eth1 "[my lan]"
Device.Port.{i}.Address.{i}. last 2 below eth0
1 192.0.2.1
2 192.0.2.2
`
	if r.numbers.Text() != want {
		t.Errorf("the file:\n%s", r.numbers.Text())
	}
	saves := r.numbers.Saves()
	values(t, tree.Reader(ReadOptions{}), "")
	if err := tree.Sync(); err != nil || r.numbers.Saves() != saves {
		t.Errorf("%v; a walk without news was written", err)
	}
	r.order = []string{"new", "eth1", "eth0"} // found in another order at the next boot
	r.ports["new"] = port{name: "new"}
	equal(t, "next boot", values(t, r.tree(t).Reader(ReadOptions{}), "Device.Port.*.Name"),
		[]string{"Device.Port.4.Name=new", "Device.Port.3.Name=eth1", "Device.Port.2.Name=eth0"})
}

// A row of a volatile table is found by the number it had in the last answer,
// and its numbers are not on disk.
func TestVolatile(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	if got := get(t, tree, "Device.Hosts.Host.2.HostName"); got != "h2" {
		t.Errorf("before any walk: %s", got)
	}
	r.hosts = []string{"h3", "h2", "h1"}
	equal(t, "numbers stay", values(t, tree.Reader(ReadOptions{}), "Device.Hosts.Host.*.HostName"),
		[]string{"Device.Hosts.Host.3.HostName=h3", "Device.Hosts.Host.2.HostName=h2", "Device.Hosts.Host.1.HostName=h1"})
	if err := tree.Sync(); err != nil || strings.Contains(r.numbers.Text(), "Host") {
		t.Errorf("%v: %s", err, r.numbers.Text())
	}
}

func TestVolatileTablesForget(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	count := func() (n int) {
		for _, tab := range tree.numbers.tables {
			n += len(tab.byHash)
		}
		return n
	}
	for i := range 200 {
		r.hosts = nil
		for j := range 20 {
			r.hosts = append(r.hosts, fmt.Sprintf("h%d.%d", i, j))
		}
		values(t, tree.Reader(ReadOptions{}), "Device.Hosts.")
		if n := count(); n > 3*20+deadVolatile {
			t.Fatalf("%d rows remembered for 20", n)
		}
	}
	if got := values(t, tree.Reader(ReadOptions{}), "Device.Hosts.Host.*.HostName")[0]; got != "Device.Hosts.Host.3981.HostName=h199.0" {
		t.Errorf("a number was given twice: %s", got)
	}
}

func TestVolatileCap(t *testing.T) {
	a := newNumbers()
	tab := a.table(&node{path: "Device.R.{i}.", volatile: true}, nil)
	seen := map[uint32]bool{}
	for i := range maxVolatile + 1000 {
		n := tab.number(fmt.Sprint(i), 1)
		if seen[n] {
			t.Fatalf("%d was given twice", n)
		}
		seen[n] = true
	}
	if len(tab.byHash) > maxVolatile {
		t.Errorf("%d rows remembered", len(tab.byHash))
	}
}

func TestDeletedUnderAWalk(t *testing.T) {
	tab := newNumbers().table(&node{path: "Device.R.{i}."}, nil)
	old := tab.begin()
	tab.number("a", old)
	tab.drop("a")
	if n := tab.number("a", old); n != 0 || tab.last != 1 {
		t.Errorf("a walk that began before a row was deleted numbers it %d", n)
	}
	if n := tab.number("a", tab.begin()); n != 2 {
		t.Errorf("a row that came back later has the number %d", n)
	}
}

func TestPersistentTablesForgetTheDead(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	r.addrs["eth1"] = nil
	for i := range 2000 {
		r.addrs["eth1"] = []addr{{fmt.Sprintf("10.0.%d.%d", i/256, i%256), false}}
		values(t, tree.Reader(ReadOptions{}), "Device.Port.3.Address.")
	}
	tab := tree.numbers.tables[rowID("Device.Port.{i}.Address.{i}.", []Key{"eth1"})]
	if len(tab.byKey) > deadPersistent+2 || len(tab.byNum) != len(tab.byKey) || tab.last != 2000 {
		t.Errorf("%d keys, %d numbers, last %d", len(tab.byKey), len(tab.byNum), tab.last)
	}
	if got := get(t, tree, "Device.Port.3.Address.2000.IPAddress"); got != "10.0.7.207" {
		t.Error(got)
	}
}

func TestDamagedNumbers(t *testing.T) {
	r := newRouter()
	r.numbers.Write("garbage\nDevice.Port.{i}. last 7\n2 eth0 [wan]\nx lo\n2 eth1\n9 eth1 [a]b]\n4 \"unclosed\nDevice.Port.{i}.Address.{i}. last 5\n1 x\n")
	tree := r.tree(t)
	equal(t, "what can be read is used", values(t, tree.Reader(ReadOptions{}), "Device.Port.*.Name"),
		[]string{"Device.Port.10.Name=lo", "Device.Port.2.Name=eth0", "Device.Port.9.Name=eth1"})
	equal(t, "alias", values(t, tree.Reader(ReadOptions{}), "Device.Port.[wan].MTU"), []string{"Device.Port.[wan].MTU=1500"})
	if _, err := New(Options{Numbers: broken{}}); err == nil {
		t.Error("numbers that cannot be read are not an error")
	}
}

type broken struct{}

func (broken) Load() ([]byte, error) { return nil, errors.New("input/output error") }
func (broken) Save([]byte) error     { return errors.New("input/output error") }

func FuzzNumbers(f *testing.F) {
	f.Add([]byte("Device.Port.{i}. last 3\n1 lo\n3 \"a b\" [wan]\nDevice.Port.{i}.Address.{i}. last 9 below \"a b\"\n4 x\n"))
	f.Add([]byte("Device.{i}. last 1\n\n 1  x y z\n\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a := newNumbers()
		_ = a.load(text)
		once := a.text()
		b := newNumbers()
		if err := b.load(once); err != nil {
			t.Fatalf("what we wrote: %v\n%s", err, once)
		}
		if twice := b.text(); !slices.Equal(once, twice) {
			t.Fatalf("first\n%s\nthen\n%s", once, twice)
		}
	})
}
