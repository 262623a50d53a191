package xmpp

import (
	"math"
	"time"
)

// retry says how long to wait before the next attempt: at random up to a
// ceiling that grows with each (Device.XMPP.Connection.{i}.ServerRetry…, after
// RFC 6120 3.3).
type retry struct {
	rand func(n int64) int64 // in [0,n)
}

// authStart is where the sequence starts after a refused password, so that a
// wrong one does not hammer the server.
const authStart = 5

// ceiling is the longest wait before the n-th attempt, n = 1, 2, ….
func ceiling(p Params, n int) time.Duration {
	initial, factor, most := float64(p.RetryInitial), float64(p.RetryMultiplier)/1000, float64(p.RetryMax)
	if initial <= 0 {
		initial = 60
	}
	if factor < 1 {
		factor = 2
	}
	if most <= 0 {
		most = 30720
	}
	return time.Duration(min(most, initial*math.Pow(factor, float64(n-1))) * float64(time.Second))
}

// wait returns the n-th wait; full means all of its ceiling.
func (r retry) wait(p Params, n int, full bool) time.Duration {
	top := ceiling(p, max(n, 1))
	if full {
		return top
	}
	return time.Duration(r.rand(int64(top) + 1))
}
