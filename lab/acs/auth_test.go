package acs

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/lab/pki"
)

// digestCPE answers challenges; its fields make it do so wrongly.
type digestCPE struct {
	user, pass string
	challenge  string // the WWW-Authenticate line to answer
	nc         int
	cnonce     string
	first      string                      // the nonce that MD5-sess began with
	edit       func(header string) string  // the last word on the header
	body       func(body string) string    // what auth-int covers
	value      map[string]string           // of the challenge
	want       func(lines []string) string // picks a challenge
}

func newDigest() *digestCPE { return &digestCPE{user: "cpe", pass: "geheim", cnonce: token()} }

func (d *digestCPE) take(resp *http.Response) {
	d.challenge = resp.Header.Get("WWW-Authenticate")
	if d.want != nil {
		d.challenge = d.want(resp.Header["Www-Authenticate"])
	}
	var err error
	if d.value, err = parseChallenge(d.challenge); err != nil {
		panic(err)
	}
	d.nc, d.first = 0, d.value["nonce"]
}

func (d *digestCPE) header(body string) string {
	if d.value == nil {
		return ""
	}
	v := d.value
	d.nc++
	nc := fmt.Sprintf("%08x", d.nc)
	h := hashOf(v["algorithm"])
	ha1 := h(d.user + ":" + v["realm"] + ":" + d.pass)
	if strings.HasSuffix(v["algorithm"], "-sess") {
		ha1 = h(ha1 + ":" + d.first + ":" + d.cnonce)
	}
	a2 := "POST:/acs"
	qop := v["qop"]
	if qop == "auth-int" {
		if d.body != nil {
			body = d.body(body)
		}
		a2 += ":" + h(body)
	}
	s := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="/acs"`, d.user, v["realm"], v["nonce"])
	if qop == "" {
		s += fmt.Sprintf(`, response="%s"`, h(ha1+":"+v["nonce"]+":"+h(a2)))
	} else {
		s += fmt.Sprintf(`, response="%s", qop=%s, nc=%s, cnonce="%s", algorithm=%s`,
			h(strings.Join([]string{ha1, v["nonce"], nc, d.cnonce, qop, h(a2)}, ":")), qop, nc, d.cnonce, v["algorithm"])
	}
	if o := v["opaque"]; o != "" {
		s += `, opaque="` + o + `"`
	}
	if d.edit != nil {
		s = d.edit(s)
	}
	return s
}

// Every algorithm and qop that is offered can be used for a whole session.
func TestDigest(t *testing.T) {
	for _, row := range []struct {
		name string
		d    Digest
		want func([]string) string
	}{
		{name: "MD5"}, // S002-06, S002-13
		{name: "MD5-sess", d: Digest{Algorithms: []string{"MD5-sess"}}},
		{name: "SHA-256", d: Digest{Algorithms: []string{"SHA-256"}}},
		{name: "SHA-256-sess auth-int", d: Digest{Algorithms: []string{"SHA-256-sess"}, QOP: "auth-int"}},
		{name: "auth-int", d: Digest{QOP: "auth-int"}},
		{name: "opaque", d: Digest{Opaque: "0p4que", UTF8: true}},
		{name: "RFC 2069", d: Digest{RFC2069: true}},
		{name: "second of two", d: Digest{Algorithms: []string{"SHA-256", "MD5"}}, want: func(l []string) string { return l[1] }},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim", Digest: row.d}
			bench(t, o, func(t *testing.T, s *Server, c *cpe) {
				d := newDigest()
				d.want = row.want
				resp, _ := c.post(goodInform().String())
				if resp.StatusCode != 401 {
					t.Fatalf("status %d", resp.StatusCode)
				}
				d.take(resp)
				c.auth = d.header
				c.want(200, goodInform().String())
				c.want(204, "")
				clean(t, s)
			})
		})
	}
}

// Each row answers the challenge wrongly.
func TestDigestViolations(t *testing.T) {
	sub := func(old, with string) func(*digestCPE) {
		return func(d *digestCPE) {
			d.edit = func(h string) string {
				if !strings.Contains(h, old) {
					panic("nothing to replace: " + old + " in " + h)
				}
				return strings.Replace(h, old, with, 1)
			}
		}
	}
	for _, row := range []struct {
		name  string
		wrong func(*digestCPE)
		part  string // "" when it is no violation but just not let in
	}{
		{"wrong password", func(d *digestCPE) { d.pass = "falsch" }, ""},
		{"wrong user", func(d *digestCPE) { d.user = "nobody" }, ""},
		{"body not covered", func(d *digestCPE) { d.body = func(string) string { return "" } }, ""},
		{"opaque missing", sub(`, opaque="0p4que"`, ""), "opaque"}, // S002-13
		{"realm of another", sub(`realm="gatehouse lab"`, `realm="lab"`), "realm"},
		{"cnonce missing", sub("cnonce=", "xnonce="), "cnonce is missing"},
		{"qop quoted", sub("qop=auth-int", `qop="auth-int"`), "qop: quoted"},
		{"nc quoted", sub("nc=00000001", `nc="00000001"`), "nc: quoted"},
		{"algorithm cut off", sub("algorithm=MD5", "algorithm=MD)"), "algorithm"}, // freeacs#350
		{"qop not offered", sub("qop=auth-int", "qop=auth"), "not offered"},
		{"uri of another", sub(`uri="/acs"`, `uri="/"`), "request target"},
		{"uri not quoted", sub(`uri="/acs"`, `uri=/acs`), "uri: quoted"},
		{"parameter twice", sub("qop=auth-int", "qop=auth-int, qop=auth-int"), "qop twice"},
		{"no comma", sub(`", qop=`, `" qop=`), "no comma"},
		{"quote not closed", sub(`opaque="0p4que"`, `opaque="0p4que`), "does not end"},
		{"nonce invented", sub(`nonce="`, `nonce="x`), "never given"},
		{"nc from 0", func(d *digestCPE) { d.nc = -1 }, "replayed"}, // S002-16
		{"nc from 2", func(d *digestCPE) { d.nc = 1 }, "nc 00000002 after 00000000"},
		{"Basic", func(d *digestCPE) {
			d.edit = func(string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("cpe:geheim")) }
		}, "Basic credentials although"},
		{"nothing", func(d *digestCPE) { d.edit = func(string) string { return "" } }, "no Authorization"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim", Digest: Digest{QOP: "auth-int", Opaque: "0p4que"}}
			bench(t, o, func(t *testing.T, s *Server, c *cpe) {
				d := newDigest()
				resp, _ := c.post(goodInform().String())
				d.take(resp)
				row.wrong(d)
				c.auth = d.header
				resp, _ = c.post(goodInform().String())
				if row.part != "" {
					caught(t, s, RuleAuth, row.part)
					return
				}
				clean(t, s)
				if resp.StatusCode != 401 {
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		})
	}
}

