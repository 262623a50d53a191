package connreq

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
)

// S003-05, S003-17, S003-27: who somebody is, is told by his password and his
// connection; what he says of himself in headers counts for nothing and is not
// passed on, and an answer has nothing in it but what HTTP needs.
func TestHeaders(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		c := b.browser()
		const claims = "X-Forwarded-For: 192.0.2.9\r\nX-VP-Sender-Id: acs\r\nX-VP-Auth-Cert: acs\r\nX-Correlation-Id: 7\r\n"
		res := c.send(t, "GET /cr HTTP/1.1\r\nHost: 192.0.2.1:7547\r\n"+claims+"\r\n")
		synctest.Wait()
		if res.StatusCode != 401 || b.accepted.Load() != 0 {
			t.Errorf("claims are believed: %d, %d sessions", res.StatusCode, b.accepted.Load())
		}
		_, good := c.login(t, "/cr", "acs", "secret")
		for _, r := range []*http.Response{res, good} {
			for name := range r.Header {
				if !slices.Contains([]string{"Date", "Content-Length", "Connection", "Www-Authenticate", "Cache-Control"}, name) {
					t.Errorf("%d has %s: %s", r.StatusCode, name, r.Header.Get(name))
				}
			}
		}
		_ = c.Close()
	})
}
