package zoo

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/lab/acs"
	"gatehouse/lab/pki"
)

const secure = "https://acs.example.net/acs"

// redirectOutOfTLS: nobody leads the agent out of TLS.
func redirectOutOfTLS(t *testing.T) {
	p := plan{url: secure, chaos: "redirect=http://other.example.net/acs"}
	story(t, p, func(t *testing.T, h *house) {
		other := h.server(otherIP+":80", acs.Options{})
		defer other.Close()
		h.start()
		h.session(2)
		if n := len(other.Sessions()); n > 0 {
			t.Errorf("%d sessions in the clear", n)
		}
		if st := h.status(); !strings.Contains(st.LastError, "TLS") {
			t.Errorf("status %q", st.LastError)
		}
	})
}

// TestManInTheMiddle: certificates that are wrong in each way, at the ACS, at
// the target of a redirect and behind a proxy. The Inform never leaves the
// house, nor does a password, and the status names the certificate.
func TestManInTheMiddle(t *testing.T) {
	for _, f := range pki.Faults() {
		t.Run("session/"+string(f), func(t *testing.T) {
			t.Parallel()
			story(t, plan{url: secure, cert: f, o: acs.Options{Auth: acs.AuthBasic, Username: user, Password: pass}}, func(t *testing.T, h *house) {
				h.start()
				h.none(0, 5*time.Minute)
				wantRefused(t, h)
			})
		})
		t.Run("redirect/"+string(f), func(t *testing.T) {
			t.Parallel()
			story(t, plan{url: secure, chaos: "redirect=https://other.example.net/acs"}, func(t *testing.T, h *house) {
				thief := h.server(otherIP+":443", acs.Options{TLS: h.certify(f, "other.example.net")})
				defer thief.Close()
				h.start()
				h.session(2)
				if n := len(thief.Sessions()); n > 0 {
					t.Errorf("%d sessions with the thief", n)
				}
				wantRefused(t, h)
			})
		})
	}
	t.Run("good", func(t *testing.T) {
		p := plan{url: secure, o: acs.Options{Auth: acs.AuthBasic, Username: user, Password: pass}}
		story(t, p, func(t *testing.T, h *house) {
			h.acs.Script(ordinary)
			h.start()
			if s := h.good(1); s.Exchanges[0].Status != http.StatusOK { // Basic goes out unasked over TLS
				t.Errorf("the first POST was answered %d", s.Exchanges[0].Status)
			}
		})
	})
	t.Run("proxy", manBehindProxy)
}

func wantRefused(t *testing.T, h *house) {
	t.Helper()
	st := h.status()
	if st.RetryCount == 0 || !strings.Contains(st.LastError, "TLS to ") {
		t.Errorf("status %q, %d retries", st.LastError, st.RetryCount)
	}
	if st.Counters.Failures[api.FailedTLS] == 0 {
		t.Errorf("counted: %v", st.Counters.Failures)
	}
	if len(st.Pending) != 2 {
		t.Errorf("pending %v", st.Pending)
	}
}

// manBehindProxy: a proxy that leads to somebody else gains nothing.
func manBehindProxy(t *testing.T) {
	p := plan{url: secure, conf: []string{"config proxy 'proxy'", " option url 'http://192.0.2.50:3128'"}}
	story(t, p, func(t *testing.T, h *house) {
		thief := h.server(otherIP+":443", acs.Options{TLS: h.certify(pki.Untrusted, "acs.example.net")})
		defer thief.Close()
		proxied := h.proxy("192.0.2.50:3128", otherIP+":443")
		h.start()
		h.none(0, 5*time.Minute)
		wantRefused(t, h)
		if n := len(thief.Sessions()); n > 0 || proxied() == 0 {
			t.Errorf("%d sessions with the thief, %d connections through the proxy", n, proxied())
		}
	})
}

// proxy is a CONNECT proxy that leads everybody to one place. It tells how
// many came.
func (h *house) proxy(at, to string) (count func() int64) {
	h.t.Helper()
	l, err := h.net.Listen("tcp", at)
	if err != nil {
		h.t.Fatal(err)
	}
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			go h.relay(c, to)
		}
	}()
	h.t.Cleanup(func() { l.Close() })
	return n.Load
}

func (h *house) relay(c net.Conn, to string) {
	defer c.Close()
	r := bufio.NewReader(c)
	if req, err := http.ReadRequest(r); err != nil || req.Method != http.MethodConnect {
		return
	}
	there, err := h.net.Dial(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer there.Close()
	io.WriteString(c, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() { io.Copy(there, r); there.Close() }()
	io.Copy(c, there)
}
