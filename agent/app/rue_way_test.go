//go:build !no_rue

package app_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
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
