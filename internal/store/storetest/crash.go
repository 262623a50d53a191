package storetest

// The crash matrix: a piece of code is run once for every call it makes to the
// file system, stopped there, and what the next start finds is checked.

import (
	"fmt"
	"syscall"
	"testing"

	"gatehouse/internal/store"
)

// Matrix is one piece of code whose crash points are enumerated.
type Matrix struct {
	// Setup brings a fresh file system to the state before Act.
	Setup func(t testing.TB, fsys *FS)
	// Act is what may be cut short. It runs from the first line again for every
	// case and returns an error if it could not keep what it promises.
	Act func(fsys *FS) error
	// Check looks at what a new start finds. done says that Act had returned nil,
	// so everything it promised must be there; without it the old state is as
	// good as the new one, and a mixture is not.
	Check func(t testing.TB, fsys *FS, done bool)
}

// Run lets Act crash before, in and after every call under every kind of loss,
// and fail with ENOSPC, EROFS and EIO at every call.
func (m Matrix) Run(t *testing.T) {
	t.Helper()
	fsys := New()
	m.Setup(t, fsys)
	first := len(fsys.Calls())
	if err := m.Act(fsys); err != nil {
		t.Fatalf("without any fault: %v", err)
	}
	calls := fsys.Calls()[first:]
	if len(calls) == 0 {
		t.Fatal("nothing was written: there is no crash point to test")
	}
	for _, loss := range Losses { // a crash right after Act has returned
		fsys := New()
		m.Setup(t, fsys)
		if err := m.Act(fsys); err != nil {
			t.Fatal(err)
		}
		m.check(t, fsys.Restart(loss), true, fmt.Sprintf("%s after the end", loss))
	}
	for n, call := range calls {
		for _, fault := range []Fault{{}, {After: true}, {Torn: true}} {
			for _, loss := range Losses {
				m.one(t, first+n, call, fault, loss)
			}
		}
		for _, err := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO} {
			for _, fault := range []Fault{{Err: err}, {Err: err, After: true}, {Err: err, Torn: true}} {
				for _, loss := range Losses {
					m.one(t, first+n, call, fault, loss)
				}
			}
		}
	}
}

func (m Matrix) one(t *testing.T, n int, call string, fault Fault, loss Loss) {
	t.Helper()
	fsys := New()
	m.Setup(t, fsys)
	fsys.Inject(n, fault)
	err := m.Act(fsys)
	what := fmt.Sprintf("%s at %q (error %v, after %v, torn %v)", loss, call, fault.Err, fault.After, fault.Torn)
	m.check(t, fsys.Restart(loss), err == nil, what)
}

func (m Matrix) check(t *testing.T, fsys *FS, done bool, what string) {
	t.Helper()
	m.Check(&named{t, fmt.Sprintf("%s, done %v: ", what, done)}, fsys, done)
	if t.Failed() {
		t.FailNow() // one bad case tells the story, a thousand hide it
	}
}

// named puts the case before each message of a check.
type named struct {
	testing.TB
	name string
}

func (n *named) Errorf(format string, args ...any) {
	n.Helper()
	n.TB.Error(n.name + fmt.Sprintf(format, args...))
}

func (n *named) Error(args ...any) {
	n.Helper()
	n.TB.Error(n.name + fmt.Sprint(args...))
}

func (n *named) Fatalf(format string, args ...any) {
	n.Helper()
	n.TB.Fatal(n.name + fmt.Sprintf(format, args...))
}

func (n *named) Fatal(args ...any) {
	n.Helper()
	n.TB.Fatal(n.name + fmt.Sprint(args...))
}

// Open opens and locks a folder of state files in fsys, as an agent does at
// start.
func Open(t testing.TB, fsys *FS, dir string) *store.Dir {
	t.Helper()
	d, err := store.Open(dir, store.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(); err != nil {
		t.Fatal(err)
	}
	return d
}
