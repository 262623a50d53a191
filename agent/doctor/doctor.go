// Package doctor finds out why a router does not reach its ACS. It tests one
// thing after the other, in the order in which a session needs them, says in
// plain words what it found and what to do, and stops where going on makes no
// sense.
//
// It disturbs nobody: it looks up, connects, shakes hands and asks for one page
// with GET. GET is a safe method (RFC 9110 9.2.1), and CWMP consists of POSTs
// alone, so that not even a strict ACS can take it for a session that begins or
// for the empty POST that ends our part of one; whatever it answers shows that
// HTTP is spoken there, and a 401 lets the credentials be tried. HEAD and
// OPTIONS would be as safe, but small servers and firewalls get them wrong. Only
// a session proves the rest; one is held when asked for, by the agent itself.
package doctor

import (
	"context"
	"crypto/tls"
	"iter"
	"net/netip"
	"net/url"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/discovery"
	"gatehouse/agent/settings"
	"gatehouse/internal/endpoint"
	"gatehouse/platform"
)

// A Verdict says how a check went.
type Verdict string

// The verdicts. Only Wrong keeps the agent from its work.
const (
	OK      Verdict = "ok"
	Note    Verdict = "note"    // nothing is wrong; this may be news
	Warning Verdict = "warning" // it works, or may, but somebody should know
	Wrong   Verdict = "wrong"
	Skipped Verdict = "skipped" // because of what was wrong before
)

// A Finding is the outcome of one check.
type Finding struct {
	Check   string   `json:"check"`
	Verdict Verdict  `json:"verdict"`
	Found   string   `json:"found"`             // one sentence
	Advice  string   `json:"advice,omitempty"`  // what to do
	Details []string `json:"details,omitempty"` // one line each
	Took    int64    `json:"took"`              // ms
}

// An Agent is the running agent, as the doctor sees it through its door.
type Agent interface {
	Status(ctx context.Context) (*api.Status, error)
	// Inform has a session start.
	Inform(ctx context.Context) error
	// Last returns what the last session was about; nil: there was none.
	Last(ctx context.Context) (*api.SessionLog, error)
}

// Config is what the doctor works with.
type Config struct {
	// ConfigFile is where the administrator's settings are; Settings are all of
	// them, nil when Mistakes kept them from being read. Warnings are what else
	// was said about the files, a line each.
	ConfigFile string
	Settings   *settings.Settings
	Mistakes   error
	Warnings   []string
	State      string // folder of the state files

	Identity func(ctx context.Context) error
	TLS      func(scheme string) (*tls.Config, error)
	Dialer   func() (*endpoint.Dialer, error)
	Clock    func() (now time.Time, set bool)
	Links    platform.Links // nil: they cannot be asked
	// Offers are what DHCP says of the ACS; nil: nobody can be asked.
	Offers func(ctx context.Context) ([]discovery.Offer, error)

	// Agent is the one that runs here; nil: none answers, and NoAgent says why.
	Agent   Agent
	NoAgent error

	Offline   bool // nothing but this device is looked at
	Inform    bool // a session is to be held
	UserAgent string
}

// A patient is what has been found out so far.
type patient struct {
	Config
	status *api.Status // nil: no agent answers
	url    *url.URL    // of the ACS
	port   uint16
	dialer *endpoint.Dialer
	addrs  []netip.AddrPort // of the ACS, or of the proxy
	way    way              // the connection that is open
	first  *answer          // to the first GET

	nat  bool     // it, or what our address is, says that there is one
	ways []string // by which an ACS can ask for a session
}

// A step is one check. A local one needs nothing but this device.
type step struct {
	name  string
	local bool
	run   func(*patient, context.Context) Finding
}

// steps are in the order of need. One that is wrong ends the chain, unless it
// is beside it.
var steps = [...]step{
	{"configuration", true, (*patient).configuration},
	{"dhcp", true, (*patient).dhcp},
	{"state", true, (*patient).state},
	{"agent", true, (*patient).agent},
	{"clock", true, (*patient).clock},
	{"link", true, (*patient).link},
	{"dns", false, (*patient).dns},
	{"route", false, (*patient).route},
	{"tcp", false, (*patient).tcp},
	{"tls", false, (*patient).tls},
	{"http", false, (*patient).http},
	{"authentication", false, (*patient).authentication},
	{"soap", false, (*patient).soap},
}

// aside are the checks that the following ones do not stand on.
var aside = map[string]bool{"dhcp": true, "state": true, "agent": true, "clock": true, "soap": true}

// Run yields the finding of each check as it is made.
func Run(ctx context.Context, c Config) iter.Seq[Finding] { return run(ctx, c, steps[:]) }

// run makes the checks in order.
func run(ctx context.Context, c Config, steps []step) iter.Seq[Finding] {
	return func(yield func(Finding) bool) {
		p := &patient{Config: c}
		defer p.close()
		broken := ""
		for _, s := range steps {
			if c.Offline && !s.local {
				continue
			}
			f := Finding{Verdict: Skipped, Found: "not tested, because of " + broken}
			if broken == "" || s.local && (c.Settings != nil || aside[s.name]) {
				began := time.Now()
				f = s.run(p, ctx)
				f.Took = time.Since(began).Milliseconds()
			}
			f.Check = s.name
			if ctx.Err() != nil || !yield(f) {
				return
			}
			if f.Verdict == Wrong && broken == "" && !aside[s.name] {
				broken = s.name
			}
		}
	}
}

func ok(found string) Finding { return Finding{Verdict: OK, Found: found} }
func wrong(found, advice string) Finding {
	return Finding{Verdict: Wrong, Found: found, Advice: advice}
}
func warning(found, advice string) Finding {
	return Finding{Verdict: Warning, Found: found, Advice: advice}
}
