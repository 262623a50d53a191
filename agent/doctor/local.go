package doctor

// The checks that look at nothing but this device.

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
	"gatehouse/platform"
)

// day is how dates are told.
const day = "2006-01-02"

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// configuration reads what the agent would read, and finds the ACS in it. What
// the agent has learned elsewhere, from DHCP or a provider, counts too: it is
// asked first.
func (p *patient) configuration(ctx context.Context) Finding {
	if p.Agent != nil {
		if st, err := p.Agent.Status(ctx); err == nil {
			p.status = st
		} else {
			p.NoAgent = err
		}
	}
	if errors.Is(p.Mistakes, fs.ErrPermission) {
		return wrong("the configuration cannot be read: "+p.Mistakes.Error(), "try as root")
	}
	if p.Mistakes != nil {
		f := wrong("there are mistakes in the configuration: the agent does not start with them, nor take a change", "correct the lines named below")
		f.Details = strings.Split(p.Mistakes.Error(), "\n")
		return f
	}
	acs := p.Settings.Get(settings.URL)
	if acs == "" && p.status != nil {
		acs = p.status.ACS
	}
	if acs == "" {
		return p.warned(wrong("nothing says where the ACS is", "set option url in section acs of "+p.ConfigFile))
	}
	if f, bad := p.target(acs); bad {
		return f
	}
	if err := p.Identity(ctx); err != nil {
		return p.warned(wrong(err.Error(), "the ACS knows a device by these two; they stand on its label"))
	}
	if _, err := p.TLS(p.url.Scheme); err != nil {
		return p.warned(wrong(err.Error(), "correct the options in section tls of "+p.ConfigFile))
	}
	return p.warned(p.policy(acs))
}

// target takes the URL apart.
func (p *patient) target(acs string) (f Finding, bad bool) {
	advice := "correct option url in section acs of " + p.ConfigFile
	if err := p.Settings.CheckURL(acs); err != nil {
		return p.warned(wrong("the URL of the ACS "+err.Error(), advice)), true
	}
	u, err := url.Parse(acs)
	if err != nil {
		return p.warned(wrong("the URL of the ACS cannot be read", advice)), true
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return p.warned(wrong("the URL of the ACS has no good port", advice)), true
	}
	p.url, p.port = u, uint16(n)
	return Finding{}, false
}

// policy is about settings that are legal and still worth a word.
func (p *patient) policy(acs string) Finding {
	s := p.Settings
	f := ok("the ACS is " + acs)
	switch origin := s.Origin(settings.URL); {
	case s.Get(settings.URL) == "":
		f.Found += ", as the agent has learned"
	case origin != settings.File:
		f.Found += " (by " + origin.String() + ")"
	}
	warn := func(text, advice string) {
		f.Verdict = Warning
		f.Details = append(f.Details, text)
		if f.Advice == "" {
			f.Advice = advice
		}
	}
	if !s.Bool(settings.EnableCWMP) {
		warn("the agent is switched off", "set option enable '1' in section cpe")
	}
	if s.Bool(settings.TLSInsecure) {
		warn("certificates are not verified: whoever is on the way can be the ACS", "take option insecure out, and name the authority with option ca")
	}
	if p.url.Scheme == "http" {
		warn("plain http shows passwords and settings to whoever is on the way", "ask the operator for an https URL")
	}
	if s.Get(settings.Username) != "" && s.Get(settings.Password) == "" {
		warn("there is a user name for the ACS, and no password", "set option passwd in section acs")
	}
	if s.Bool(settings.HTTPConnectionRequestEnable) && s.Get(settings.ConnectionRequestPassword) == "" && !s.Bool(settings.ConnectionRequestOpen) {
		f.Details = append(f.Details, "connection requests are refused until the ACS, or option passwd in section cpe, sets a password")
	}
	if text := p.clientCertificate(); text != "" {
		warn(text, "ask the operator for a new one")
	}
	return f
}

// clientCertificate says what is wrong with ours, "" when nothing is.
func (p *patient) clientCertificate() string {
	c, err := p.TLS(p.url.Scheme)
	if err != nil || len(c.Certificates) == 0 || len(c.Certificates[0].Certificate) == 0 {
		return ""
	}
	cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	now, set := p.Clock()
	switch {
	case err != nil:
		return "our own certificate cannot be read: " + err.Error()
	case set && now.After(cert.NotAfter):
		return "our own certificate expired on " + cert.NotAfter.UTC().Format(day)
	case set && now.Before(cert.NotBefore):
		return "our own certificate is not valid before " + cert.NotBefore.UTC().Format(day)
	case set && now.Add(soon).After(cert.NotAfter):
		return "our own certificate expires on " + cert.NotAfter.UTC().Format(day)
	}
	return ""
}

// warned adds what was said about the files.
func (p *patient) warned(f Finding) Finding {
	f.Details = append(f.Details, p.Warnings...)
	if len(p.Warnings) > 0 && f.Verdict == OK {
		f.Verdict, f.Advice = Warning, "look at the lines named below: what they say does not count"
	}
	return f
}

// lowSpace is how much room the state needs to be replaced safely, in bytes.
const lowSpace = 256 << 10

