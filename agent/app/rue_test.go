//go:build !no_rue

package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/dns"
	"gatehouse/lab/pki"
	"gatehouse/lab/provider"
)

const (
	providerIP   = "198.51.100.60"
	providerHost = "server.p.example.net"
	rueModel     = "Device.X_GATEHOUSE_Provider."
)

// A providerHouse is a house with no word of an ACS in its configuration, and a
// provider that has one.
type providerHouse struct {
	*house
	provider *provider.Server
	dns      *dns.Server
	dir      string
	ca       *pki.CA
	client   func(*tls.Config) // what the server wants of clients' certificates
}

func providerStory(t *testing.T, more string, f func(t *testing.T, h *providerHouse)) {
	t.Helper()
	strictStory(t, more, nil, f)
}

// strictStory is one of a server that demands a certificate of its clients.
func strictStory(t *testing.T, more string, demand func(*providerHouse, *tls.Config), f func(t *testing.T, h *providerHouse)) {
	t.Helper()
	conf := `config acs 'acs'
	option allow_http '1'
	option periodic_inform_enable '0'
config rue 'rue'
	option enable '1'
	option domain 'p.example.net'
	option username 'zoe'
	option password 'subscriber'
	option configure_agent '1'
` + more
	story(t, acs.Options{}, conf, func(t *testing.T, below *house) {
		h := &providerHouse{house: below, dir: filepath.Dir(below.conf)}
		var err error
		if h.dns, err = dns.New("_rueconfig._tcp.p.example.net 300 SRV 0 0 443 "+providerHost, providerHost+" 300 A "+providerIP); err != nil {
			t.Fatal(err)
		}
		h.provider = provider.New(provider.Options{}, map[string]any{"version": 1, "lifetime": 86400, "provider-domain": "p.example.net"})
		h.says(map[string]any{"display-name": "Zoë", "cwmp": map[string]any{"acs-url": acsURL, "username": "cpe", "password": "secret"}})
		ca, err := pki.New("provider root")
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(h.dir, "ca.pem"), string(ca.PEM()))
		write(t, filepath.Join(h.dir, "resolv.conf"), "nameserver 198.51.100.53\n")
		write(t, h.conf, conf+"\toption ca '"+filepath.Join(h.dir, "ca.pem")+"'\n")
		h.ca = ca
		if demand != nil {
			h.client = func(c *tls.Config) { demand(h, c) }
		}
		stop := h.serve(ca)
		defer func() {
			if h.stop != nil {
				h.end()
			}
			stop()
			h.dns.Wait()
		}()
		h.edit = func(c *app.Config) {
			dial := c.Dial
			c.ResolvConf = filepath.Join(h.dir, "resolv.conf")
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if strings.HasSuffix(addr, ":53") {
					return h.dns.Dial(ctx, network, addr)
				}
				return dial(ctx, network, addr)
			}
		}
		f(t, h)
	})
}

func (h *providerHouse) says(own map[string]any) {
	h.provider.Subscribe("zoe", provider.Subscriber{Password: "subscriber", Settings: own})
}

func (h *providerHouse) serve(ca *pki.CA) (stop func()) {
	h.t.Helper()
	config, err := ca.Config("", providerHost)
	if err != nil {
		h.t.Fatal(err)
	}
	config.NextProtos = []string{"http/1.1"}
	if h.client != nil {
		h.client(config)
	}
	l, err := h.net.Listen("tcp", providerIP+":443")
	if err != nil {
		h.t.Fatal(err)
	}
	s := &http.Server{Handler: h.provider, ErrorLog: log.New(h.log, "", 0)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(tls.NewListener(l, config)) }()
	return func() { _ = s.Close(); <-done }
}

// get reads one parameter at the agent's own door.
func (h *providerHouse) value(path string) string {
	h.t.Helper()
	for v, err := range h.agent.API().Get(h.t.Context(), root, []string{path}) {
		if err != nil {
			h.t.Fatal(err)
		}
		return v.Value
	}
	return ""
}

