package datamodel

// Instance numbers of tables that are both: rows that somebody made, among
// thousands of the system.

import (
	"fmt"
	"testing"
)

// A table on disk whose rows are mostly the system's (ten thousand routes)
// puts the first few hundred on disk and what somebody made, and no more: its
// file would outgrow what a state file may be, and with it every commit fail.
func TestRowsOfTheSystemDoNotFillTheFile(t *testing.T) {
	n := &node{path: "Device.R.{i}."}
	a := newNumbers()
	tab := a.table(n, nil)
	const many = 10000
	pass := tab.begin()
	for i := range many {
		tab.number(fmt.Sprintf("100.64.%d.0/24 via 192.0.2.1 dev wan metric 0", i), pass)
	}
	num := tab.reserve()
	tab.bind("made", num)
	tab.end(pass, many+1)
	text := string(a.text())
	if len(text) > 64<<10 {
		t.Errorf("%d octets on disk for %d rows of the system", len(text), many)
	}
	if got := tab.number("100.64.9999.0/24 via 192.0.2.1 dev wan metric 0", tab.begin()); got != many {
		t.Errorf("the last row is now %d", got)
	}

	again := newNumbers()
	if err := again.load([]byte(text)); err != nil {
		t.Fatal(err)
	}
	tab = again.table(n, nil)
	if got, ok := tab.peek("made"); !ok || got != num {
		t.Errorf("after a restart the row that was made is %d, %v; was %d", got, ok, num)
	}
	if got, ok := tab.peek("100.64.0.0/24 via 192.0.2.1 dev wan metric 0"); !ok || got != 1 {
		t.Errorf("after a restart the first row is %d, %v", got, ok)
	}
	if got := tab.number("another", tab.begin()); got <= num {
		t.Errorf("%d is given twice", got)
	}
}

// New numbers of rows in RAM only are no reason to write, but for every few
// thousand.
func TestRowsInRAMAreNotWritten(t *testing.T) {
	a := newNumbers()
	tab := a.table(&node{path: "Device.R.{i}."}, nil)
	writes := 0
	for i := range maxPersistent + 3*aheadOnDisk {
		tab.number(fmt.Sprint(i), 1)
		if a.dirty && i >= maxPersistent {
			writes++
		}
		a.dirty = false
	}
	if writes < 1 || writes > 3 {
		t.Errorf("%d writes", writes)
	}
}

// To name a row is to keep it.
func TestAliasKeepsARowOnDisk(t *testing.T) {
	n := &node{path: "Device.R.{i}."}
	a := newNumbers()
	tab := a.table(n, nil)
	for i := range maxPersistent + 10 {
		tab.number(fmt.Sprint("k", i), 1)
	}
	key := fmt.Sprint("k", maxPersistent+5)
	was, _ := tab.peek(key)
	tab.setAlias(key, "uplink")
	again := newNumbers()
	if err := again.load(a.text()); err != nil {
		t.Fatal(err)
	}
	tab = again.table(n, nil)
	if k, ok := tab.byAlias("uplink"); !ok || k != key || tab.number(k, 0) != was {
		t.Errorf("after a restart the alias is of %q %v", k, ok)
	}
}

// A row bound while a pass is under way was not there for it to meet.
func TestBoundUnderAWalk(t *testing.T) {
	tab := newNumbers().table(&node{path: "Device.R.{i}."}, nil)
	for i := range deadPersistent + 10 {
		tab.number(fmt.Sprint("dead", i), tab.begin())
	}
	pass := tab.begin()
	num := tab.reserve()
	tab.bind("new", num)
	tab.end(pass, 0)
	if got, ok := tab.peek("new"); !ok || got != num {
		t.Errorf("the row is %d, %v after the pass; was given %d", got, ok, num)
	}
}

// A row that takes the key of one that went long ago is one row with one
// number, also on disk.
func TestRekeyOntoADeadKey(t *testing.T) {
	a := newNumbers()
	n := &node{path: "Device.R.{i}."}
	tab := a.table(n, nil)
	tab.number("gone", 1)
	tab.number("row", 1)
	a.rekey(n.path, nil, "row", "gone", false)
	if key, ok, _ := tab.key(1); ok {
		t.Errorf("1 is %q, too", key)
	}
	again := newNumbers()
	if err := again.load(a.text()); err != nil {
		t.Error(err)
	}
	if got, _ := again.table(n, nil).peek("gone"); got != 2 {
		t.Errorf("after a restart the row is %d", got)
	}
}
