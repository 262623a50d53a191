package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/settings"
	"gatehouse/cwmp"
)

// sessions runs the sessions that core orders, one at a time.
type sessions struct {
	agent   *Agent
	handler cwmp.Handler

	mu    sync.Mutex
	older map[string]bool // ACS URLs that are to be offered CWMP 1.0 next
}

// sessionTimeout is how long we ask the ACS to wait for an answer of ours:
// reading the whole tree of a large router on a slow CPU takes a while.
const sessionTimeout = 60 * time.Second

// Run implements [core.Runner].
func (s *sessions) Run(ctx context.Context, o core.Order, informed func()) core.Result {
	log := s.agent.log.With("component", "cwmp", "session", o.ID)
	began := time.Now()
	report, err := s.run(ctx, o, informed, log)
	result := core.Result{Err: err, Informed: report.Informed}
	var refused *cwmp.HTTPError
	if errors.As(err, &refused) {
		result.RetryAfter = refused.RetryAfter
	}
	s.remember(o.URL, report)
	attrs := []any{"events", codes(o.Events), "retry", o.RetryCount, "requests", report.Requests, "took", time.Since(began).Round(time.Millisecond)}
	if err != nil {
		log.Warn("session failed", append(attrs, "err", err)...)
	} else {
		log.Info("session done", attrs...)
		s.agent.wentWell()
	}
	return result
}

func codes(events []core.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.Code)
	}
	return strings.Join(all, ", ")
}

// remember keeps which ACS failed in a way in which one fails that knows CWMP
// 1.0 only; a session that it answered proves the version it was offered.
func (s *sessions) remember(acs string, r cwmp.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.TryOlder && !s.older[acs]:
		s.older = map[string]bool{acs: true} // of one ACS: the list must not grow
	case r.TryOlder:
		delete(s.older, acs)
	}
}

func (s *sessions) version(acs string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.older[acs] {
		return "1.0"
	}
	return s.agent.settings.Get(settings.CWMPVersion)
}

func (s *sessions) run(ctx context.Context, o core.Order, informed func(), log *slog.Logger) (cwmp.Report, error) {
	a := s.agent
	client, err := s.connect(ctx, o.URL, log)
	if err != nil {
		return cwmp.Report{}, err
	}
	changed, err := a.notify.Collect(a.tree.WithMemo(ctx), bootstraps(o))
	if err != nil {
		client.Close()
		return cwmp.Report{}, fmt.Errorf("what the ACS is to be told: %w", err)
	}
	defer a.notify.Dropped(context.WithoutCancel(ctx), changed) // nothing, once it is delivered
	session := &cwmp.Session{
		Exchange:       client,
		Handler:        s.handler,
		Inform:         a.inform(o, changed.Items),
		Version:        s.version(o.URL),
		SessionTimeout: sessionTimeout,
		ID:             o.ID,
		Log:            log,
		Dump:           a.cfg.Dump,
		Secret:         a.secret,
		Informed: func() {
			informed()
			if err := a.notify.Delivered(context.WithoutCancel(ctx), changed); err != nil {
				log.Warn("the ACS may be told again of what it knows", "err", err)
			}
		},
	}
	report, err := session.Run(ctx)
	if err != nil {
		return report, err
	}
	if now, known := a.wall.Now(); known {
		// The clock may have been set in this session.
		return report, client.Recheck(now)
	}
	return report, nil
}

// connect opens the connection before the Inform is made: the Inform carries
// ConnectionRequestURL, and that is our end of this very connection.
func (s *sessions) connect(ctx context.Context, acs string, log *slog.Logger) (*cwmp.Client, error) {
	a := s.agent
	u, err := url.Parse(acs)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL of an ACS", acs)
	}
	if err := a.settings.CheckURL(acs); err != nil {
		return nil, err
	}
	config, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	dialer, err := a.dialer(log)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	first, err := dialer(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	a.reach.session(first.LocalAddr())
	return s.client(acs, config, func(ctx context.Context, network, address string) (net.Conn, error) {
		if conn := first; conn != nil && address == addr {
			first = nil
			return conn, nil
		}
		return dialer(ctx, network, address)
	}, log), nil
}

func (s *sessions) client(acs string, config *tls.Config, dial func(context.Context, string, string) (net.Conn, error), log *slog.Logger) *cwmp.Client {
	get := s.agent.settings.Get
	return &cwmp.Client{
		URL:         acs,
		Username:    get(settings.Username),
		Password:    cwmp.Secret(get(settings.Password)),
		Dial:        dial,
		TLS:         config,
		Clock:       s.agent.wall.Now,
		Compression: get(settings.HTTPCompression),
		Timeout:     s.agent.settings.Seconds(settings.Timeout),
		UserAgent:   "Gatehouse/" + s.agent.cfg.Version,
		Log:         log,
	}
}

// bootstraps reports whether the ACS knows nothing of us yet, so that nothing
// can have changed for it.
func bootstraps(o core.Order) bool {
	return slices.ContainsFunc(o.Events, func(e core.Event) bool { return e.Code == core.Bootstrap })
}
