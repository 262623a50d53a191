//go:build !no_rue

package app

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/endpoint"
	"gatehouse/rueconfig"
)

// rue is the provider's configuration in the agent: fetched and kept by
// rueconfig, shown in the data model, and applied.
type rue struct {
	agent *Agent
	heed  *chore      // other settings
	fetch *chore      // the client; there is another one
	live  atomic.Bool // the agent runs: the tree and what listens are there
	voice *voice

	mu     sync.Mutex
	client *rueconfig.Client // nil: switched off, or not configured
	made   string            // of which settings
	err    error             // why there is no client
}

// withRUE adds the provider's configuration to the agent. What is on disk
// counts from the start, for it may say where the ACS is.
func (a *Agent) withRUE() (tr181.Provider, tr181.Voice) {
	r := &rue{agent: a}
	r.heed = &chore{name: "rue settings", turn: r.changed, first: whenPoked}
	r.fetch = &chore{name: "rue", turn: r.run, rude: true}
	r.voice = &voice{agent: a, rue: r}
	// Changes come in groups, and a client of other settings has not read its copy
	// yet.
	r.voice.chore = &chore{name: "voice", turn: r.voice.run, settle: networkSettles}
	a.provider = r
	r.remake()
	if c, err := r.present(); err == nil {
		if err := c.Load(); err != nil {
			a.log.Warn("no use of the copy of the provider's configuration", "err", err)
		}
	}
	a.extras = append(a.extras, extra{
		chore: r.fetch, settings: r.poke, network: r.network, clock: r.clockSet, status: r.status,
	}, extra{chore: r.heed}, extra{chore: r.voice.chore})
	return r, r.voice
}

// poke hears of other settings, and of rows that were written.
func (r *rue) poke() {
	r.heed.poke()
	r.voice.chore.poke()
}

var errNoProvider = api.Refuse(api.InvalidArguments, "", "no provider is configured: set enable, domain, username and password in section rue")

// present returns the client.
func (r *rue) present() (*rueconfig.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.client != nil:
		return r.client, nil
	case r.err != nil:
		return nil, r.err
	}
	return nil, errNoProvider
}

// remake makes a client of the settings as they are, and says whether it is
// another one.
func (r *rue) remake() bool {
	s := r.agent.settings
	var made strings.Builder
	for _, name := range []string{
		settings.RUEEnable, settings.RUEDomain, settings.RUEUsername, settings.RUEPassword, settings.RUEForm, settings.RUEService,
		settings.RUEPath, settings.RUEPort, settings.RUERegistry, settings.RUEProvider, settings.RUEAPIKey, settings.RUEURL,
		settings.RUETokenFile, settings.RUEBasic, settings.RUEDomainOnly, settings.RUEFactory, settings.RUEAgent, settings.RUECA,
		settings.RUECert, settings.RUEKey, settings.TransportRules, settings.ProxyURL, settings.ProxyUsername, settings.ProxyPassword, settings.ProxyExcept, settings.Interface,
	} {
		made.WriteString(s.Get(name) + "\x00")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if made.String() == r.made {
		return false
	}
	r.made, r.client, r.err = made.String(), nil, nil
	if !s.Bool(settings.RUEEnable) {
		return true
	}
	cfg, err := r.config(r.made)
	if err == nil {
		r.client, err = rueconfig.New(cfg)
	}
	if r.err = err; err != nil {
		r.agent.log.Error("the provider's configuration cannot be fetched", "err", err)
	}
	return true
}

// config translates the settings.
func (r *rue) config(made string) (rueconfig.Config, error) {
	a, s := r.agent, r.agent.settings
	d, err := a.dialer(a.log)
	if err != nil {
		return rueconfig.Config{}, err
	}
	// A channel of its own: the servers that it blocks are not the ACS's, and
	// it picks the next address itself.
	byProxy := &endpoint.Dialer{Resolver: d.Resolver, Base: d.Base, Proxy: d.Proxy, NoProxy: d.NoProxy, Attempts: 2}
	route := func(host string) endpoint.DialFunc {
		if byProxy.UsesProxy(host) { // by name: what is excepted, and what a proxy lets through, is so by name
			return byProxy.DialContext
		}
		return nil
	}
	byName := &endpoint.Dialer{Resolver: d.Resolver, Base: d.Base}
	direct := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if _, err := netip.ParseAddrPort(addr); err == nil {
			return d.Base(ctx, network, addr)
		}
		return byName.DialContext(ctx, network, addr)
	}
	return rueconfig.Config{
		Domain: s.Get(settings.RUEDomain), Registry: s.Get(settings.RUERegistry), Provider: s.Get(settings.RUEProvider),
		Form: rueconfig.Form(s.Get(settings.RUEForm)), Service: s.Get(settings.RUEService), Port: uint16(s.Number(settings.RUEPort)),
		Path: s.Get(settings.RUEPath), URL: s.Get(settings.RUEURL), Token: r.token,
		Username: s.Get(settings.RUEUsername), Password: rueconfig.Secret(s.Get(settings.RUEPassword)), Basic: s.Bool(settings.RUEBasic),
		Instance: a.id.OUI + "-" + a.id.SerialNumber, APIKey: rueconfig.Secret(s.Get(settings.RUEAPIKey)),
		DomainOnly: s.Bool(settings.RUEDomainOnly),
		Resolver:   d.Resolver, Dial: direct, Route: route, Trust: r.trust, Rules: a.transportRules(), UserAgent: "Gatehouse/" + a.cfg.Version,
		Cache: a.state.File("provider", 1), Factory: r.factory, Apply: r.applyOf(made),
		Clock: func() time.Time { now, _ := a.wall.Now(); return now },
		Rand:  a.cfg.Rand, Log: a.log.With("component", "rue"),
	}, nil
}