// A router that knows a provider's domain and a subscriber's name finds its
// ACS by itself; another ACS in the document means BOOTSTRAP there; and without
// the provider the copy on disk serves.
func TestProviderNamesACS(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		other := h.server(otherIP+":80", acs.Options{})
		defer other.Close()
		h.start()
		if s := h.session(1); !strings.Contains(events(s), "0 BOOTSTRAP") {
			t.Errorf("the first session has %s", events(s))
		}
		if got := h.value(rueModel + "Status"); got != "Enabled" {
			t.Errorf("status %s", got)
		}

		h.says(map[string]any{"cwmp": map[string]any{"acs-url": "http://other.example.net/cwmp"}})
		if changed, err := h.agent.API().ProviderCall(t.Context(), root, "fetch"); err != nil || !changed {
			t.Fatalf("fetch: %v, %v", changed, err)
		}
		if s := h.sessionAt(other, 1); !strings.Contains(events(s), "0 BOOTSTRAP") {
			t.Errorf("the other ACS gets %s", events(s))
		}

		h.provider.Break(provider.Fault{Name: "status", Arg: "503", All: true})
		h.boot()
		if s := h.sessionAt(other, 2); !strings.Contains(events(s), "1 BOOT") || strings.Contains(events(s), "BOOTSTRAP") {
			t.Errorf("after a boot without the provider: %s", events(s))
		}
		if got := h.value(rueModel + "Source"); got != "disk" {
			t.Errorf("source %s", got)
		}
		st, err := h.agent.API().Status(root)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if now, err := h.agent.API().Status(root); err != nil || now.FlashWrites != st.FlashWrites {
			t.Errorf("%d flash writes on a day without the provider (%v)", now.FlashWrites-st.FlashWrites, err)
		}
	})
}

// Without the switch the document says nothing to the agent itself.
func TestProviderMayNotConfigureAgent(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		text, err := os.ReadFile(h.conf)
		if err != nil {
			t.Fatal(err)
		}
		conf := strings.Replace(string(text), "option configure_agent '1'", "option configure_agent '0'", 1)
		write(t, h.conf, conf)
		h.start()
		h.none(0, time.Minute)
		if got := h.value("Device.ManagementServer.URL"); got != "" {
			t.Errorf("URL %s", got)
		}
		if got := h.value(rueModel + "Key.1.Name"); got == "" {
			t.Error("the document does not show")
		}
	})
}

// The document can give the XMPP connection by which the ACS reaches us.
func TestProviderXMPP(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.says(map[string]any{"cwmp": map[string]any{"acs-url": acsURL, "xmpp": map[string]any{
			"domain": "xmpp.example.net", "username": "cpe1", "password": "s3cret", "allowed-jabber-ids": []string{"acs@xmpp.example.net"},
		}}})
		h.start()
		h.session(1)
		time.Sleep(time.Minute)
		if got := h.value("Device.ManagementServer.ConnReqXMPPConnection"); got != "Device.XMPP.Connection.1" {
			t.Errorf("connection %q", got)
		}
		if got := h.value("Device.XMPP.Connection.1.Domain"); got != "xmpp.example.net" {
			t.Errorf("domain %q", got)
		}
		// Another document in which only the account is another one.
		h.says(map[string]any{"cwmp": map[string]any{"acs-url": acsURL, "xmpp": map[string]any{
			"domain": "chat.example.net", "username": "cpe1", "password": "n3w", "allowed-jabber-ids": []string{"acs@xmpp.example.net"},
		}}})
		if _, err := h.agent.API().ProviderCall(t.Context(), root, "fetch"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		asked := func(q string) bool { return strings.Contains(q, "chat.example.net") }
		if all := h.dns.Asked(); !slices.ContainsFunc(all, asked) {
			t.Errorf("the account of the document before is still in use: asked for %q", all)
		}
	})
}

