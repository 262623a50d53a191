// Package core decides when the agent talks to its ACS and with which events.
//
// One goroutine, Run, owns every field of Agent; others reach it by Post and
// Ask, and look at it through Status. It knows nothing of HTTP, SOAP or the
// data model: a session is a Runner that is handed an Order and comes back
// with a Result.
//
// What must survive a power cut (undelivered events, ScheduleInform
// deadlines, the promise of a reboot, the URL that got its BOOTSTRAP) lies in
// Config.Flash, which is written only when that changes. What must survive a
// restart of the process (RetryCount, whether this boot was reported) lies in
// Config.Run, on a file system in memory.
package core

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// An Order is what a session begins with.
type Order struct {
	ID         string  // correlates the log lines of one session
	URL        string  // the ACS that the order is for
	Events     []Event // at most 64, in the order of the Inform
	RetryCount uint32  // failed attempts so far, not capped
}

// A Result is how a session ended.
type Result struct {
	Err        error         // nil: all phases went through
	Informed   bool          // the InformResponse arrived
	RetryAfter time.Duration // what an HTTP 503 asked for; 0: nothing
}

// A Runner runs one session to its end. It calls informed as soon as the
// InformResponse has arrived; when informed returns, the delivery is on disk.
// Run returns soon after ctx ends.
type Runner interface {
	Run(ctx context.Context, o Order, informed func()) Result
}

// A Backing is one small file that is replaced as a whole. Load returns
// fs.ErrNotExist when there is none. *store.File is one.
type Backing interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// Settings is the part of Device.ManagementServer that core goes by.
type Settings struct {
	EnableCWMP       bool
	URL              string
	PeriodicEnable   bool
	PeriodicInterval uint32    // seconds; 0 counts as 1
	PeriodicTime     time.Time // only the phase matters; year 1 or zero: any phase
	RetryMinimum     uint32    // CWMPRetryMinimumWaitInterval, seconds; 0: 5
	RetryMultiplier  uint32    // CWMPRetryIntervalMultiplier, thousandths; 0: 2000
	Throttle         uint32    // DefaultActiveNotificationThrottle, seconds
	DelayReboot      int32     // seconds after the session; negative: none
	ScheduleReboot   time.Time // zero or past: none
}

// Config is what New needs. Runner, Settings and Now must be given.
type Config struct {
	Runner   Runner
	Settings func() Settings // asked on core's goroutine: at start and at SettingsChanged

	Flash  Backing // nil: nothing survives
	Run    Backing // nil: nothing survives
	BootID string  // another one after each boot of the device; must not be empty when Flash is there

	// Now is the wall clock; known is false while it was never set.
	Now  func() (t time.Time, known bool)
	Rand func(n int64) int64 // uniform in [0, n); nil: math/rand

	// Booted is called once per boot of the device, before anything else:
	// the place to put DelayReboot back to -1. When it fails, DelayReboot is
	// not heeded until it changes. May be nil.
	Booted func(ctx context.Context) error
	// Owed lists, at the start, the undelivered events that calls of their own
	// deliver, as who keeps those calls knows them. Nil: core's own file knows.
	Owed func() []Event
	// Wipe forgets all that the agent keeps, except core's own two files. It
	// may be called again when the power failed on the way.
	Wipe func(ctx context.Context) error
	// Restart restarts the device; factory: with the platform's own settings
	// reset, too. Nil: Reboot and FactoryReset are refused.
	Restart func(ctx context.Context, factory bool) error

	// After does the work that had to wait for the end of a session: the reload
	// of services. It is called once for all that has come together, and no
	// session begins before it returns. May be nil.
	After func(ctx context.Context) error
	// AfterLeft: an earlier process has left such work behind.
	AfterLeft bool

	// Grace is how long a running session may go on after the stop, before
	// its context ends; 0: 15 s. Two seconds later Run returns in any case.
	Grace time.Duration
	Log   *slog.Logger
}

// Errors of Post and Ask.
var (
	ErrStopped     = errors.New("the agent is stopping")
	ErrRange       = errors.New("out of range")
	ErrFull        = errors.New("too many events are waiting to be delivered")
	ErrUnsupported = errors.New("this device cannot be restarted by its agent")
)
