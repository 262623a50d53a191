package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/settings"
	"gatehouse/datamodel/tr181"
)

// A transaction that touches the way to the ACS is on trial: when the ACS can
// no longer be reached after it, nobody could mend that from afar, so it is
// taken back (design §3). A way that was not good before proves nothing.

const (
	wayGone   = 3 * time.Minute  // with the link up and no way to the ACS, until all on trial is taken back
	tryEvery  = 15 * time.Second // between two looks for it
	tryLasts  = 10 * time.Second // one look
	firstTry  = time.Second      // from the commit, or the end of the session
	leaveTalk = time.Minute      // a session under way is not disturbed for as long
)

// A way is what is known of the way to the ACS.
type way struct {
	good  atomic.Bool // the last session, since a link upstream came up, had an answer
	trial *chore      // something may be on trial
}

// startAftermath reads what an earlier process has left. Nothing of it is done
// yet.
func (a *Agent) startAftermath() {
	m := &aftermath{
		run: a.run.File("after", 1), flash: a.state.File("undo", 1), bootID: a.bootID,
		log:   a.log.With("component", "after"),
		work:  map[string]func(context.Context, []string) error{},
		good:  a.way.good.Load,
		trial: func() { a.way.trial.poke() },
		after: a.afterWork,
		again: func(pause time.Duration) { time.AfterFunc(pause, func() { a.post(core.After{}) }) },
	}
	if c := a.cfg.Platform.Config; c != nil {
		m.work[reload] = c.Reload
	}
	m.work[tr181.ResetInterface] = func(ctx context.Context, keys []string) error { return a.model.ResetInterfaces(ctx, keys) }
	m.work[tr181.RenewLease] = func(ctx context.Context, keys []string) error { return a.model.RenewLeases(ctx, keys) }
	m.work[tr181.FetchProvider] = func(context.Context, []string) error {
		if a.provider != nil {
			a.provider.FetchProvider()
		}
		return nil
	}
	m.load()
	if m.onTrial() {
		a.way.trial.poke()
	}
	a.after = m
}

// afterWork follows the reload of services: what they have set up may lack rows
// that the agent keeps, and what was taken back is news for everybody, the ACS
// above all, which takes what it wrote for what is there.
func (a *Agent) afterWork(takenBack bool) {
	a.model.Reloaded()
	a.networks.poke()
	a.hint(tr181.ConfigChanged) // what is configured is in effect now
	if !takenBack {
		return
	}
	a.mappings.poke()
	a.resync()
	a.tell(ofSettings)
	a.post(core.ValueChange{})
}

// try takes back what cuts the agent off: it looks for the ACS until it is there
// or everything on trial is taken back. It returns the error of ctx only.
func (a *Agent) try(ctx context.Context) (again time.Duration, err error) {
	began, looked := time.Now(), time.Now()
	var gone time.Duration
	for pause := firstTry; a.after.onTrial(); pause = tryEvery {
		if err := sleep(ctx, pause); err != nil {
			return 0, err
		}
		since := time.Since(looked)
		looked = time.Now()
		talking := a.core.Status().State == core.InSession && time.Since(began) < leaveTalk
		if talking || !a.after.inEffect() || a.unplugged(ctx) {
			continue
		}
		err := a.reachACS(ctx)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err == nil {
			a.after.confirm()
			return 0, nil
		}
		gone += since
		a.log.Warn("the ACS cannot be reached since something was changed", "for", gone.Round(time.Second), "taken back after", wayGone, "err", err)
		if gone < wayGone {
			continue
		}
		a.after.giveUp(ctx, err)
		a.post(core.NetworkUp{})
		gone = 0 // what could not be taken back is tried again
	}
	return 0, nil
}

// reachACS looks whether there is a way to the ACS: a route, a name server that
// knows it, somebody who answers TCP. Who refuses the connection is there.
func (a *Agent) reachACS(ctx context.Context) error {
	acs := a.settings.Get(settings.URL)
	u, err := url.Parse(acs)
	if err != nil || u.Host == "" {
		return nil // nobody to be reached
	}
	dialer, err := a.dialer(a.log.With("component", "trial"))
	if err != nil {
		return err
	}
	dialer.Resolver.Flush() // what was known of names before the change proves nothing
	ctx, cancel := context.WithTimeout(ctx, tryLasts)
	defer cancel()
	conn, err := dialer.Session()(ctx, "tcp", net.JoinHostPort(u.Hostname(), portOfURL(u)))
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	return conn.Close()
}

// unplugged reports whether a link upstream is switched on and has no carrier:
// no change of ours pulls a cable.
func (a *Agent) unplugged(ctx context.Context) bool {
	links := a.cfg.Platform.Links
	if links == nil {
		return false
	}
	upstream := a.reach.upstream()
	cut := false
	for l, err := range links.Links(ctx) {
		if err != nil {
			return false
		}
		if !slices.Contains(upstream, l.Name) && !l.Upstream {
			continue
		}
		if l.Running {
			return false
		}
		cut = cut || l.Enabled
	}
	return cut
}

// onTrial reports whether something is.
func (m *aftermath) onTrial() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.list, func(c *commitment) bool { return c.uplink })
}

// inEffect reports whether what is on trial has been taken up by now.
func (m *aftermath) inEffect() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.ContainsFunc(m.list, func(c *commitment) bool { return c.uplink && !c.done })
}

// confirm ends the trial of all that is in effect: the ACS was reached.
func (m *aftermath) confirm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := false
	for _, c := range m.list {
		ended = ended || c.uplink && c.done
		c.uplink = c.uplink && !c.done
	}
	if ended {
		m.tidy()
		m.saveOrWarn()
	}
}

// giveUp takes back everything that is on trial, and what came after it. What
// fails to be taken back stays on trial.
func (m *aftermath) giveUp(ctx context.Context, why error) {
	m.working.Lock()
	defer m.working.Unlock()
	n := 0
	err := m.undo(context.WithoutCancel(ctx), m.newest(func(c *commitment) bool {
		if !m.onTrial() {
			return false
		}
		m.mu.Lock()
		m.owed = union(m.owed, c.after)
		m.mu.Unlock()
		n++
		return true
	}))
	m.mu.Lock()
	again := m.owed
	m.owed = nil
	m.tidy()
	m.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, reloadLasts)
	defer cancel()
	undone, failed := m.perform(limited, again)
	err = errors.Join(err, failed)
	text := fmt.Sprintf("the ACS could not be reached for %v after the last changes, which are taken back (%v)", wayGone, why)
	if err != nil {
		text = fmt.Sprintf("%s; not all could be: %v", text, err)
	}
	m.log.Error(text, "transactions", n)
	m.mu.Lock()
	m.trouble = sentence(text)
	m.owed = union(m.owed, m.patient(undone))
	m.saveOrWarn()
	m.mu.Unlock()
	m.after(true)
}

// portOfURL is the port of an ACS.
func portOfURL(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
}