// S001-15, S001-16, S001-36: the provider wants a client certificate of its own
// authority. One that replaces the file is taken with the next conversation, and
// one that ends soon is warned of.
func TestProviderClientCertificate(t *testing.T) {
	const file = "client.pem"
	var seen []string
	demand := func(h *providerHouse, c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, h.ca.Pool()
		c.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error {
			seen = append(seen, chains[0][0].Subject.CommonName)
			return nil
		}
		h.certify(filepath.Join(h.dir, file), "first")
		text, err := os.ReadFile(h.conf)
		if err != nil {
			h.t.Fatal(err)
		}
		write(h.t, h.conf, string(text)+"\toption cert '"+filepath.Join(h.dir, file)+"'\n")
	}
	strictStory(t, "", demand, func(t *testing.T, h *providerHouse) {
		h.start()
		h.session(1)
		h.certify(filepath.Join(h.dir, file), "second")
		if _, err := h.agent.API().ProviderCall(t.Context(), root, "fetch"); err != nil {
			t.Fatal(err)
		}
		if len(seen) < 2 || seen[0] != "first" || seen[len(seen)-1] != "second" {
			t.Errorf("the server saw %q", seen)
		}
		if !strings.Contains(h.log.String(), "the client certificate ends soon") {
			t.Error("a certificate of a day is not warned of")
		}
	})
}

// certify writes a certificate and its key into one file.
func (h *providerHouse) certify(path, name string) {
	h.t.Helper()
	h.give(path, h.ca, pki.Leaf{CommonName: name, Client: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)})
}

// give does so with what an authority issues.
func (h *providerHouse) give(path string, ca *pki.CA, leaf pki.Leaf) {
	h.t.Helper()
	pair, err := ca.Issue(leaf)
	if err != nil {
		h.t.Fatal(err)
	}
	cert, key, err := pki.Files(pair)
	if err != nil {
		h.t.Fatal(err)
	}
	write(h.t, path, string(cert)+string(key))
}

// S001-39, S001-40, S003-40: one question tells version, device, and how each
// channel is doing, what is passed over, and what does not work meanwhile; no
// answer of the agent holds a secret of the document.
func TestProviderHealth(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.says(map[string]any{"cwmp": map[string]any{"acs-url": acsURL, "password": "s3cret-of-ours"},
			"credentials": []any{map[string]any{"realm": "p.example.net", "username": "zoe", "password": "s3cret-of-sip"}}})
		h.start()
		h.session(1)
		time.Sleep(time.Second)
		st := h.status()
		if len(st.Channels) != 2 || st.Channels[0].Name != "cwmp" || st.Channels[1].Name != "rue" || !st.Channels[0].Up || !st.Channels[1].Up ||
			st.Version == "" || st.Device["SerialNumber"] == "" {
			t.Fatalf("%+v", st)
		}
		h.provider.Break(provider.Fault{Name: "status", Arg: "503", All: true})
		if _, err := h.agent.API().ProviderCall(t.Context(), root, "fetch"); err == nil {
			t.Error("503 is no error")
		}
		rue := h.status().Channels[1]
		if rue.Up || rue.LastOK.IsZero() || !strings.Contains(rue.LastError, "503") || rue.Without == "" || len(rue.Servers) != 1 || rue.Servers[0].BlockedUntil.IsZero() {
			t.Errorf("%+v", rue)
		}
		for v, err := range h.agent.API().Get(t.Context(), root, []string{"Device."}) {
			if err == nil && strings.Contains(v.Value, "s3cret") {
				t.Errorf("%s = %s", v.Name, v.Value)
			}
		}
		if strings.Contains(h.log.String(), "s3cret") {
			t.Error("the log has a secret")
		}
	})
}

// serviceUse is the extended key usage that a provider of the field demands of
// those who come by its bridge; public authorities may refuse to sign it.
var serviceUse = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 6431, 1, 1, 8, 2, 1, 3}

