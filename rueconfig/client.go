// Where the document comes from: discovery, the forms of the service, failover.

package rueconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/endpoint"
)

// A Form is how a provider hands the configuration out.
type Form string

// Forms.
const (
	// Merged is one document at one path, merged by the server: the form of the
	// drafts, with the servers found by SRV.
	Merged Form = "merged"
	// Resources are ProviderConfig and RueConfig of RFC 9248 9, which we merge.
	Resources Form = "rfc9248"
	// Device is one document at a URL that is known, for the device rather than
	// the subscriber: asked for with a token first and, if that fails for any
	// reason, with the device's name and password.
	Device Form = "device"
)

// Trust is whom to believe in the conversations of one fetch; it is asked for
// before each and dropped after it.
type Trust struct {
	TLS *tls.Config // roots, client certificate, versions from 1.2 on
	Now time.Time   // zero: nobody knows; dates are then those of the chain
}

// A Backing is a small file, atomically replaced; Load returns fs.ErrNotExist
// when there is none.
type Backing interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// Config says what to fetch, and how.
type Config struct {
	Channel string // name of the channel in logs, rules and status; "": "rue"

	Domain   string        // of the provider
	Registry string        // RFC 9248: where the list of providers is; "": Domain is the entry point
	Provider string        // RFC 9248: name in that list
	Form     Form          // "": Merged
	Service  string        // of the SRV name; "": "rueconfig". "-": no SRV
	Port     uint16        // where no SRV names one; 0: 443
	Path     string        // of the merged document; "": "/v1"
	URL      string        // of the device's document; the addresses of its host are a pool
	Token    func() Secret // for it; nil, or "": none is held

	Username string
	Password Secret
	Basic    bool   // Basic is answered, too, where nothing better is offered
	Instance string // RFC 9248: the same in all calls of this device
	APIKey   Secret // RFC 9248

	// DomainOnly wants a certificate for the provider's domain or config.DOMAIN
	// even from a server that SRV names. Else one for that server will do: every
	// deployed client has it so, and DNS is then believed that far.
	DomainOnly bool

	Resolver  *endpoint.Resolver
	Dial      endpoint.DialFunc                   // to a literal address, or by name for a redirect
	Route     func(host string) endpoint.DialFunc // by way of a proxy, which is told the name; nil, or nil returned: Dial
	Trust     func() (Trust, error)
	Rules     endpoint.Rules
	UserAgent string

	Cache   Backing          // on flash; nil: nothing is kept
	Factory func() []byte    // a merged document that came with the image; nil: none
	Apply   func(*Document)  // told of each new document, at the start, too; nil: nobody cares
	Clock   func() time.Time // of the wall, for when the document was fetched; nil: time.Now
	Rand    func(n int64) int64
	Log     *slog.Logger
}

// A Client finds, fetches and keeps the configuration of one subscriber.
type Client struct {
	cfg     Config
	log     *slog.Logger
	channel *endpoint.Channel
	device  *url.URL // of Device
	serial  atomic.Uint64
	entry   atomic.Pointer[entryPoint] // of the provider, from the registry; nil: not known

	clockless atomic.Bool // the last fetch verified certificates without a clock
	keeper
}

// An entryPoint is where a provider's resources begin: a domain, and what
// stands before their path.
type entryPoint struct{ domain, prefix string }

// domain is the provider's.
func (c *Client) domain() string {
	if e := c.entry.Load(); e != nil {
		return e.domain
	}
	return c.cfg.Domain
}

// New returns a client. It does nothing before Run or Fetch.
func New(cfg Config) (*Client, error) {
	var device *url.URL
	switch {
	case cfg.Form == Device:
		u, err := url.Parse(cfg.URL)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			return nil, fmt.Errorf("%q is not an https URL", cfg.URL)
		}
		u.Fragment = ""
		device = u
	case !IsDomain(cfg.Domain) && (cfg.Form != Resources || !IsDomain(cfg.Registry)):
		return nil, fmt.Errorf("%q is not the domain of a provider", cfg.Domain)
	}
	if cfg.Channel == "" {
		cfg.Channel = "rue"
	}
	if cfg.Service == "" {
		cfg.Service = "rueconfig"
	}
	if cfg.Port == 0 {
		cfg.Port = 443
	}
	if cfg.Path == "" {
		cfg.Path = "/v1"
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, log: cfg.Log, device: device}
	c.channel = &endpoint.Channel{Name: cfg.Channel, Find: c.find, Warn: func(msg string) { c.log.Warn(msg) }}
	if r := cfg.Rand; r != nil {
		c.channel.Rand = func(n int) int { return int(r(int64(n))) }
	}
	return c, nil
}

// Health tells how the servers are doing.
func (c *Client) Health() endpoint.Health { return c.channel.Health() }

// correlation is the id of one conversation in the log.
func (c *Client) correlation() string {
	return c.cfg.Channel + "-" + strconv.FormatUint(c.serial.Add(1), 10)
}