// state looks at the folder of the state files, and whether they can be read.
func (p *patient) state(context.Context) Finding {
	entries, err := os.ReadDir(p.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Finding{Verdict: Note, Found: "there is no state in " + p.State + " yet"}
	case errors.Is(err, fs.ErrPermission):
		return Finding{Verdict: Note, Found: p.State + " is not for you to read", Advice: "try as root"}
	case err != nil:
		return wrong("the state cannot be read: "+err.Error(), "the agent starts without it, and keeps nothing: check the flash")
	}
	var stat unix.Statfs_t
	if err := unix.Access(p.State, unix.W_OK); errors.Is(err, unix.EROFS) {
		return wrong(p.State+" is on a file system that is read-only", "nothing that the ACS sets survives a restart: check the flash")
	}
	if err := unix.Statfs(p.State, &stat); err == nil && int64(stat.Bavail)*int64(stat.Bsize) < lowSpace {
		return wrong(fmt.Sprintf("%d KB are left where the state is kept", int64(stat.Bavail)*int64(stat.Bsize)>>10), "make room: state files are replaced, never overwritten")
	}
	f := ok(fmt.Sprintf("%d files in %s", len(entries), p.State))
	for _, e := range entries {
		if _, err := os.ReadFile(filepath.Join(p.State, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !e.IsDir() {
			return wrong(e.Name()+" cannot be read: "+err.Error(), "the agent does without it, leaves it alone, and refuses what needs it: check the flash")
		}
		if strings.Contains(e.Name(), ".damaged") {
			f.Verdict, f.Advice = Warning, "nothing needs to be done; if it happens again, the flash is dying"
			f.Details = append(f.Details, e.Name()+" was set aside, because its content was damaged")
		}
	}
	return f
}

// agent asks the agent that runs here how it is doing.
func (p *patient) agent(ctx context.Context) Finding {
	st := p.status
	if st == nil {
		f := warning("no agent answers here", "start it: `gatehouse run`, or by the system's service")
		if p.NoAgent != nil {
			f.Details = []string{p.NoAgent.Error()}
		}
		return f
	}
	f := ok("it is " + st.State)
	if st.Reason != "" {
		f.Found += ": " + st.Reason
	}
	switch {
	case st.SafeMode:
		return wrong("it is in safe mode, because it ended badly three times within ten minutes of its start", "look for the reason in the log (logread, journalctl) and report it; a good session ends safe mode")
	case st.StoreError != "":
		return wrong("its state cannot be kept: "+st.StoreError, "check the flash")
	case st.State == "disabled":
		f.Verdict, f.Advice = Warning, "set option enable '1' in section cpe, or Device.ManagementServer.EnableCWMP"
	case st.LastError != "":
		f = warning("its last session failed: "+st.LastError, p.adviceOnLast(ctx))
		f.Details = append(f.Details, fmt.Sprintf("%d failures in a row; the next attempt is at %s", st.RetryCount, st.NextAttempt.Format(time.RFC3339)))
	case !st.Succeeded.IsZero():
		f.Found += "; its last session went well at " + st.Succeeded.Format(time.RFC3339)
	}
	if p.Settings != nil && p.url != nil && st.ACS != p.url.String() {
		f.Verdict, f.Advice = Warning, "`gatehouse reload` has it read its configuration"
		f.Details = append(f.Details, "it still talks to "+st.ACS)
	}
	for _, e := range st.Counters.Blocked {
		f.Details = append(f.Details, e.Address+" did not answer, and is passed over until "+e.Until.Format(time.RFC3339))
	}
	return f
}

func (p *patient) adviceOnLast(ctx context.Context) string {
	last, err := p.Agent.Last(ctx)
	if err != nil || last == nil {
		return ""
	}
	return adviceOn[last.Kind]
}

// adviceOn says what to do about a session that failed.
var adviceOn = map[api.Kind]string{
	api.FailedConfig:  "correct the configuration",
	api.FailedDNS:     "see dns below, or `gatehouse doctor` without --offline",
	api.FailedConnect: "see tcp below, or `gatehouse doctor` without --offline",
	api.FailedTLS:     "see tls below, or `gatehouse doctor` without --offline",
	api.FailedAuth:    "check options userid and passwd in section acs with the operator of the ACS",
	api.FailedHTTP:    "check the path in option url; if it is right, this is for the operator of the ACS",
	api.FailedSOAP:    "what answers there is no ACS, or one with a fault: `gatehouse log --session 1` tells more",
	api.FailedFault:   "the ACS refuses this device: the operator must know its OUI and serial number",
	api.FailedTimeout: "the ACS is overloaded, or something on the way swallows long answers: try a smaller MTU",
	api.FailedOther:   "`gatehouse log --session 1` tells how far it came",
}

// clock asks whether there is a time to check certificates by.
func (p *patient) clock(context.Context) Finding {
	now, set := p.Clock()
	text := now.UTC().Format("2006-01-02 15:04:05 UTC")
	if !set {
		return warning("the clock was never set; it says "+text, "certificates are checked at a time of their own choice until it is: let a time client (NTP) run")
	}
	return ok("it is " + text)
}

// link looks for a way out of this device.
func (p *patient) link(ctx context.Context) Finding {
	want := p.Settings.Get(settings.Interface)
	if p.Links == nil {
		return Finding{Verdict: Note, Found: "the links of this device cannot be asked"}
	}
	var found *platform.Link
	for l, err := range p.Links.Links(ctx) {
		if err != nil {
			return Finding{Verdict: Note, Found: "the links cannot be read: " + err.Error()}
		}
		if l.Name == want || want == "" && l.Upstream && (found == nil || l.Running) {
			found = &l
		}
	}
	switch {
	case found == nil && want != "":
		return wrong("there is no interface "+want, "correct option interface in section cpe, or leave it out")
	case found == nil:
		return warning("no interface has a default route", "connect the router to its network; `ip route` shows what is there")
	case !found.Enabled:
		return wrong(found.Name+" is switched off", "`ip link set "+found.Name+" up`, or enable it in the configuration of the network")
	case !found.Running:
		return wrong(found.Name+" has no carrier", "check the cable or the modem")
	case want != "" && !found.Upstream:
		return warning("no default route leaves by "+want+", to which the agent is bound", "correct option interface in section cpe, if the ACS is not in its own network")
	}
	return ok(found.Name + " leads out and has a carrier")
}