// S001-23, S001-24, S001-25, S001-26: the provider's own certificate is of a
// public authority; of its clients it wants one of an internal authority, with
// a key usage of its own, a common name that is on its list, and no subject
// alternative name. The agent presents what it was given, as it is.
func TestProviderClientCertificateOfItsOwn(t *testing.T) {
	const file, allowed = "client.pem", "bwcticlient.webex.com"
	for _, row := range []struct {
		what   string
		leaf   pki.Leaf
		public bool // signed by the server's authority
		good   bool
	}{
		{"as it must be", pki.Leaf{CommonName: allowed, Usages: []asn1.ObjectIdentifier{serviceUse}}, false, true},
		{"without the usage", pki.Leaf{CommonName: allowed}, false, false},
		{"another name", pki.Leaf{CommonName: "cpe.example", Usages: []asn1.ObjectIdentifier{serviceUse}}, false, false},
		{"with an alternative name", pki.Leaf{CommonName: allowed, Names: []string{allowed}, Usages: []asn1.ObjectIdentifier{serviceUse}}, false, false},
		{"of the public authority", pki.Leaf{CommonName: allowed, Usages: []asn1.ObjectIdentifier{serviceUse}}, true, false},
	} {
		t.Run(row.what, func(t *testing.T) {
			demand := func(h *providerHouse, c *tls.Config) {
				internal, err := pki.New("internal root")
				if err != nil {
					h.t.Fatal(err)
				}
				c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, internal.Pool()
				c.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error { return identified(chains[0][0], allowed) }
				if row.public {
					internal = h.ca
				}
				row.leaf.Client = true
				h.give(filepath.Join(h.dir, file), internal, row.leaf)
				text, err := os.ReadFile(h.conf)
				if err != nil {
					h.t.Fatal(err)
				}
				write(h.t, h.conf, string(text)+"\toption cert '"+filepath.Join(h.dir, file)+"'\n")
			}
			strictStory(t, "", demand, func(t *testing.T, h *providerHouse) {
				h.start()
				if _, err := h.agent.API().ProviderCall(t.Context(), root, "fetch"); (err == nil) != row.good {
					t.Errorf("fetch: %v", err)
				}
			})
		})
	}
}

// identified is what the provider demands of a client's certificate.
func identified(c *x509.Certificate, allowed ...string) error {
	switch {
	case !slices.ContainsFunc(c.UnknownExtKeyUsage, serviceUse.Equal):
		return errors.New("not for this service")
	case !slices.Contains(allowed, c.Subject.CommonName):
		return fmt.Errorf("%s is not on the list", c.Subject.CommonName)
	case len(c.DNSNames) > 0:
		return errors.New("it has an alternative name")
	}
	return nil
}

// S001-19: somebody else obtains the token and leaves it in a file. When it has
// lapsed the log says so, name and password serve meanwhile, and the one that
// takes its place counts from the next fetch on; it is never shown.
func TestProviderToken(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		path := filepath.Join(h.dir, "token")
		h.provider.SetToken("t0ken")
		write(t, path, "lapsed-t0ken\n")
		text, err := os.ReadFile(h.conf)
		if err != nil {
			t.Fatal(err)
		}
		write(t, h.conf, string(text)+"\toption form 'device'\n\toption url 'https://"+providerHost+"/device.json'\n\toption token_file '"+path+"'\n")
		h.start()
		h.session(1)
		h.settle()
		schemes := func() (out []string) {
			for _, q := range h.provider.Requests() {
				scheme, _, _ := strings.Cut(q.Authorization, " ")
				out = append(out, scheme)
			}
			return out
		}
		if got := schemes(); !slices.Equal(got, []string{"Bearer", "", "Digest"}) {
			t.Errorf("with a token that has lapsed: %q", got)
		}
		if !strings.Contains(h.log.String(), "the token did not get the document") {
			t.Error("the log does not say that the token has lapsed")
		}
		write(t, path, "t0ken\n")
		h.fetch()
		if got := schemes(); !slices.Equal(got, []string{"Bearer"}) {
			t.Errorf("with a new token: %q", got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		h.fetch()
		if got := schemes(); !slices.Equal(got, []string{"", "Digest"}) {
			t.Errorf("without a token: %q", got)
		}
		if strings.Contains(h.log.String(), "t0ken") {
			t.Error("the log shows the token")
		}
	})
}
