// Package coretest stands in for the core behind a door: it remembers what it
// was told, refuses when it is to, and its status is what a test says.
package coretest

import (
	"context"
	"iter"
	"slices"
	"sync"

	"gatehouse/agent/core"
)

// A Core does nothing of what it is told. It is safe for use by several
// goroutines.
type Core struct {
	news chan core.Status

	mu     sync.Mutex
	asked  []core.Message
	posted []core.Message
	status core.Status
	err    error
}

// New returns a core with that status.
func New(s core.Status) *Core { return &Core{news: make(chan core.Status), status: s} }

// Ask stands for the method of core.Agent.
func (c *Core) Ask(_ context.Context, m core.Message) error { return c.take(&c.asked, m) }

// Post stands for the method of core.Agent.
func (c *Core) Post(_ context.Context, m core.Message) error { return c.take(&c.posted, m) }

func (c *Core) take(into *[]core.Message, m core.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		*into = append(*into, m)
	}
	return c.err
}

// Refuse makes Ask and Post fail with err; nil ends that.
func (c *Core) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Asked is what was not refused of what came by Ask.
func (c *Core) Asked() []core.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// Posted is the same of Post.
func (c *Core) Posted() []core.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.posted)
}

// Status is what New, Set or Tell was given last.
func (c *Core) Status() core.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Set changes the status; no Watch hears of it.
func (c *Core) Set(s core.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = s
}

// Tell changes the status, and returns when one Watch has taken it.
func (c *Core) Tell(s core.Status) {
	c.Set(s)
	c.news <- s
}

// Watch yields the present status and each that is told, until ctx ends.
func (c *Core) Watch(ctx context.Context) iter.Seq[core.Status] {
	return func(yield func(core.Status) bool) {
		for more := yield(c.Status()); more; {
			select {
			case <-ctx.Done():
				return
			case s := <-c.news:
				more = yield(s)
			}
		}
	}
}