// trust is made for each conversation, and dropped after it.
func (r *rue) trust() (t rueconfig.Trust, err error) {
	a, s := r.agent, r.agent.settings
	ca := s.Get(settings.RUECA)
	if ca == "" {
		ca = s.Get(settings.TLSCA)
	}
	if t.TLS, err = a.tlsFor("https", ca, s.Get(settings.RUECert), s.Get(settings.RUEKey)); err != nil {
		return t, err
	}
	if now, known := a.wall.Now(); known {
		t.Now = now
	}
	return t, nil
}

// maxFile bounds the files of a token and of the factory's copy.
const maxFile = rueconfig.MaxSize

// token is what somebody else has put into the file for us (S001-19).
func (r *rue) token() rueconfig.Secret {
	path := r.agent.settings.Get(settings.RUETokenFile)
	if path == "" {
		return ""
	}
	text, err := readSome(path, 8<<10)
	if err != nil {
		r.agent.log.Warn("there is no token", "err", err)
		return ""
	}
	return rueconfig.Secret(strings.TrimSpace(string(text)))
}

func (r *rue) factory() []byte {
	path := r.agent.settings.Get(settings.RUEFactory)
	if path == "" {
		return nil
	}
	text, err := readSome(path, maxFile)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.agent.log.Warn("no factory's copy of the provider's configuration", "err", err)
		}
		return nil
	}
	return text
}

// changed has another client run when the settings ask for one.
func (r *rue) changed(context.Context) (again time.Duration, err error) {
	if r.remake() {
		r.fetch.poke()
	}
	return 0, nil
}

// run keeps the present client fresh, until there is another one.
func (r *rue) run(ctx context.Context) (again time.Duration, err error) {
	if r.live.Swap(true) {
		r.forget()
	}
	if client, err := r.present(); err == nil {
		_ = client.Run(ctx) // which tells by itself what goes wrong
	}
	return 0, nil
}

