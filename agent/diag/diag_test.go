package diag

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
)

// prober answers each echo request after its time, as reply says.
type prober struct {
	reply func(n int, p platform.Probe) (platform.Reply, error)
	sent  atomic.Int32 // requests
}

// Probe implements platform.Prober.
func (p *prober) Probe(ctx context.Context, x platform.Probe) (platform.Reply, error) {
	reply, err := p.reply(int(p.sent.Add(1)), x)
	if !sleep(ctx, reply.RTT) {
		return platform.Reply{}, ctx.Err()
	}
	return reply, err
}

var (
	target = netip.MustParseAddr("192.0.2.7")
	router = netip.MustParseAddr("192.0.2.1")
)

func echo(rtt time.Duration) platform.Reply {
	return platform.Reply{Kind: platform.Echoed, From: target, RTT: rtt}
}

// bench is a Keeper in the middle of a test.
type bench struct {
	*Keeper
	prober *prober
	done   atomic.Int32 // how often it said that a test was over
}

// onBench runs f beside a Keeper, in virtual time.
func onBench(t *testing.T, reply func(n int, p platform.Probe) (platform.Reply, error), f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{prober: &prober{reply: reply}}
		wake := make(chan struct{}, 1)
		b.Keeper = New(Config{
			Prober: b.prober,
			Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
				if host != "host.example" {
					return nil, errors.New("no such host")
				}
				return []netip.Addr{target}, nil
			},
			Quiet: func(context.Context) error { return nil },
			Done:  func() { b.done.Add(1) },
			Wake: func() {
				select {
				case wake <- struct{}{}:
				default:
				}
			},
			Now: time.Now,
			Log: slog.New(slog.DiscardHandler),
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				if again, err := b.Turn(ctx); err != nil || again != 0 {
					t.Error(again, err)
				}
				select {
				case <-wake:
				case <-ctx.Done():
				}
			}
		}()
		f(b)
		stop()
		<-ended
	})
}

// request asks for a test of a host, count times.
func (b *bench) request(kind tr181.TestKind, host string, count uint32) {
	t := tr181.FreshTest(kind)
	t.State, t.Target, t.Count = tr181.TestRequested, host, count
	b.SetTest(kind, t)
}

