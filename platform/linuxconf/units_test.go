package linuxconf

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// services is a service manager in memory, with knobs.
type services struct {
	known []string         // units that are there
	fail  map[string]error // units that do not do as they are told

	mu   sync.Mutex
	done []string  // "restart dnsmasq.service"
	up   []string  // units that run
	last time.Time // when one was started last
}

func (s *services) Restart(ctx context.Context, unit string) error {
	return s.do(ctx, "restart", unit, func() { s.up, s.last = append(s.up, unit), time.Now() })
}

func (s *services) Stop(ctx context.Context, unit string) error {
	return s.do(ctx, "stop", unit, func() {})
}

func (s *services) do(ctx context.Context, what, unit string, then func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, what+" "+unit)
	s.up = slices.DeleteFunc(s.up, func(u string) bool { return u == unit })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !slices.Contains(s.known, unit):
		return fmt.Errorf("%s: systemd: Unit %s not found.", unit, unit)
	case s.fail[unit] != nil:
		return fmt.Errorf("%s: %w", unit, s.fail[unit])
	}
	then()
	return nil
}

func (s *services) Present(ctx context.Context, unit string) (bool, error) {
	return slices.Contains(s.known, unit), ctx.Err()
}

func (s *services) Since(ctx context.Context, unit string) (time.Time, error) {
	if !s.runs(unit) {
		return time.Time{}, ctx.Err()
	}
	return s.last, ctx.Err()
}

// runs says whether a unit runs.
func (s *services) runs(unit string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.up, unit)
}

// orders are what was asked since the last time.
func (s *services) orders() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.done
	s.done = nil
	return done
}
