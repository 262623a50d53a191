// Port mappings that last for a while. TR-181 of PortMapping.LeaseDuration: it
// "counts down toward 0", and when the lease expires, the device must delete the
// row.
//
// The platform keeps the end of a lease as a time of the wall clock, so that it
// goes on over a reboot. While the clock is not set there is no such time: the
// lease runs on the clock of this process, and gets its end when the clock is
// set. If the device restarts before that, the lease begins anew; and one whose
// end is known waits for the clock before it is over.

package tr181

import (
	"context"
	"errors"
	"sync"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// mappingLeases are the leases that run without a wall clock, by the key of
// their mapping.
type mappingLeases struct {
	mu  sync.Mutex
	end map[string]time.Time // with the monotonic clock
}

// A wallClock is the time of day, and whether it is known.
type wallClock struct {
	now time.Time
	set bool
}

func (m *Model) wallClock(ctx context.Context) (wallClock, error) {
	if m.p.Clock == nil {
		return wallClock{m.now(), true}, nil
	}
	s, err := m.readTime(ctx)
	return wallClock{m.now(), s.Set}, err
}

// left is what remains of the lease of a mapping, 0 when it has none; over says
// that it has ended.
func (l *mappingLeases) left(key string, row platform.PortMapping, wall wallClock) (left time.Duration, over bool) {
	if row.Lease <= 0 && row.Expires.IsZero() {
		return 0, false
	}
	switch {
	case !row.Expires.IsZero() && !wall.set:
		return max(row.Lease, time.Second), false
	case !row.Expires.IsZero():
		left = row.Expires.Sub(wall.now)
	default:
		l.mu.Lock()
		end, ok := l.end[key]
		l.mu.Unlock()
		if left = row.Lease; ok {
			left = time.Until(end)
		}
	}
	if row.Lease > 0 && left > row.Lease+time.Second { // the clock went back
		left = row.Lease
	}
	return left, left <= 0
}

// begin lets a lease run on our own clock, if it does not yet.
func (l *mappingLeases) begin(key string, lease time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end == nil {
		l.end = map[string]time.Time{}
	}
	if _, ok := l.end[key]; !ok {
		l.end[key] = time.Now().Add(lease)
	}
}

func (l *mappingLeases) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.end, key)
}

// startLease gives row a lease from now on; 0 makes it last for ever.
func (m *Model) startLease(ctx context.Context, tx *datamodel.Tx, key string, row *platform.PortMapping, lease time.Duration) error {
	row.Lease, row.Expires = lease, time.Time{}
	wall, err := m.wallClock(ctx)
	if err != nil {
		return err
	}
	if lease > 0 && wall.set {
		row.Expires = wall.now.Add(lease + time.Second - 1).Truncate(time.Second)
		return nil
	}
	_, err = datamodel.Enlist(tx, "lease "+key, func() (renewal, error) { return renewal{m, key}, nil })
	return err
}

// A renewal is a participant: a lease that runs on our own clock begins anew
// once it is written.
type renewal struct {
	m   *Model
	key string
}

func (renewal) Prepare(context.Context) error { return nil }
func (r renewal) Commit(context.Context) (deferred bool, err error) {
	r.m.mappingLeases.forget(r.key)
	return false, nil
}
func (renewal) Rollback(context.Context) error { return nil }

// leaseRetry is when ExpireMappings tries again what did not go.
const leaseRetry = time.Minute

// ExpireMappings deletes the port mappings whose lease is over, and gives those
// an end that have none yet. It is called at start, after every change of the
// configuration and of the clock, and after next; zero: there is nothing to wait
// for. reloads are the services that have to take the deletions up, once no
// session is under way.
//
// It takes the turn of a transaction, so that nobody writes meanwhile. After an
// error it is to be called again after next, too.
func (m *Model) ExpireMappings(ctx context.Context, t *datamodel.Tree) (next time.Duration, reloads []string, err error) {
	if m.p.Config == nil || m.p.NAT.Mappings == nil {
		return 0, nil, nil
	}
	tx, err := t.Begin(ctx)
	if err != nil {
		return leaseRetry, nil, err
	}
	defer tx.Abort()
	wall, err := m.wallClock(ctx)
	if err != nil {
		return leaseRetry, nil, err
	}
	e := expiry{m: m, wall: wall}
	if e.batch, err = m.p.Config.Begin(ctx); err != nil {
		return leaseRetry, nil, lacking(err)
	}
	if err := e.run(ctx); err != nil {
		return leaseRetry, nil, errors.Join(lacking(err), e.batch.Rollback(context.WithoutCancel(ctx)))
	}
	return e.next, e.reloads, nil
}

// expiry is one run of ExpireMappings.
type expiry struct {
	m        *Model
	wall     wallClock
	batch    platform.ConfigBatch
	over     int // deleted
	anchored int // given their end
	next     time.Duration
	reloads  []string
}

func (e *expiry) run(ctx context.Context) error {
	for row, err := range e.m.p.NAT.Mappings.Rows(ctx) {
		if err != nil {
			return err
		}
		e.look(row.Key, row.Value)
	}
	if e.over+e.anchored == 0 {
		return e.batch.Rollback(context.WithoutCancel(ctx))
	}
	if err := e.batch.Prepare(ctx); err != nil {
		return err
	}
	if e.over > 0 { // no service has to know when a lease ends
		e.reloads = e.batch.Reloads()
	}
	_, err := e.batch.Commit(ctx)
	return err
}

// look asks for what is due with one mapping.
func (e *expiry) look(key string, row platform.PortMapping) {
	leases, t := &e.m.mappingLeases, e.m.p.NAT.Mappings
	if row.Lease <= 0 && row.Expires.IsZero() {
		leases.forget(key)
		return
	}
	left, over := leases.left(key, row, e.wall)
	switch {
	case over:
		t.Delete(e.batch, key)
		leases.forget(key)
		e.over++
		return
	case row.Expires.IsZero() && e.wall.set:
		row.Expires = e.wall.now.Add(left + time.Second - 1).Truncate(time.Second)
		t.Put(e.batch, key, row)
		e.anchored++
	case row.Expires.IsZero():
		leases.begin(key, row.Lease)
	case !e.wall.set:
		return // until the clock is set nobody knows
	}
	if e.next == 0 || left < e.next {
		e.next = left
	}
}
