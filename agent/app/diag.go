package app

import (
	"context"
	"net"
	"net/netip"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/diag"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/endpoint"
)

// startDiagnostics makes the tests that an ACS can ask for.
func (a *Agent) startDiagnostics() *diag.Keeper {
	a.diag = diag.New(diag.Config{
		Prober: a.cfg.Platform.Prober,
		Links:  a.cfg.Platform.Links,
		Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			found, err := names{a}.Lookup(ctx, host)
			return found.Addrs, err
		},
		Dial:  a.dialTest,
		Quiet: func(ctx context.Context) error { return a.quiet(ctx, func(context.Context) error { return nil }) },
		Done:  a.testDone,
		Now: func() time.Time {
			now, _ := a.wall.Now()
			return now
		},
		Wake: func() { a.tests.poke() },
		Log:  a.log.With("component", "diag"),
	})
	a.tests = &chore{name: "diagnostics", turn: a.diag.Turn}
	return a.diag
}

// dialTest connects by the link that a test names, else as sessions do, but for
// the proxy: that is for the ACS.
func (a *Agent) dialTest(ctx context.Context, link, network, addr string) (net.Conn, error) {
	if link != "" && a.cfg.Dial == nil {
		return endpoint.Bound(link)(ctx, network, addr)
	}
	d, err := a.dialer(a.log)
	if err != nil {
		return nil, err
	}
	return d.Base(ctx, network, addr)
}

// testDone tells whoever watches, and the ACS, also of an error.
func (a *Agent) testDone() {
	a.hint(tr181.TestsChanged)
	a.post(core.Occurred{Events: []core.Event{{Code: core.DiagnosticsComplete}}})
}