// find looks the servers up: steps 2 to 6 of the founding diagram.
func (c *Client) find(ctx context.Context) (endpoint.Found, error) {
	if c.device != nil {
		_, port, err := net.SplitHostPort(hostPort(c.device))
		if err != nil {
			return endpoint.Found{}, err
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return endpoint.Found{}, fmt.Errorf("port %q of %s: %w", port, place(c.device), err)
		}
		return c.cfg.Resolver.Find(ctx, endpoint.Search{Domain: c.device.Hostname(), Port: uint16(n)})
	}
	s := endpoint.Search{Service: c.cfg.Service, Domain: c.domain(), Fallback: "config." + c.domain(), Port: c.cfg.Port}
	if c.cfg.Form == Resources {
		s.Fallback = "" // the entry point itself
	}
	if c.cfg.Service == "-" || c.cfg.Form == Resources {
		s.Service = ""
	}
	return c.cfg.Resolver.Find(ctx, s)
}

// fetched is what a fetch has brought, as it came.
type fetched struct {
	provider, subscriber []byte
	etags                [2]string // of provider and subscriber
	from                 string
	unchanged            bool
}

// fetch gets the document with a password; have is what there is already.
func (c *Client) fetch(ctx context.Context, password Secret, have fetched) (out fetched, err error) {
	switch c.cfg.Form {
	case Resources:
		return c.fetchResources(ctx, password, have)
	case Device:
		return c.fetchDevice(ctx, password, have)
	}
	return c.fetchMerged(ctx, password, have)
}

func (c *Client) fetchMerged(ctx context.Context, password Secret, have fetched) (out fetched, err error) {
	err = c.channel.Do(ctx, func(ctx context.Context, t endpoint.Target) error {
		base := &url.URL{Scheme: "https", Host: authority(t), Path: c.cfg.Path}
		v, err := c.converse(t, base, c.names(t), credentials{username: c.cfg.Username, password: password, basic: c.cfg.Basic})
		if err != nil {
			return local(err)
		}
		defer v.close()
		out, err = v.one(ctx, base, have)
		return err
	})
	return out, err
}

// one gets a document that is all there is.
func (v *conversation) one(ctx context.Context, u *url.URL, have fetched) (fetched, error) {
	a, err := v.get(ctx, u, have.etags[1])
	if err != nil {
		return fetched{}, err
	}
	if a.status == 304 {
		have.unchanged, have.from = true, place(u)
		return have, nil
	}
	return fetched{subscriber: a.body, etags: [2]string{1: a.etag}, from: place(u)}, nil
}

// fetchDevice asks with the token, of one server after the other, then with
// name and password. Never both in one request.
func (c *Client) fetchDevice(ctx context.Context, password Secret, have fetched) (out fetched, err error) {
	logins := []credentials{{username: c.cfg.Username, password: password, basic: true}}
	if c.cfg.Token != nil {
		if token := c.cfg.Token(); token != "" {
			logins = append([]credentials{{token: token}}, logins...)
		}
	}
	for i, login := range logins {
		err = c.channel.Do(ctx, func(ctx context.Context, t endpoint.Target) error {
			v, err := c.converse(t, c.device, []string{c.device.Hostname()}, login)
			if err != nil {
				return local(err)
			}
			defer v.close()
			out, err = v.one(ctx, c.device, have)
			return err
		})
		if err == nil || ctx.Err() != nil {
			break
		}
		if i+1 < len(logins) {
			c.log.Warn("the token did not get the document, trying name and password", "err", err)
		}
	}
	return out, err
}

// names are those that a certificate of t may be for.
func (c *Client) names(t endpoint.Target) []string {
	config := "config." + c.domain()
	if c.cfg.DomainOnly {
		return []string{config, c.domain()}
	}
	return []string{t.Name, config}
}

// authority is a target as it stands in a URL.
func authority(t endpoint.Target) string {
	if t.Addr.Port() == 443 {
		return t.Name
	}
	return t.Name + ":" + strconv.Itoa(int(t.Addr.Port()))
}

// Resources of RFC 9248 9, below the entry point.
const (
	rum            = "/rum"
	rumV1          = rum + "/v1"
	providersPath  = rumV1 + "/Providers"
	providerConfig = rumV1 + "/ProviderConfig"
	rueConfig      = rumV1 + "/RueConfig"
	versionsPath   = rum + "/Versions"
)