// A replayed request is refused, and asked for with a new nonce.
func TestDigestReplay(t *testing.T) {
	o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim"}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		d := newDigest()
		resp, _ := c.post(goodInform().String())
		d.take(resp)
		c.auth = d.header
		c.want(200, goodInform().String())
		d.nc--
		resp, _ = c.post("")
		if resp.StatusCode != 401 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), "stale=true") {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		caught(t, s, RuleAuth, "replayed")
	})
}

// NonceUses: the nonce goes stale in mid-session, the session goes on.
func TestDigestStale(t *testing.T) {
	o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim", Digest: Digest{NonceUses: 1}}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		d := newDigest()
		resp, _ := c.post(goodInform().String())
		d.take(resp)
		c.auth = d.header
		c.want(200, goodInform().String())
		resp, _ = c.post("")
		if resp.StatusCode != 401 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), "stale=true") {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		d.take(resp)
		c.want(204, "")
		clean(t, s)
		if n := len(s.Sessions()[0].Exchanges); n != 4 {
			t.Errorf("%d exchanges on record", n)
		}
	})
}

// NextNonce: each answer brings the next nonce; the old one is not used again.
func TestDigestNextNonce(t *testing.T) {
	for _, alg := range []string{"MD5", "MD5-sess"} {
		for _, obey := range []bool{true, false} {
			t.Run(fmt.Sprint(alg, " ", obey), func(t *testing.T) {
				o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim", Digest: Digest{NextNonce: true, Algorithms: []string{alg}}}
				bench(t, o, func(t *testing.T, s *Server, c *cpe) {
					d := newDigest()
					resp, _ := c.post(goodInform().String())
					d.take(resp)
					c.auth = d.header
					resp, _ = c.post(goodInform().String())
					_, next, found := strings.Cut(resp.Header.Get("Authentication-Info"), `nextnonce="`)
					if !found {
						t.Fatalf("no nextnonce: %v", resp.Header)
					}
					if !obey {
						c.want(401, "")
						caught(t, s, RuleAuth, "nextnonce")
						return
					}
					d.value["nonce"], _, _ = strings.Cut(next, `"`)
					d.nc = 0
					c.want(204, "")
					clean(t, s)
				})
			})
		}
	}
}

