package core

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Agent is the state of the conversation with the ACS. Only the goroutine in
// Run touches its fields, but for inbox, done and latest.
type Agent struct {
	cfg    Config
	log    *slog.Logger
	inbox  chan call
	done   chan struct{} // closed when Run has returned
	latest atomic.Pointer[snapshot]
	status Status // of the last sessions; publish fills in the rest

	now   time.Time // monotonic, of this turn of the loop
	wall  time.Time // the wall clock at now
	known bool      // the wall clock has been set

	set   Settings
	d     durable  // what lies in Flash
	r     volatile // what lies in Run
	flash saver
	run   saver

	brokeOff   bool      // a session failed after its Inform was answered, and none went well since
	hurry      bool      // something new: do not wait for retryAt
	urgent     bool      // nor for notBefore
	retryAt    time.Time // end of the back-off; zero: none
	notBefore  time.Time // end of Retry-After; zero: none
	quietUntil time.Time // end of the throttle of value changes
	lastNudge  time.Time // when NetworkUp last cut a wait short

	ref      time.Time // phase of the periodic Inform
	periodic time.Time // wall time of the next one; zero: off
	lastSlot time.Time // wall time of the last one

	delayFrom  time.Time // when DelayReboot began to run; zero: not running
	rebootAt   time.Time // wall time from ScheduleReboot; zero: none
	restartAt  time.Time // not to restart before; zero: at once
	restartTry int

	phase    phase
	ended    chan *ended
	afterDue bool            // there is work for Config.After
	work     context.Context // of transient goroutines
	cancel   context.CancelFunc
	stopping bool
	cutAt    time.Time // when to cancel work
	leaveAt  time.Time // when to return in any case
}

type call struct {
	m   Message
	ack chan<- error // nil: nobody waits
}

// New returns an agent that knows what its files hold. It talks to nobody
// before Run.
func New(c Config) (*Agent, error) {
	if c.Runner == nil || c.Settings == nil || c.Now == nil {
		return nil, errors.New("core: Runner, Settings and Now are needed")
	}
	if c.Flash != nil && c.BootID == "" {
		return nil, errors.New("core: a boot id is needed")
	}
	if c.Rand == nil {
		c.Rand = rand.Int64N
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Grace = cmp.Or(c.Grace, 15*time.Second)
	a := &Agent{
		cfg:   c,
		log:   c.Log,
		inbox: make(chan call),
		done:  make(chan struct{}),
		ended: make(chan *ended, 1),
		flash: saver{b: c.Flash},
		run:   saver{b: c.Run},
	}
	a.latest.Store(&snapshot{Status: Status{State: Idle, Reason: "the agent is starting"}, old: make(chan struct{})})
	return a, nil
}

// Post hands m over and returns when the agent has taken it. It must not be
// called from a function of Config that runs on core's goroutine.
func (a *Agent) Post(ctx context.Context, m Message) error {
	return a.send(ctx, call{m: m})
}

// Ask hands m over and returns when it is applied and on disk. After an error
// the agent holds to nothing that m asked for.
func (a *Agent) Ask(ctx context.Context, m Message) error {
	ack := make(chan error, 1)
	if err := a.send(ctx, call{m, ack}); err != nil {
		return err
	}
	select {
	case err := <-ack:
		return err
	case <-a.done:
		select {
		case err := <-ack:
			return err
		default:
			return ErrStopped
		}
	}
}

func (a *Agent) send(ctx context.Context, c call) error {
	select {
	case a.inbox <- c:
		return nil
	case <-a.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}
