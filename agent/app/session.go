package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/settings"
	"gatehouse/cwmp"
)

// sessions runs the sessions that core orders, one at a time.
type sessions struct {
	agent   *Agent
	handler cwmp.Handler
	older   string    // URL of an ACS that is to be offered CWMP 1.0 next
	since   time.Time // when that was found out
}

// sessionTimeout is how long we ask the ACS to wait for an answer of ours:
// reading the whole tree of a large router on a slow CPU takes a while.
const sessionTimeout = 60 * time.Second

// sessionLasts bounds a session as a whole: an ACS that asks for ever, or answers
// each call at the last moment, must not keep the agent from everything that
// waits for the end of the session.
const sessionLasts = time.Hour

var errTooLong = fmt.Errorf("the session did not end within %v: %w", sessionLasts, context.DeadlineExceeded)

// offerOlder is how long an ACS is offered CWMP 1.0 alone. An ACS that was out
// of order fails in the same way as one that knows nothing newer.
const offerOlder = 24 * time.Hour

// Run implements [core.Runner]. Core and cwmp log how it goes.
func (s *sessions) Run(ctx context.Context, o core.Order, informed func()) core.Result {
	log := s.agent.log.With("component", "cwmp")
	s.agent.counters.begin(o)
	record := s.agent.recent.begin(o)
	limited, cancel := context.WithTimeoutCause(ctx, sessionLasts, errTooLong)
	defer cancel()
	report, err := s.run(limited, o, informed, record, log)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = errTooLong
	}
	record.end(err)
	if ctx.Err() == nil {
		s.agent.contacted(err == nil || report.Informed)
	}
	if err != nil && ctx.Err() == nil {
		s.agent.counters.failed(kindOf(err))
	}
	result := core.Result{Err: err, Informed: report.Informed}
	var refused *cwmp.HTTPError
	if errors.As(err, &refused) {
		result.RetryAfter = refused.RetryAfter
	}
	s.remember(o.URL, report)
	if err == nil {
		s.agent.good.poke()
		s.agent.tell(ofSession)
	}
	if s.agent.cfg.Rest != nil {
		s.agent.cfg.Rest()
	}
	return result
}

// remember keeps which ACS failed in a way in which one fails that knows CWMP
// 1.0 only; a session that it answered proves the version it was offered.
func (s *sessions) remember(acs string, r cwmp.Report) {
	switch {
	case r.TryOlder && s.older != acs:
		s.older, s.since = acs, time.Now()
	case r.TryOlder:
		s.older = "" // that was not it
	}
}

func (s *sessions) version(acs string) string {
	if s.older == acs && time.Since(s.since) < offerOlder {
		return "1.0"
	}
	return s.agent.settings.Get(settings.CWMPVersion)
}

func (s *sessions) run(ctx context.Context, o core.Order, informed func(), record *record, log *slog.Logger) (cwmp.Report, error) {
	a := s.agent
	line, client, err := s.connect(ctx, o.URL, log.With("session", o.ID))
	if err != nil {
		a.way.good.Store(false)
		return cwmp.Report{}, err
	}
	defer line.close()
	a.after.confirm()
	record.reached(line.remote.String())
	changed, err := a.notify.Collect(ctx, bootstraps(o))
	if err != nil {
		return cwmp.Report{}, fmt.Errorf("what the ACS is to be told: %w", err)
	}
	defer a.notify.Dropped(context.WithoutCancel(ctx), changed) // nothing, once it is delivered
	delivery, events := a.transfers.Deliver(ctx, a.core, o.Events)
	o.Events = events
	session := &cwmp.Session{
		Exchange:       client,
		Handler:        s.handler,
		Inform:         a.inform(ctx, o, changed.Items),
		Version:        s.version(o.URL),
		SessionTimeout: sessionTimeout,
		ID:             o.ID,
		Log:            log,
		Dump:           a.dump(o.ID),
		Secret:         a.secret,
		Calls:          delivery.Next,
		Answered:       func(_ cwmp.Call, _ cwmp.Answer, err error) { delivery.Answered(context.WithoutCancel(ctx), err) },
		Informed: func() {
			a.way.good.Store(true)
			informed()
			if err := a.notify.Delivered(context.WithoutCancel(ctx), changed); err != nil {
				log.Warn("the ACS may be told again of what it knows", "err", err)
			}
		},
	}
	record.listen(session)
	report, err := session.Run(ctx)
	if err == nil {
		if now, known := a.wall.Now(); known {
			err = client.Recheck(now) // the clock may have been set in this session
		}
	}
	line.judge(ctx, err)
	a.keepUnchecked(client)
	return report, err
}

// connect opens the connection before the Inform is made: the Inform carries
// ConnectionRequestURL, and that is our end of this very connection.
func (s *sessions) connect(ctx context.Context, acs string, log *slog.Logger) (*line, *cwmp.Client, error) {
	a := s.agent
	u, err := url.Parse(acs)
	if err != nil || u.Host == "" {
		return nil, nil, errConfig{fmt.Errorf("%q is no URL of an ACS", acs)}
	}
	if err := a.settings.CheckURL(acs); err != nil {
		return nil, nil, errConfig{err}
	}
	config, err := a.tlsConfig(u.Scheme)
	if err != nil {
		return nil, nil, errConfig{err}
	}
	silence, closes := cwmpRule(a.transportRules(), u, a.settings.Seconds(settings.Timeout))
	dialer, err := a.dialer(log)
	if err != nil {
		return nil, nil, errConfig{err}
	}
	l := &line{dialer: dialer, dial: dialer.Session()}
	if err := l.open(ctx, net.JoinHostPort(u.Hostname(), portOfURL(u))); err != nil {
		return nil, nil, err
	}
	a.reach.session(l.first.LocalAddr())
	get := a.settings.Get
	return l, &cwmp.Client{
		URL:         acs,
		Username:    get(settings.Username),
		Password:    cwmp.Secret(get(settings.Password)),
		Dial:        l.next,
		TLS:         config,
		Clock:       a.wall.Now,
		Compression: get(settings.HTTPCompression),
		Timeout:     silence,
		Closes:      closes,
		UserAgent:   "Gatehouse/" + a.cfg.Version,
		CheckURL:    a.settings.CheckURL,
		Log:         log,
	}, nil
}

// bootstraps reports whether the ACS knows nothing of us yet, so that nothing
// can have changed for it.
func bootstraps(o core.Order) bool {
	return slices.ContainsFunc(o.Events, func(e core.Event) bool { return e.Code == core.Bootstrap })
}
