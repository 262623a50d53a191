package doctor

// The probe by GET, the credentials, and a session if one is wanted.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
	"gatehouse/internal/digest"
)

// Limits of an answer.
const (
	maxAnswer = 64 << 10
	maxSkew   = 5 * time.Minute // between our clock and the ACS's
	maxRounds = 3               // of authentication; more could lock the account
)

// An answer is what the ACS says to a GET.
type answer struct {
	status int
	header http.Header
	closes bool
}

func (p *patient) http(ctx context.Context) Finding {
	a, err := p.get(ctx, "")
	if err != nil {
		return noHTTP(err)
	}
	p.first = a
	text := fmt.Sprintf("the ACS answers %d %s to a GET", a.status, http.StatusText(a.status))
	f := ok(strings.TrimSpace(text))
	switch s := a.status; {
	case s == 301 || s == 302 || s == 307 || s == 308:
		f = p.redirected(a)
	case s == 403:
		f = warning(f.Found, "it may refuse this device, or only GET: a session tells (--inform)")
	case s == 404:
		f.Verdict, f.Advice = Note, "a server that takes POST only may say so; if sessions fail too, check the path in option url"
	case s == 407:
		f = warning(f.Found+": a proxy that nobody told us of stands in the way", "set section proxy")
	case s == 511:
		f = wrong(f.Found+": a login page stands in the way", "open a page in a browser behind this router, and log in there")
	case s >= 500 && s != 501:
		f = warning(f.Found, "it may be in trouble: this is for its operator, if it lasts")
	}
	p.skew(&f, a)
	return f
}

func noHTTP(err error) Finding {
	text := err.Error()
	switch {
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"):
		return wrong("the ACS wants a certificate of ours: "+text, "set options cert and key in section tls to what the operator gave out")
	case reason(err) == "no answer":
		return wrong("the ACS takes the question and does not answer", "it is overloaded, or something on the way swallows its answer")
	case strings.Contains(text, "malformed"):
		return wrong("what answers there does not speak HTTP: "+text, "check the port in option url")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return warning("the ACS hangs up instead of answering a GET", "it may take POST only: a session tells (--inform)")
	}
	return wrong("the connection breaks off: "+reason(err), "a firewall on the way may cut it: try from another network")
}

// redirected judges where a redirect leads; it is not followed.
func (p *patient) redirected(a *answer) Finding {
	to, err := p.url.Parse(a.header.Get("Location"))
	if err != nil || a.header.Get("Location") == "" {
		return wrong(fmt.Sprintf("the ACS redirects (%d) to nowhere", a.status), "this is for its operator")
	}
	f := Finding{Verdict: Note, Found: fmt.Sprintf("the ACS redirects (%d) to %s", a.status, to.Redacted())}
	if p.url.Scheme == "https" && to.Scheme == "http" {
		return wrong(f.Found+", and so out of TLS, which is refused", "this is for its operator")
	}
	if err := p.Settings.CheckURL(to.String()); err != nil {
		return wrong(f.Found+", which "+err.Error(), "this is for its operator")
	}
	f.Advice = "the agent follows it in each session; `option url` may name it at once"
	return f
}

// skew compares our clock with the ACS's.
func (p *patient) skew(f *Finding, a *answer) {
	theirs, err := http.ParseTime(a.header.Get("Date"))
	now, set := p.Clock()
	if d := now.Sub(theirs).Round(time.Second); err == nil && set && d.Abs() > maxSkew {
		if f.Verdict == OK || f.Verdict == Note {
			f.Verdict, f.Advice = Warning, "one of the two clocks is wrong: check the time client (NTP)"
		}
		f.Details = append(f.Details, fmt.Sprintf("its clock says %s, ours is %v apart", theirs.UTC().Format("2006-01-02 15:04:05 UTC"), d.Abs()))
	}
}

