package demo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/lab/provider"
)

// What the user of the last chapter knows.
const domain, subscriber, secret = "provider.example", "zoe", "paper-clip"

// A ladder is the founding diagram as it is climbed.
type ladder struct {
	s     *stage
	mu    sync.Mutex
	steps []int
}

func (l *ladder) step(n int, what string) {
	l.mu.Lock()
	l.steps = append(l.steps, n)
	l.mu.Unlock()
	l.s.say("%s %s", l.s.paint("36", fmt.Sprintf("%2d", n)), what)
}

// climbed are the steps so far, each once, in the order of their first time.
func (l *ladder) climbed() (out []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.steps {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// provided: the steps of the founding diagram, 1 to 19.
func provided(ctx context.Context, s *stage, o Options) error {
	if s.stop != nil {
		if err := s.stop(); err != nil {
			return err
		}
	}
	dir := filepath.Join(s.dir, "second")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	steps := &ladder{s: s}
	site, closing, err := s.openProvider(dir, steps)
	if err != nil {
		return err
	}
	defer closing()
	have := s.sessions()
	steps.step(1, "the user names the provider: "+domain+"; the router has nothing else but a name and a password")
	start := func() error {
		return s.startWith(ctx, o, dir, s.subscription(dir), app.Config{ResolvConf: filepath.Join(dir, "resolv.conf"), Dial: byZone(site)})
	}
	if err := start(); err != nil {
		return err
	}
	first, err := s.session(ctx, "0 BOOTSTRAP", have)
	if err != nil {
		return err
	}
	want := []int{1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}
	s.prove(slices.Equal(steps.climbed(), want), "the ladder is climbed step by step: %s", strings.Trim(fmt.Sprint(steps.climbed()), "[]"))
	asked := site.DNS.Asked()
	s.prove(!slices.ContainsFunc(asked, func(q string) bool { return strings.Contains(q, " config.") }),
		"step 5 is for providers without an SRV record: config.%s was not asked for", domain)
	s.prove(first.Inform.Device.SerialNumber == "found", "the document names the ACS, and the router bootstraps there")

	if err := s.stop(); err != nil {
		return err
	}
	closing()
	s.say("The provider's server is switched off, and the agent starts anew.")
	have = s.sessions()
	if err := start(); err != nil {
		return err
	}
	if err := s.agent.API().Inform(ctx, api.Caller{Name: "demo", Rights: api.Everything}, ""); err != nil {
		return err
	}
	if _, err := s.session(ctx, "2 PERIODIC", have); err != nil {
		return err
	}
	st, err := s.agent.API().ProviderState(ctx, api.Caller{Name: "demo", Rights: api.Everything})
	s.prove(err == nil && st.Source == "disk", "the copy on disk still leads to the ACS")
	return nil
}

// openProvider has a provider serve the document that names the ACS.
func (s *stage) openProvider(dir string, steps *ladder) (site *provider.Site, closing func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	site, err = provider.NewSite(domain, at, provider.Options{Step: steps.step}, map[string]any{
		"version": 1, "lifetime": 86400, "provider-domain": domain, "outbound-proxies": []string{"sip:proxy." + domain},
	})
	if err != nil {
		return nil, nil, err
	}
	site.Subscribe(subscriber, provider.Subscriber{Password: secret, Settings: map[string]any{
		"display-name": "Zoe Example", "phone-number": "+12025550143",
		"cwmp": map[string]any{"acs-url": s.url, "username": acsUser, "password": acsPassword},
	}})
	for name, text := range map[string]string{"ca.pem": string(site.CA.PEM()), "resolv.conf": "nameserver 192.0.2.53\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, nil, err
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = site.Serve(l) }()
	return site, func() { _ = site.Close(); <-done }, nil
}

// byZone sends questions to the zone of the site and all else to where it is
// meant for.
func byZone(site *provider.Site) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasSuffix(addr, ":53") {
			return site.DNS.Dial(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// subscription is a configuration without a word of an ACS.
func (s *stage) subscription(dir string) string {
	return fmt.Sprintf(`config acs 'acs'
	option allow_http '1'

config rue 'rue'
	option enable '1'
	option domain '%s'
	option username '%s'
	option password '%s'
	option ca '%s'
	option configure_agent '1'

config cpe 'cpe'
	option manufacturer 'Example Networks'
	option manufacturer_oui '00005E'
	option product_class 'HG-1'
	option serial_number 'found'
	option port '%s'
`, domain, subscriber, secret, filepath.Join(dir, "ca.pem"), s.port)
}