// A 401 is answered on its connection (genieacs PR#364).
func TestDigestOtherConnection(t *testing.T) {
	o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim"}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		d := newDigest()
		resp, _ := c.post(goodInform().String())
		d.take(resp)
		c.auth = d.header
		c.hangUp()
		synctest.Wait()
		c.want(401, goodInform().String())
		caught(t, s, RuleAuth, "answered on connection 2")
	})
}

// After a lost connection the session goes on elsewhere with a new nonce and a
// new cnonce; using the old cnonce is told of.
func TestDigestReconnect(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim", Chaos: Chaos{Inform: Trouble{Cut: CutPolitely}}}
		bench(t, o, func(t *testing.T, s *Server, c *cpe) {
			d := newDigest()
			resp, _ := c.post(goodInform().String())
			d.take(resp)
			c.auth = d.header
			c.want(200, goodInform().String())
			if fresh {
				d.cnonce = token()
			}
			resp, _ = c.post("")
			if resp.StatusCode != 401 {
				t.Fatalf("status %d", resp.StatusCode)
			}
			d.take(resp)
			c.want(204, "")
			if fresh {
				clean(t, s)
			} else {
				caught(t, s, RuleAuth, "cnonce")
			}
		})
	}
}

// What is sent again after a 401 is what was sent before it.
func TestReplayDiffers(t *testing.T) {
	o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim"}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		d := newDigest()
		resp, _ := c.post(goodInform().String())
		d.take(resp)
		c.auth = d.header
		c.want(200, strings.Replace(goodInform().String(), "<RetryCount>0", "<RetryCount>1", 1))
		caught(t, s, RuleReplay, "after the 401")
	})
}

// A cookie that comes with the 401 already belongs to the session.
func TestCookieEarly(t *testing.T) {
	o := Options{Auth: AuthDigest, Username: "cpe", Password: "geheim", CookieEarly: true}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		d := newDigest()
		resp, _ := c.post(goodInform().String())
		if len(resp.Cookies()) != 1 {
			t.Fatalf("cookies %v", resp.Cookies())
		}
		d.take(resp)
		c.auth = d.header
		c.want(200, goodInform().String())
		c.want(204, "")
		clean(t, s)
	})
}

// Credentials that nobody asked for leak (TR-069 3.4.4).
func TestLeaks(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("cpe:geheim"))
	t.Run("Basic in the clear", func(t *testing.T) {
		bench(t, Options{Auth: AuthBasic, Username: "cpe", Password: "geheim"}, func(t *testing.T, s *Server, c *cpe) {
			c.auth = func(string) string { return basic }
			c.want(200, goodInform().String())
			caught(t, s, RuleAuth, "in the clear")
		})
	})
	t.Run("Basic after a challenge", func(t *testing.T) {
		bench(t, Options{Auth: AuthBasic, Username: "cpe", Password: "geheim"}, func(t *testing.T, s *Server, c *cpe) {
			c.want(401, goodInform().String())
			c.auth = func(string) string { return basic }
			c.want(200, goodInform().String())
			c.want(204, "")
			clean(t, s)
		})
	})
	t.Run("Digest without a challenge", func(t *testing.T) {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			c.auth = func(string) string { return `Digest username="cpe"` }
			c.want(200, goodInform().String())
			caught(t, s, RuleAuth, "nobody asked")
		})
	})
}

// Over TLS, Basic without a challenge is as it should be; the whole bubble
// works with certificates made inside.
func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := pki.New("lab")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.Server("acs.example")
		if err != nil {
			t.Fatal(err)
		}
		mine, err := ca.Client("0011AA-SN1")
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Auth: AuthBasic, Username: "cpe", Password: "geheim", TLS: &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
		}}
		inBubble(t, o, func(s *Server, c *cpe) {
			dial := c.dial
			c.dial = func() net.Conn {
				return tls.Client(dial(), &tls.Config{RootCAs: ca.Pool(), ServerName: "acs.example", Certificates: []tls.Certificate{mine}})
			}
			c.auth = func(string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("cpe:geheim")) }
			c.want(200, goodInform().String())
			c.want(204, "")
			clean(t, s)
		})
	})
}