// Each test ends in the state that says how it went, with what it found, and
// that it is over is told once.
func TestStates(t *testing.T) {
	always := func(r platform.Reply, err error) func(int, platform.Probe) (platform.Reply, error) {
		return func(int, platform.Probe) (platform.Reply, error) { return r, err }
	}
	unreachable := platform.Reply{Kind: platform.Unreachable, From: router, Code: 1}
	expired := platform.Reply{Kind: platform.Expired, From: router, RTT: time.Millisecond}
	for name, x := range map[string]struct {
		kind  tr181.TestKind
		host  string
		count uint32
		reply func(int, platform.Probe) (platform.Reply, error)
		state string
		found tr181.TestResult
	}{
		"ping": {tr181.IPPing, "host.example", 3, func(n int, _ platform.Probe) (platform.Reply, error) {
			return echo(time.Duration(n) * 10 * time.Millisecond), nil
		}, "Complete", tr181.TestResult{Address: "192.0.2.7", Success: 3,
			Minimum: 10 * time.Millisecond, Average: 20 * time.Millisecond, Maximum: 30 * time.Millisecond}},
		"ping with losses": {tr181.IPPing, "host.example", 2, func(n int, _ platform.Probe) (platform.Reply, error) {
			return []platform.Reply{{}, echo(time.Second)}[n-1], nil
		}, "Complete", tr181.TestResult{Address: "192.0.2.7", Success: 1, Failure: 1, Minimum: time.Second, Average: time.Second, Maximum: time.Second}},
		"ping into silence":    {tr181.IPPing, "host.example", 2, always(platform.Reply{}, nil), "Complete", tr181.TestResult{Address: "192.0.2.7", Failure: 2}},
		"ping without a host":  {tr181.IPPing, "", 2, nil, "Error_CannotResolveHostName", tr181.TestResult{}},
		"ping of an odd name":  {tr181.IPPing, "nowhere.example", 2, nil, "Error_CannotResolveHostName", tr181.TestResult{}},
		"ping without a route": {tr181.IPPing, "host.example", 2, always(platform.Reply{}, platform.ErrNoRoute), "Error_NoRouteToHost", tr181.TestResult{Address: "192.0.2.7"}},
		"ping of the unreachable": {tr181.IPPing, "host.example", 2, always(unreachable, nil), "Error_NoRouteToHost",
			tr181.TestResult{Address: "192.0.2.7", Failure: 2}},
		"ping without a socket": {tr181.IPPing, "host.example", 2, always(platform.Reply{}, errors.New("no socket")), "Error_Internal", tr181.TestResult{Address: "192.0.2.7"}},
		"trace": {tr181.TraceRoute, "host.example", 1, func(n int, p platform.Probe) (platform.Reply, error) {
			return []platform.Reply{expired, {}, echo(time.Second)}[p.TTL-1], nil
		}, "Complete", tr181.TestResult{Address: "192.0.2.7", ResponseTime: time.Second, Hops: []tr181.Hop{
			{From: "192.0.2.1", Times: []time.Duration{time.Millisecond}}, {Times: []time.Duration{0}}, {From: "192.0.2.7", Times: []time.Duration{time.Second}}}}},
		"trace to a dead end": {tr181.TraceRoute, "host.example", 1, always(unreachable, nil), "Error_NoRouteToHost",
			tr181.TestResult{Address: "192.0.2.7", Hops: []tr181.Hop{{From: "192.0.2.1", Code: 1, Times: []time.Duration{0}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, x.reply, func(b *bench) {
				b.request(x.kind, x.host, x.count)
				if got := b.Test(x.kind); got.State != "Requested" || !reflect.DeepEqual(got.Result, tr181.TestResult{}) {
					t.Errorf("before it ran: %s, %+v", got.State, got.Result)
				}
				time.Sleep(time.Minute)
				if got := b.Test(x.kind); got.State != x.state || !reflect.DeepEqual(got.Result, x.found) {
					t.Errorf("%s, %+v\nwant %s, %+v", got.State, got.Result, x.state, x.found)
				}
				if b.done.Load() != 1 {
					t.Errorf("told %d times", b.done.Load())
				}
			})
		})
	}
}

// A route that is longer than MaxHopCount.
func TestTooManyHops(t *testing.T) {
	onBench(t, func(int, platform.Probe) (platform.Reply, error) {
		return platform.Reply{Kind: platform.Expired, From: router}, nil
	}, func(b *bench) {
		b.request(tr181.TraceRoute, "host.example", 2)
		time.Sleep(time.Minute)
		got := b.Test(tr181.TraceRoute)
		if got.State != "Error_MaxHopCountExceeded" || len(got.Result.Hops) != int(got.MaxHops) || b.prober.sent.Load() != 2*int32(got.MaxHops) {
			t.Errorf("%s after %d hops and %d requests", got.State, len(got.Result.Hops), b.prober.sent.Load())
		}
	})
}

// A write while a test runs ends it: it sends nothing more, nothing is told, and
// what it had found does not show. Another request runs anew, from the start.
func TestWriteEndsWhatRuns(t *testing.T) {
	for _, state := range []string{"None", "Canceled"} {
		onBench(t, func(int, platform.Probe) (platform.Reply, error) { return echo(time.Millisecond), nil }, func(b *bench) {
			b.request(tr181.IPPing, "host.example", 100)
			time.Sleep(9500 * time.Millisecond)
			changed := b.Test(tr181.IPPing)
			if changed.State != "Requested" || b.prober.sent.Load() != 10 {
				t.Fatalf("under way: %s, %d requests", changed.State, b.prober.sent.Load())
			}
			changed.State, changed.Count = state, 2
			b.SetTest(tr181.IPPing, changed)
			time.Sleep(time.Hour)
			if got := b.Test(tr181.IPPing); !reflect.DeepEqual(got, changed) || b.prober.sent.Load() != 10 || b.done.Load() != 0 {
				t.Errorf("%+v after %d requests, told %d times", got, b.prober.sent.Load(), b.done.Load())
			}
			changed.State = "Requested"
			b.SetTest(tr181.IPPing, changed)
			time.Sleep(time.Hour)
			if got := b.Test(tr181.IPPing); got.State != "Complete" || got.Result.Success != 2 || b.done.Load() != 1 {
				t.Errorf("requested again: %s, %+v, told %d times", got.State, got.Result, b.done.Load())
			}
		})
	}
}

// A test that is requested again while it runs begins anew, and ends once.
func TestRequestedAgain(t *testing.T) {
	onBench(t, func(int, platform.Probe) (platform.Reply, error) { return echo(time.Millisecond), nil }, func(b *bench) {
		b.request(tr181.IPPing, "host.example", 5)
		time.Sleep(2500 * time.Millisecond)
		b.request(tr181.IPPing, "host.example", 5)
		time.Sleep(time.Hour)
		if got := b.Test(tr181.IPPing); got.State != "Complete" || got.Result.Success != 5 || b.prober.sent.Load() != 3+5 || b.done.Load() != 1 {
			t.Errorf("%s, %+v after %d requests, told %d times", got.State, got.Result, b.prober.sent.Load(), b.done.Load())
		}
	})
}

// The result of one run is all that the next leaves of it: nothing of the one
// before stays beside an error.
func TestResultsAreReplaced(t *testing.T) {
	onBench(t, func(int, platform.Probe) (platform.Reply, error) { return echo(time.Millisecond), nil }, func(b *bench) {
		b.request(tr181.IPPing, "host.example", 1)
		time.Sleep(time.Minute)
		again := b.Test(tr181.IPPing)
		if again.Result.Success != 1 {
			t.Fatalf("%+v", again)
		}
		again.State, again.Target = "Requested", "nowhere.example"
		b.SetTest(tr181.IPPing, again)
		time.Sleep(time.Minute)
		if got := b.Test(tr181.IPPing); got.State != "Error_CannotResolveHostName" || !reflect.DeepEqual(got.Result, tr181.TestResult{}) {
			t.Errorf("%s, %+v", got.State, got.Result)
		}
	})
}

// One test runs at a time; the next waits for it, and a long one ends after ten
// minutes, with what it has found.
func TestOneAtATimeAndNotForEver(t *testing.T) {
	onBench(t, func(int, platform.Probe) (platform.Reply, error) { return echo(time.Millisecond), nil }, func(b *bench) {
		b.request(tr181.IPPing, "host.example", 4_000_000_000)
		b.request(tr181.TraceRoute, "host.example", 1)
		time.Sleep(longest - time.Second/2)
		if got := b.Test(tr181.TraceRoute); got.State != "Requested" || b.done.Load() != 0 {
			t.Errorf("the second is %s, while the first runs", got.State)
		}
		time.Sleep(time.Minute)
		if got := b.Test(tr181.IPPing); got.State != "Error_Other" || got.Result.Success != 600 {
			t.Errorf("the first: %s, %+v", got.State, got.Result)
		}
		if got := b.Test(tr181.TraceRoute); got.State != "Complete" || b.done.Load() != 2 {
			t.Errorf("the second: %s, told %d times", got.State, b.done.Load())
		}
	})
}