// fetchResources gets both resources from one server: the provider's without
// credentials, the subscriber's with them.
func (c *Client) fetchResources(ctx context.Context, password Secret, have fetched) (out fetched, err error) {
	prefix := ""
	if c.cfg.Registry != "" {
		if prefix, err = c.enter(ctx); err != nil {
			return fetched{}, err
		}
	}
	query := url.Values{"instanceId": {c.cfg.Instance}}
	if c.cfg.APIKey != "" {
		query.Set("apiKey", string(c.cfg.APIKey))
	}
	err = c.channel.Do(ctx, func(ctx context.Context, t endpoint.Target) error {
		base := &url.URL{Scheme: "https", Host: authority(t), Path: prefix + rueConfig, RawQuery: query.Encode()}
		v, err := c.converse(t, base, []string{t.Name}, credentials{username: c.cfg.Username, password: password, basic: c.cfg.Basic})
		if err != nil {
			return local(err)
		}
		defer v.close()
		out = fetched{from: place(base)}
		settings := *base
		settings.Path = prefix + providerConfig
		unchanged := [2]bool{}
		for i, u := range []*url.URL{&settings, base} {
			a, err := v.get(ctx, u, have.etags[i])
			if err != nil {
				return v.outdated(ctx, prefix, err)
			}
			body := [...]*[]byte{&out.provider, &out.subscriber}[i]
			if *body, out.etags[i] = a.body, a.etag; a.status == 304 {
				*body, unchanged[i] = [...][]byte{have.provider, have.subscriber}[i], true
			}
		}
		out.unchanged = unchanged == [2]bool{true, true}
		return nil
	})
	return out, err
}

// outdated looks, when a resource is not there, whether the provider has
// another version of the interface, and says so.
func (v *conversation) outdated(ctx context.Context, prefix string, err error) error {
	var status *StatusError
	if !errors.As(err, &status) || status.Status != 404 {
		return err
	}
	u := *v.base
	u.Path, u.RawQuery = prefix+versionsPath, ""
	a, also := v.get(ctx, &u, "")
	if also != nil {
		return err
	}
	list, also := parse(a.body)
	if also != nil {
		return err
	}
	versions, _, _ := list.member("versions")
	var have []string
	for _, item := range versions.items {
		major, _, _ := item.member("major")
		if major.text == "1" {
			return err
		}
		have = append(have, major.text)
	}
	return final(fmt.Errorf("the provider offers versions %s of the interface, not 1: %w", strings.Join(have, ", "), err))
}

// enter finds the provider in the list of the registry, and has the channel go
// there. It returns what stands before the path of resources. A registry that
// cannot be asked leaves the entry point as it was last.
func (c *Client) enter(ctx context.Context) (prefix string, err error) {
	e, err := c.look(ctx)
	was := c.entry.Load()
	switch {
	case err != nil && was != nil && ctx.Err() == nil:
		c.log.Warn("the registry of providers cannot be asked, going where it last said", "domain", was.domain, "err", err)
		return was.prefix, nil
	case err != nil:
		return "", err
	}
	before := c.domain()
	c.entry.Store(&e)
	if e.domain != before {
		c.channel.Reset()
	}
	return e.prefix, nil
}

// look asks the registry.
func (c *Client) look(ctx context.Context) (entryPoint, error) {
	found, err := c.cfg.Resolver.Find(ctx, endpoint.Search{Domain: c.cfg.Registry, Port: c.cfg.Port})
	if err != nil {
		return entryPoint{}, err
	}
	registry := &endpoint.Channel{Name: c.cfg.Channel + " registry", Find: func(context.Context) (endpoint.Found, error) { return found, nil }}
	var entry string
	err = registry.Do(ctx, func(ctx context.Context, t endpoint.Target) error {
		base := &url.URL{Scheme: "https", Host: authority(t), Path: providersPath}
		v, err := c.converse(t, base, []string{t.Name}, credentials{})
		if err != nil {
			return local(err)
		}
		defer v.close()
		a, err := v.get(ctx, base, "")
		if err != nil {
			return err
		}
		if entry, err = entryOf(a.body, c.cfg.Provider); err != nil {
			return final(err)
		}
		return nil
	})
	if err != nil {
		return entryPoint{}, err
	}
	domain, path, _ := strings.Cut(entry, "/")
	if path = strings.Trim(path, "/"); path != "" {
		path = "/" + path
	}
	return entryPoint{domain, path}, nil
}

// entryOf finds the entry point of a provider: a domain, with or without a
// path. The RFC's figure calls it entryPoint, its schema providerEntryPoint.
func entryOf(data []byte, provider string) (string, error) {
	list, err := parse(data)
	if err != nil {
		return "", err
	}
	providers, _, _ := list.member("providers")
	for i, item := range providers.items {
		name, _, _ := item.member("name")
		if name.text != provider {
			continue
		}
		entry, at, ok := item.member("providerentrypoint")
		if !ok {
			entry, at, _ = item.member("entrypoint")
		}
		at = join(index("providers", i), at)
		s, err := entry.string(at)
		if err != nil {
			return "", err
		}
		s = strings.TrimPrefix(s, "https://")
		if domain, path, _ := strings.Cut(s, "/"); !IsDomain(domain) || strings.ContainsAny(path, "?#\\ ") || strings.Contains("/"+path+"/", "/../") {
			return "", wrong(at, "not a domain with a path")
		}
		return s, nil
	}
	return "", fmt.Errorf("the list of providers has none called %q", provider)
}
