package endpoint

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"golang.org/x/net/dns/dnsmessage"
)

func names(f Found) (out []string) {
	for _, t := range f.Targets {
		out = append(out, t.String())
	}
	return out
}

// The network that the founding document shows: two sites behind SRV records,
// and a name of its own for each kind of client.
var sites = zone(
	"_xsi-client._tcp.webex-app-xsp.example.com. 300 SRV 1 50 443 xsp-dc1.example.com.",
	"_xsi-client._tcp.webex-app-xsp.example.com. 300 SRV 2 50 8443 xsp-dc2.example.com.",
	"xsp-dc1.example.com. 60 A 198.51.100.48",
	"xsp-dc2.example.com. 300 A 198.51.100.49",
	"webex-cloud-xsp.example.com. 300 A 198.51.100.48",
	"webex-cloud-xsp.example.com. 300 A 198.51.100.49",
	"_rueconfig._tcp.p.example. 300 SRV 0 0 443 server.p.example.",
	"server.p.example. 300 A 198.51.100.83",
	"config.q.example. 300 A 198.51.100.84",
	"_rueconfig._tcp.none.example. 300 SRV 0 0 0 .",
	"config.none.example. 300 A 198.51.100.85",
	"_rueconfig._tcp.half.example. 300 SRV 0 0 443 gone.half.example.",
	"_rueconfig._tcp.half.example. 300 SRV 1 0 444 server.p.example.",
	"_rueconfig._tcp.lost.example. 300 SRV 0 0 443 gone.half.example.",
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name   string
		search Search
		want   []string
		srv    bool
	}{
		// S001-41, S001-43, S001-52, S001-53: the app's servers by SRV, all of
		// them resolved at once, the lower priority first.
		{"SRV", Search{Service: "xsi-client", Domain: "webex-app-xsp.example.com"},
			[]string{"xsp-dc1.example.com (198.51.100.48:443)", "xsp-dc2.example.com (198.51.100.49:8443)"}, true},
		// S001-30, S001-31, S001-47: the cloud's by address, without SRV.
		{"addresses", Search{Domain: "webex-cloud-xsp.example.com", Port: 443},
			[]string{"webex-cloud-xsp.example.com (198.51.100.48:443)", "webex-cloud-xsp.example.com (198.51.100.49:443)"}, false},
		// S001-46, discovery A6: who must always meet the same server.
		{"single", Search{Domain: "webex-cloud-xsp.example.com", Port: 443, Single: true},
			[]string{"webex-cloud-xsp.example.com (198.51.100.48:443)"}, false},
		// S000-02, S000-03, S000-04, S000-06.
		{"provider with SRV", Search{Service: "rueconfig", Domain: "p.example", Fallback: "config.p.example", Port: 443},
			[]string{"server.p.example (198.51.100.83:443)"}, true},
		// S000-05, S001-42.
		{"provider without", Search{Service: "rueconfig", Domain: "q.example", Fallback: "config.q.example", Port: 443},
			[]string{"config.q.example (198.51.100.84:443)"}, false},
		{"a target without address", Search{Service: "rueconfig", Domain: "half.example", Fallback: "config.half.example", Port: 443},
			[]string{"server.p.example (198.51.100.83:444)"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := resolver(t, sites)
				defer w.wg.Wait()
				f, err := r.Find(t.Context(), c.search)
				if err != nil {
					t.Fatal(err)
				}
				if got := names(f); !slices.Equal(got, c.want) || f.SRV != c.srv {
					t.Errorf("got %v, SRV %v; want %v", got, f.SRV, c.want)
				}
				if c.search.Single && len(f.Several) != 1 {
					t.Errorf("no word of the address that was left out: %v", f.Several)
				}
			})
		})
	}
}

// A search falls back only when DNS has said that there is nothing.
func TestFindNoFallback(t *testing.T) {
	fallback := "config.p.example. 300 A 198.51.100.84"
	addressOnly := func(srv nameServer) nameServer {
		return func(network string, q *dnsmessage.Message) []*dnsmessage.Message {
			if q.Questions[0].Type == dnsmessage.TypeSRV {
				return srv(network, q)
			}
			return zone(fallback)(network, q)
		}
	}
	var noAnswer *NoAnswerError
	for _, c := range []struct {
		name    string
		server  nameServer
		silence bool
		is      error
		as      any
	}{
		{"SERVFAIL", addressOnly(says(dnsmessage.RCodeServerFailure)), false, nil, &noAnswer},
		{"silence", addressOnly(silent), false, nil, &noAnswer},
		{"not here", addressOnly(zone("_rueconfig._tcp.p.example. 300 SRV 0 0 0 .")), true, ErrNoService, nil},
		{"silence, and told to go on", addressOnly(silent), true, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := resolver(t, c.server)
				defer w.wg.Wait()
				f, err := r.Find(t.Context(), Search{Service: "rueconfig", Domain: "p.example", Fallback: "config.p.example", Port: 443, OnSilence: c.silence})
				switch {
				case c.is == nil && c.as == nil:
					if err != nil || len(f.Targets) != 1 || f.SRV {
						t.Errorf("got %v, %v", f, err)
					}
				case c.is != nil && !errors.Is(err, c.is), c.as != nil && !errors.As(err, c.as):
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// A domain whose SRV records lead nowhere is an error, not a reason to guess.
func TestFindLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := resolver(t, sites)
		defer w.wg.Wait()
		if f, err := r.Find(t.Context(), Search{Service: "rueconfig", Domain: "lost.example", Fallback: "config.q.example", Port: 443}); !errors.Is(err, ErrNoSuchName) {
			t.Errorf("got %v, %v", f, err)
		}
	})
}
