package xmpp

import (
	"context"
	"sync"
	"time"
)

// pokes are what others want of the connection's goroutine.
type pokes uint8

const (
	pokeStop    pokes = 1 << iota // end, politely
	pokeChanged                   // parameters may have changed
	pokeUp                        // the network came up, or is another one
	pokeClock                     // the wall clock was set
)

// urgent pokes end an attempt that is under way.
const urgent = pokeStop | pokeChanged

// bell wakes the one goroutine of a connection, whatever it sleeps in: a read
// (its deadline is moved into the past), a wait (ring is ready) or an attempt
// to connect (its context is cancelled).
type bell struct {
	ring chan struct{} // capacity 1

	mu     sync.Mutex
	rung   pokes
	line   deadliner
	cancel context.CancelFunc
}

type deadliner interface{ SetReadDeadline(time.Time) error }

// poke never blocks.
func (b *bell) poke(p pokes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung |= p
	if b.line != nil {
		_ = b.line.SetReadDeadline(time.Unix(1, 0)) // a dead line fails its read by itself
	}
	if b.cancel != nil && p&urgent != 0 {
		b.cancel()
	}
	select {
	case b.ring <- struct{}{}:
	default:
	}
}

// take returns the pokes that have not been taken.
func (b *bell) take() pokes {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.rung
	b.rung = 0
	return p
}

// reading is called before each read from line: the read ends at the deadline,
// zero for none, or at a poke. A poke that has come before ends it at once.
func (b *bell) reading(line deadliner, until time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = line
	if b.rung != 0 {
		until = time.Unix(1, 0)
	}
	return line.SetReadDeadline(until)
}

// attempting lets urgent pokes cancel an attempt; nil ends it. So does gone,
// when there is nothing to read from any more.
func (b *bell) attempting(cancel context.CancelFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancel = cancel
	if cancel != nil && b.rung&urgent != 0 {
		cancel()
	}
}

func (b *bell) gone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = nil
}