// forget takes back what a document did to the agent that is not the present
// client's: it was another subscriber's, or the whole is switched off. A mistake
// in the settings leaves it, for that is mended sooner or later.
func (r *rue) forget() {
	switch c, err := r.present(); {
	case errors.Is(err, errNoProvider):
		r.apply(&rueconfig.Document{})
	case err == nil:
		if err := c.Load(); err != nil {
			r.agent.log.Warn("no use of the copy of the provider's configuration", "err", err)
		}
		if c.State().Document == nil {
			r.apply(&rueconfig.Document{})
		}
	}
}

func (r *rue) network() {
	if c, err := r.present(); err == nil {
		c.Network()
	}
}

func (r *rue) clockSet() {
	if c, err := r.present(); err == nil {
		c.ClockSet()
	}
}

// applyOf is apply for the client of these settings, as long as it is the
// present one: a fetch of an earlier one may end after it.
func (r *rue) applyOf(made string) func(*rueconfig.Document) {
	return func(d *rueconfig.Document) {
		r.mu.Lock()
		present := r.made == made
		r.mu.Unlock()
		if present {
			r.apply(d)
		}
	}
}

// apply has the document take effect: what it says of the agent itself becomes
// the provider's layer of settings, where that is allowed.
func (r *rue) apply(d *rueconfig.Document) {
	a := r.agent
	layer := map[string]string{}
	if a.settings.Bool(settings.RUEAgent) {
		for _, s := range d.Agent.Settings {
			layer[s.Name] = string(s.Value)
		}
	} else if len(d.Agent.Settings) > 0 {
		a.log.Info("the provider's configuration has settings of the agent, which configure_agent in section rue does not allow")
	}
	changed, err := a.settings.SetLayer(settings.Provider, layer)
	if err != nil {
		a.log.Warn("some settings of the provider are no good", "err", err)
	}
	if len(changed) > 0 {
		a.log.Info("the provider has changed settings of the agent", "settings", strings.Join(changed, " "))
	}
	if r.live.Load() {
		x := d.Agent.XMPP
		if !a.settings.Bool(settings.RUEAgent) {
			x = rueconfig.XMPP{}
		}
		if err := r.applyXMPP(x); err != nil {
			a.log.Warn("the XMPP connection of the provider is not as it says", "err", err)
		}
		a.hint(tr181.ProviderChanged)
		a.tell(ofSettings) // the rows of the connection, and a voice stack
	}
}

// xmppRow is the provider's connection, under an alias of its own.
const xmppRow = "Device.XMPP.Connection.[provider]."

// applyXMPP makes the connection that the provider wants and points connection
// requests to it; without a domain it is gone.
func (r *rue) applyXMPP(x rueconfig.XMPP) error {
	ctx := context.Background()
	if x.Domain == "" {
		return r.dropXMPP(ctx)
	}
	set := func(name, v string) datamodel.Assignment { return datamodel.Assignment{Path: name, Value: v} }
	err := r.change(ctx, func(tx *datamodel.Tx) error {
		tx.AutoCreate = true
		return tx.Set(ctx, set(xmppRow+"Domain", x.Domain), set(xmppRow+"Username", x.UserName), set(xmppRow+"Password", string(x.Password)),
			set(xmppRow+"Resource", x.Resource), set(xmppRow+"UseTLS", "true"), set(xmppRow+"Enable", "true"))
	})
	if err != nil {
		return err
	}
	// What it is called is known only now.
	info, err := r.agent.tree.Describe(ctx, xmppRow+"Domain")
	if err != nil {
		return err
	}
	return r.change(ctx, func(tx *datamodel.Tx) error {
		as := []datamodel.Assignment{set(requestsByXMPP, strings.TrimSuffix(info.Path, ".Domain"))}
		if len(x.AllowedJabberIDs) > 0 {
			as = append(as, set(allowedJabberIDs, strings.Join(x.AllowedJabberIDs, ",")))
		}
		return tx.Set(ctx, as...)
	})
}

const (
	requestsByXMPP   = "Device.ManagementServer.ConnReqXMPPConnection"
	allowedJabberIDs = "Device.ManagementServer.ConnReqAllowedJabberIDs"
)

