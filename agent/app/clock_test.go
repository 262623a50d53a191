package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/platform"
)

// stopped is a clock that says what it is told to.
type stopped struct {
	now time.Time
	set bool
}

func (c stopped) Now() time.Time { return c.now }
func (c stopped) Time(context.Context) (platform.TimeStatus, error) {
	return platform.TimeStatus{Set: c.set}, nil
}

// TestWall: a clock that was never set is no earlier than what is known; one
// that was set is believed, even when the state was written in a wrong future.
func TestWall(t *testing.T) {
	built := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	state := built.AddDate(1, 0, 0)
	for _, tt := range []struct {
		name  string
		clock stopped
		want  time.Time
		known bool
	}{
		{"1970", stopped{time.Unix(0, 0), false}, state, false},
		{"1970, and said to be set", stopped{time.Unix(0, 0), true}, built, false},
		{"before the newest state", stopped{built.AddDate(0, 6, 0), false}, state, false},
		{"set, before the newest state", stopped{built.AddDate(0, 6, 0), true}, built.AddDate(0, 6, 0), true},
		{"later, not set", stopped{state.Add(time.Hour), false}, state.Add(time.Hour), false},
		{"later, set", stopped{state.Add(time.Hour), true}, state.Add(time.Hour), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWall(tt.clock, built, state)
				w.refresh(t.Context())
				if now, known := w.Now(); !now.Equal(tt.want) || known != tt.known {
					t.Errorf("got %v, %v; want %v, %v", now, known, tt.want, tt.known)
				}
			})
		})
	}
}