// get asks once, on the open connection, with what stands in Authorization.
func (p *patient) get(ctx context.Context, authorization string) (*answer, error) {
	u := *p.url
	u.User, u.Fragment = nil, ""
	req := (&http.Request{
		Method: http.MethodGet, URL: &u, Host: u.Host, Header: http.Header{"User-Agent": {p.UserAgent}, "Accept": {"*/*"}},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	conn := p.way.conn
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	conn.SetDeadline(time.Now().Add(exchangeTime))
	if err := req.Write(conn); err != nil {
		// In TLS 1.3 a server refuses our certificate, or that there is none,
		// after the handshake: why, it has said before it hung up.
		if _, said := conn.Read(make([]byte, 1)); said != nil && !errors.Is(said, io.EOF) {
			return nil, said
		}
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxAnswer)), req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return &answer{resp.StatusCode, resp.Header, resp.Close || err != nil || n == maxAnswer}, nil
}

// authentication answers a challenge as the agent would.
func (p *patient) authentication(ctx context.Context) Finding {
	a, s := p.first, p.Settings
	if a == nil || a.status != http.StatusUnauthorized {
		return Finding{Verdict: Note, Found: "the ACS does not ask for credentials at a GET: only a session tells (--inform)"}
	}
	user := s.Get(settings.Username)
	if user == "" {
		return wrong("the ACS wants credentials, and there are none", "set options userid and passwd in section acs")
	}
	secure := p.url.Scheme == "https"
	auth := digest.NewClient(user, s.Get(settings.Password), digest.Options{NoBasic: !secure, Latin1: true})
	for range maxRounds {
		again, err := auth.Challenge(a.header)
		switch {
		case errors.Is(err, digest.ErrRefused), err == nil && !again:
			return wrong("the ACS refuses user "+user+" or the password", "check options userid and passwd in section acs with the operator of the ACS")
		case err != nil:
			return wrong("the challenge of the ACS cannot be answered: "+err.Error(), "the agent speaks Digest, and Basic over TLS: this is for the operator of the ACS")
		}
		if a.closes {
			if err := p.again(ctx); err != nil {
				return wrong("the ACS asks for credentials and cannot be reached again: "+reason(err), "try again later")
			}
			auth.Reconnected()
		}
		header, err := auth.Authorize(http.MethodGet, p.url.RequestURI(), nil)
		if err != nil {
			return wrong(err.Error(), "check option userid in section acs")
		}
		if a, err = p.get(ctx, header); err != nil {
			return wrong("the ACS breaks off when it gets the credentials: "+reason(err), "this is for its operator")
		}
		if a.status != http.StatusUnauthorized {
			scheme, _, _ := strings.Cut(header, " ")
			return ok(fmt.Sprintf("the ACS takes user %s (%s)", user, scheme))
		}
	}
	return wrong("the ACS refuses user "+user+" or the password", "check options userid and passwd in section acs with the operator of the ACS")
}

// How long a session is waited for, and how often it is asked after.
const (
	sessionTime = 3 * time.Minute
	sessionPoll = 250 * time.Millisecond
)

// soap tells of the last session, or has one held.
func (p *patient) soap(ctx context.Context) Finding {
	switch {
	case p.status == nil && p.Inform:
		return wrong("no agent is running that could hold a session", "start it: `gatehouse run`, or by the system's service")
	case p.Inform:
		return p.session(ctx)
	case p.status != nil && p.status.LastError == "" && !p.status.Succeeded.IsZero():
		return ok("the last session went well at " + p.status.Succeeded.Format(time.RFC3339))
	case p.status != nil && p.status.LastError != "":
		return warning("the last session failed: "+p.status.LastError, p.adviceOnLast(ctx))
	}
	return Finding{Verdict: Note, Found: "only a session tells whether SOAP is understood", Advice: "`gatehouse doctor --inform` has the agent hold one"}
}

// session has the agent hold one, and waits for its end.
func (p *patient) session(ctx context.Context) Finding {
	before, err := p.Agent.Status(ctx)
	if err == nil {
		err = p.Agent.Inform(ctx)
	}
	if err != nil {
		return wrong("the agent does not start a session: "+err.Error(), "see agent above")
	}
	timer := time.NewTimer(sessionPoll)
	defer timer.Stop()
	for deadline := time.Now().Add(sessionTime); time.Now().Before(deadline); timer.Reset(sessionPoll) {
		select {
		case <-ctx.Done():
			return Finding{Verdict: Skipped, Found: "interrupted"}
		case <-timer.C:
		}
		st, err := p.Agent.Status(ctx)
		if err != nil {
			return wrong("the agent has gone: "+err.Error(), "look for the reason in the log (logread, journalctl)")
		}
		if st.Sessions > before.Sessions && !st.Ended.Before(st.Started) {
			return p.held(ctx, st)
		}
	}
	return warning("the session has not come to its end in "+sessionTime.String(), "`gatehouse log --session 1` tells how far it came")
}

// held tells how the session went.
func (p *patient) held(ctx context.Context, st *api.Status) Finding {
	last, err := p.Agent.Last(ctx)
	f := ok("a session was held, and went well")
	if st.LastError != "" {
		f = wrong("a session failed: "+st.LastError, p.adviceOnLast(ctx))
	}
	if err == nil && last != nil {
		for _, s := range last.Steps {
			if s.Method == "" {
				continue
			}
			f.Details = append(f.Details, strings.TrimSpace(fmt.Sprintf("%s %s %s", s.From, s.Method, s.Fault)))
		}
		f.Details = f.Details[:min(len(f.Details), 20)]
	}
	return f
}