// dropXMPP takes the provider's connection out, if there is one: it holds a
// subscriber's password.
func (r *rue) dropXMPP(ctx context.Context) error {
	info, err := r.agent.tree.Describe(ctx, xmppRow+"Domain")
	if err != nil {
		return nil // there is none, or nothing of XMPP at all
	}
	uses := false
	for v, err := range r.agent.tree.Values(ctx, requestsByXMPP) {
		uses = err == nil && v.Value == strings.TrimSuffix(info.Path, ".Domain")
	}
	return r.change(ctx, func(tx *datamodel.Tx) error {
		if uses {
			if err := tx.Set(ctx, datamodel.Assignment{Path: requestsByXMPP}, datamodel.Assignment{Path: allowedJabberIDs}); err != nil {
				return err
			}
		}
		return tx.Delete(ctx, xmppRow)
	})
}

// change is one transaction.
func (r *rue) change(ctx context.Context, f func(tx *datamodel.Tx) error) error {
	tx, err := r.agent.tree.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Abort()
	if err := f(tx); err != nil {
		return err
	}
	_, err = tx.Commit(ctx)
	return err
}

// ProviderState implements tr181.Provider.
func (r *rue) ProviderState() tr181.ProviderState {
	c, err := r.present()
	if err != nil {
		st := tr181.ProviderState{Status: "Disabled"}
		if !errors.Is(err, errNoProvider) {
			st.Status, st.LastError = "Error_Misconfigured", err.Error()
		}
		return st
	}
	s := c.State()
	st := tr181.ProviderState{Status: "None", Source: s.Source, From: s.From, Fetched: s.Fetched}
	now, _ := r.agent.wall.Now()
	if !s.Next.IsZero() {
		st.Next = now.Add(time.Until(s.Next)) // the wall clock may not be the system's
	}
	switch {
	case s.Stale(now):
		st.Status = "Stale"
	case s.Document != nil:
		st.Status = "Enabled"
	}
	if s.Err != nil {
		st.LastError = s.Err.Error()
	}
	if s.Document != nil {
		for _, k := range s.Document.Keys {
			st.Keys = append(st.Keys, tr181.ProviderKey{Name: k.Name, Value: k.Value, Origin: k.Origin.String(), Known: k.Known})
		}
	}
	return st
}

// FetchProvider implements tr181.Provider: the task begins a fetch.
func (r *rue) FetchProvider() {
	if c, err := r.present(); err == nil {
		c.Soon()
	}
}

// ForgetProvider implements provider: a factory reset. The copy on disk goes
// with the state.
func (r *rue) ForgetProvider() {
	c, err := r.present()
	if err != nil {
		return
	}
	if err := c.Reset(); err != nil {
		r.agent.log.Warn("the provider's configuration is not forgotten", "err", err)
	}
	r.apply(&rueconfig.Document{})
	c.Soon()
}

// Provider implements api.Provider.
func (r *rue) Provider(ctx context.Context, call string) (changed bool, err error) {
	c, err := r.present()
	if err != nil {
		return false, err
	}
	switch call {
	case "fetch":
		changed, err = c.Fetch(ctx)
	case "reset":
		err = c.Reset()
		r.apply(&rueconfig.Document{})
	case "reload":
		err = c.Load()
	}
	if err != nil {
		return false, api.Refuse(api.Failed, "", err.Error())
	}
	return changed, nil
}

func (r *rue) status(st *api.Status) {
	c, err := r.present()
	if err != nil {
		return
	}
	h := c.Health()
	ch := api.Channel{Name: h.Channel, Up: h.Up, LastOK: h.LastOK, LastError: h.LastError, Selected: h.Selected,
		Without: "fresh configuration of the provider"}
	for _, t := range h.Targets {
		s := api.Server{Name: t.Name, Address: t.Addr.String()}
		if until, ok := h.Blocked[t.Addr]; ok {
			s.BlockedUntil = until
		}
		ch.Servers = append(ch.Servers, s)
	}
	st.Channels = append(st.Channels, ch)
}
