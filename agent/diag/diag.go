// Package diag keeps the tests of Device.IP.Diagnostics. and runs those that
// were requested, one at a time, after the session that asked. Their settings
// and results are the state of the running agent: a restart forgets them.
package diag

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
)

// longest is how long one test may take. An ACS can ask for four billion
// repetitions.
const longest = 10 * time.Minute

// Config is what New needs. Prober and Links may be nil.
type Config struct {
	Prober platform.Prober
	Links  platform.Links // to count all that passes a link

	// Lookup finds the addresses of a name; its error says that there are none.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial connects to a literal address by a link, "" for any.
	Dial func(ctx context.Context, link, network, addr string) (net.Conn, error)
	// Quiet returns when no session runs; its error says that none ever ends.
	Quiet func(ctx context.Context) error
	// Done hears that a test is over, well or not.
	Done func()
	// Wake hears that Turn has something to do. It must not wait.
	Wake func()
	Now  func() time.Time // the wall clock
	Log  *slog.Logger
}

// A Keeper is the tests. Its methods may be called from several goroutines, but
// for Turn, which carries them out.
type Keeper struct {
	Config

	mu    sync.Mutex
	tests [tr181.TestKinds]*entry // nil: nobody has changed it yet
}

// entry is one test. Each change makes it another one: what runs for an older
// one is ended, and its result forgotten.
type entry struct {
	test   tr181.Test
	change uint64
	cancel context.CancelFunc // of what runs; nil: nothing does
}

// New returns the tests as they are at the start.
func New(c Config) *Keeper { return &Keeper{Config: c} }

// CanProbe implements tr181.Diagnostics.
func (k *Keeper) CanProbe() bool { return k.Prober != nil }

// Test implements tr181.Diagnostics.
func (k *Keeper) Test(kind tr181.TestKind) tr181.Test {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.tests[kind]; e != nil {
		return e.test
	}
	return tr181.FreshTest(kind)
}

// SetTest implements tr181.Diagnostics.
func (k *Keeper) SetTest(kind tr181.TestKind, t tr181.Test) {
	k.mu.Lock()
	e := k.tests[kind]
	if e == nil {
		e = new(entry)
		k.tests[kind] = e
	}
	e.test = t
	e.change++
	if e.cancel != nil {
		e.cancel()
	}
	k.mu.Unlock()
	k.Wake()
}

// Turn runs what is requested, until nothing is. It has nothing to do again
// before Wake is called.
func (k *Keeper) Turn(ctx context.Context) (again time.Duration, err error) {
	for ctx.Err() == nil {
		kind, ok := k.requested()
		if !ok {
			return 0, nil
		}
		if err := k.Quiet(ctx); err != nil {
			<-ctx.Done() // the agent ends
			return 0, nil
		}
		k.one(ctx, kind)
	}
	return 0, nil
}

func (k *Keeper) requested() (tr181.TestKind, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, e := range k.tests {
		if e != nil && e.test.State == tr181.TestRequested {
			return tr181.TestKind(i), true
		}
	}
	return 0, false
}

// errLong ends a test.
var errLong = errors.New("over ten minutes")

// one runs a test, unless it was changed meanwhile, and keeps its result, unless
// it is by then.
func (k *Keeper) one(ctx context.Context, kind tr181.TestKind) {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, errLong)
	defer cancel()
	k.mu.Lock()
	e := k.tests[kind]
	t, change := e.test, e.change
	e.cancel = cancel
	k.mu.Unlock()
	if t.State != tr181.TestRequested {
		return
	}
	result, err := k.run(ctx, kind, t)
	if context.Cause(ctx) == errLong {
		err = errLong
	}
	k.mu.Lock()
	e.cancel = nil
	current := e.change == change && (ctx.Err() == nil || err == errLong)
	if current {
		e.test.State, e.test.Result = stateOf(err), result
	}
	k.mu.Unlock()
	if !current {
		return
	}
	if err != nil {
		k.Log.Info("diagnostics failed", "test", kind, "err", err)
	}
	k.Done()
}

func (k *Keeper) run(ctx context.Context, kind tr181.TestKind, t tr181.Test) (tr181.TestResult, error) {
	switch kind {
	case tr181.IPPing:
		return k.ping(ctx, t)
	case tr181.TraceRoute:
		return k.trace(ctx, t)
	}
	return k.transfer(ctx, t, kind == tr181.UploadTest)
}

// An Error is a failure with the state that tells it.
type Error struct {
	State string // "Error_NoRouteToHost"
	Err   error
}

// Error is the text of the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.State
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// stateOf is the DiagnosticsState behind an error.
func stateOf(err error) string {
	var e *Error
	switch {
	case err == nil:
		return tr181.TestComplete
	case errors.As(err, &e):
		return e.State
	case errors.Is(err, platform.ErrNoRoute):
		return "Error_NoRouteToHost"
	case err == errLong:
		return "Error_Other"
	}
	return "Error_Internal"
}

// find returns the address to test.
func (k *Keeper) find(ctx context.Context, host, protocol string) (netip.Addr, error) {
	if host == "" {
		return netip.Addr{}, &Error{"Error_CannotResolveHostName", errors.New("no host was given")}
	}
	addrs, err := k.Lookup(ctx, host)
	for _, a := range addrs {
		if protocol == "Any" || protocol == "" || a.Is4() == (protocol == "IPv4") {
			return a, nil
		}
	}
	return netip.Addr{}, &Error{"Error_CannotResolveHostName", err}
}
