//go:build !no_rue

package app_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/pki"
	"gatehouse/platform"
)

// office is a proxy that wants a name and a password, and leads to the
// provider's server by its name alone.
func (h *providerHouse) office(addr string) (asked *[]string, stop func()) {
	h.t.Helper()
	l, err := h.net.Listen("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	asked = &[]string{}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("office:s3cret-of-proxy"))
	serve := func(c net.Conn) {
		defer c.Close()
		in := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if req.Header.Get("Proxy-Authorization") != want {
				_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"office\"\r\nContent-Length: 0\r\n\r\n")
				continue
			}
			*asked = append(*asked, req.RequestURI)
			there, err := h.net.Dial(h.t.Context(), "tcp", strings.Replace(req.RequestURI, providerHost, providerIP, 1))
			if err != nil || !strings.HasPrefix(req.RequestURI, providerHost) {
				_, _ = io.WriteString(c, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
				return
			}
			defer there.Close()
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(there, in); _ = there.Close() }()
			_, _ = io.Copy(c, there)
			return
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return asked, func() { _ = l.Close() }
}

// S001-13: the proxy of the settings is the provider's way, too: it is told the
// server's name, for addresses it does not let through, and given its password;
// what is excepted goes past it.
func TestProviderThroughProxy(t *testing.T) {
	for except, want := range map[string][]string{
		"acs.example.net": {providerHost + ":443"},
		"example.net":     nil,
	} {
		t.Run(except, func(t *testing.T) {
			proxy := "config proxy 'proxy'\n\toption url 'http://198.51.100.70:3128'\n\toption username 'office'\n\toption password 's3cret-of-proxy'\n\tlist except '" +
				except + "'\nconfig rue 'rue'\n"
			providerStory(t, proxy, func(t *testing.T, h *providerHouse) {
				asked, stop := h.office("198.51.100.70:3128")
				defer stop()
				h.start()
				h.session(1)
				time.Sleep(time.Second)
				if got := h.value(rueModel + "Status"); got != "Enabled" {
					t.Errorf("status %s: %s", got, h.value(rueModel+"LastError"))
				}
				if !slices.Equal(*asked, want) {
					t.Errorf("the proxy was asked for %q, want %q", *asked, want)
				}
				if strings.Contains(h.log.String(), "s3cret") {
					t.Error("the log has the proxy's password")
				}
			})
		})
	}
}

// A router that starts in 1970 takes the document, with every certificate
// verified but for its dates, and does not call it stale; once the clock is set
// it asks again, once, and does not call it stale either.
func TestProviderBeforeTheClockIsSet(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.router.SetTime(platform.TimeStatus{})
		h.router.Step(-years(30))
		edit := h.edit
		h.edit = func(c *app.Config) { edit(c); c.Built = time.Now().AddDate(0, 2, 0) } // it is later than the system's clock
		h.start()
		h.session(1)
		h.settle()
		if got, source := h.value(rueModel+"Status"), h.value(rueModel+"Source"); got != "Enabled" || source != "live" {
			t.Errorf("without a clock: %s, %s", got, source)
		}
		n := len(h.provider.Requests())
		h.router.Step(years(30) + 61*24*time.Hour)
		h.router.SetTime(platform.TimeStatus{Set: true, Synced: true})
		h.settle()
		if more := len(h.provider.Requests()); n == 0 || more == 0 {
			t.Errorf("%d requests, %d after the clock was set", n, more)
		}
		if got := h.value(rueModel + "Status"); got != "Enabled" {
			t.Errorf("with a clock: %s", got)
		}
		h.router.Step(time.Hour)
		h.settle()
		if more := len(h.provider.Requests()); more != 0 {
			t.Errorf("%d requests for a step of a clock that was set", more)
		}
	})
}

// The ACS, too, wants a certificate of its clients: one that replaces the file
// is taken with the next session, and one that ends soon is warned of.
func TestSessionClientCertificate(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		dir := filepath.Dir(h.conf)
		ca, err := pki.New("operator root")
		if err != nil {
			t.Fatal(err)
		}
		server, err := ca.Config("", "acs.example.net")
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		server.NextProtos, server.ClientAuth, server.ClientCAs = []string{"http/1.1"}, tls.RequireAndVerifyClientCert, ca.Pool()
		server.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error {
			seen = append(seen, chains[0][0].Subject.CommonName)
			return nil
		}
		secure := h.server(acsIP+":443", acs.Options{TLS: server})
		defer secure.Close()
		write(t, filepath.Join(dir, "ca.pem"), string(ca.PEM()))
		file := filepath.Join(dir, "client.pem")
		certify := func(name string, days int) {
			p := &providerHouse{house: h}
			p.give(file, ca, pki.Leaf{CommonName: name, Client: true, NotAfter: time.Now().AddDate(0, 0, days)})
		}
		certify("first", 300)
		write(t, h.conf, config("config acs 'more'", "\toption url 'https://acs.example.net/cwmp'", "config tls 'tls'",
			"\toption ca '"+filepath.Join(dir, "ca.pem")+"'", "\toption cert '"+file+"'"))
		h.router.SetTime(platform.TimeStatus{Set: true, Synced: true})
		h.start()
		h.sessionAt(secure, 1)
		const warning = "the client certificate ends soon"
		if strings.Contains(h.log.String(), warning) {
			t.Error("a certificate that is good for most of a year is warned of")
		}
		certify("second", 20)
		if err := h.agent.API().Inform(t.Context(), root, ""); err != nil {
			t.Fatal(err)
		}
		h.sessionAt(secure, 2)
		if len(seen) != 2 || seen[0] != "first" || seen[1] != "second" {
			t.Errorf("the ACS saw %q", seen)
		}
		if !strings.Contains(h.log.String(), warning) {
			t.Error("a certificate of 20 days is not warned of")
		}
	})
}
