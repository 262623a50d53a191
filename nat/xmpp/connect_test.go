package xmpp

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/pki"
	lab "gatehouse/lab/xmpp"
)

// withTLS lets the server offer TLS with a certificate of its domain.
func withTLS(r *rig, k *lab.Knobs) {
	k.TLS = r.certificate(domain)
}

func requireTLS(r *rig, k *lab.Knobs) {
	withTLS(r, k)
	k.RequireTLS = true
}

func TestBindsOverRequiredTLS(t *testing.T) {
	bubble(t, requireTLS, func(r *rig) {
		r.start()
		session := r.bound()
		s := r.want(Enabled)
		if s.JID != "cpe1@xmpp.example.com/cwmp" || !s.TLS || s.Mechanism != "SCRAM-SHA-256" || s.Server != "host1.example.net:5222 (192.0.2.10)" {
			t.Errorf("status %+v", s)
		}
		if session.From != "cpe1@xmpp.example.com" { // 4.7.1: only where nobody else reads it
			t.Errorf("stream from %q", session.From)
		}
		// S004-01: TLS before SASL, and nothing of the account in clear.
		// S004-02: to, version and the namespaces, in one write.
		w := r.written()
		want := `<?xml version="1.0"?><stream:stream to="xmpp.example.com" version="1.0" xml:lang="en" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">`
		if w[0] != want || w[1] != `<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>` {
			t.Errorf("wrote %q", w[:2])
		}
		if all := strings.Join(w, ""); strings.Contains(all, "cpe1") || strings.Contains(all, "<auth") {
			t.Error("the account was named in clear")
		}
	})
}

func TestUseTLS(t *testing.T) {
	tests := []struct {
		name    string
		knobs   func(*rig, *lab.Knobs)
		use     bool
		state   State
		secured bool
		err     string
	}{
		{"offered, not asked for", withTLS, false, Enabled, false, ""},
		{"offered, asked for", withTLS, true, Enabled, true, ""},
		{"not offered, asked for", nil, true, Misconfigured, false, "offers no TLS"},
		{"required, not asked for", requireTLS, false, Enabled, true, ""},
		{"in clear there is only PLAIN", func(r *rig, k *lab.Knobs) {
			withTLS(r, k)
			k.Mechanisms = []string{"PLAIN"}
		}, false, Enabled, true, ""},
		{"there is only PLAIN and no TLS", func(_ *rig, k *lab.Knobs) { k.Mechanisms = []string{"PLAIN"} }, false, Misconfigured, false,
			"no way to authenticate that we take: PLAIN"},
		{"refused after the offer", func(r *rig, k *lab.Knobs) {
			withTLS(r, k)
			k.RefuseTLS = true
		}, true, Failed, false, "then refuses it"},
		{"something is said in clear together with proceed", func(r *rig, k *lab.Knobs) {
			withTLS(r, k)
			k.Inject = "<stream:features/>"
		}, true, Failed, false, "talks on in clear"},
		{"TLS 1.2", func(r *rig, k *lab.Knobs) {
			requireTLS(r, k)
			k.TLS.MaxVersion = tls.VersionTLS12
		}, true, Enabled, true, ""},
		{"TLS 1.1", func(r *rig, k *lab.Knobs) {
			requireTLS(r, k)
			k.TLS.MinVersion, k.TLS.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
		}, true, Failed, false, "TLS"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, test.knobs, func(r *rig) {
				r.params.UseTLS = test.use
				r.start()
				if s := r.want(test.state); s.TLS != test.secured {
					t.Errorf("TLS is %v", s.TLS)
				}
				r.wantError(test.err)
			})
		})
	}
}

func TestCertificate(t *testing.T) {
	tests := []struct {
		name string
		make func(r *rig, k *lab.Knobs)
		err  string
	}{
		{"of the SRV target", func(r *rig, k *lab.Knobs) { k.TLS = r.certificate("host1.example.net") }, "not xmpp.example.com"},
		{"of nobody we know", func(r *rig, k *lab.Knobs) {
			other, err := pki.New("other")
			if err != nil {
				r.Fatal(err)
			}
			c, err := other.Server(domain)
			if err != nil {
				r.Fatal(err)
			}
			k.TLS = &tls.Config{Certificates: []tls.Certificate{c}}
		}, "unknown authority"},
		{"expired", func(r *rig, k *lab.Knobs) {
			c, err := r.ca.Issue(pki.Leaf{Names: []string{domain}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(-time.Minute)})
			if err != nil {
				r.Fatal(err)
			}
			k.TLS = &tls.Config{Certificates: []tls.Certificate{c}}
		}, "expired"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(r *rig, k *lab.Knobs) {
				test.make(r, k)
				k.RequireTLS = true
			}, func(r *rig) {
				r.start()
				r.want(Failed)
				r.wantError(test.err)
			})
		})
	}
	t.Run("any, in the laboratory", func(t *testing.T) {
		bubble(t, func(r *rig, k *lab.Knobs) { k.TLS, k.RequireTLS = r.certificate("wrong.example"), true }, func(r *rig) {
			r.trust.Insecure = true
			r.start()
			r.want(Enabled)
		})
	})
}

// Without a clock the chain is verified at its own time, and again when the
// clock is set.
func TestCertificateWithoutClock(t *testing.T) {
	for _, good := range []bool{true, false} {
		bubble(t, requireTLS, func(r *rig) {
			r.trust.Now = time.Time{}
			r.start()
			r.want(Enabled)
			r.lock(func() {
				r.trust.Now = time.Now()
				if !good {
					r.trust.Now = time.Now().AddDate(5, 0, 0)
				}
			})
			r.client.ClockStepped()
			if good {
				r.want(Enabled)
				return
			}
			r.want(Connecting)
			r.wantError("expired")
		})
	}
}

func TestDirectTLS(t *testing.T) {
	bubble(t, func(r *rig, k *lab.Knobs) {
		withTLS(r, k)
		k.TLS.NextProtos = []string{"xmpp-client"}
		k.Direct = true
	}, func(r *rig) {
		r.params.UseTLS = true
		r.zone.srv = map[string][]endpoint.SRV{"_xmpps-client._tcp." + domain: {{Target: "host1.example.net", Port: 5222}}}
		r.start()
		if s := r.want(Enabled); !s.TLS {
			t.Error("no TLS")
		}
		if w := r.written(); w[0][0] != 0x16 {
			t.Errorf("the first byte is no TLS handshake: %q", w[0][:8])
		}
	})
}

func TestResource(t *testing.T) {
	tests := []struct {
		name  string
		knobs func(*rig, *lab.Knobs)
		ask   string
		had   string
		state State
		want  string // "": one of the server's
	}{
		{"as configured", nil, "cwmp", "", Enabled, "cwmp"},
		{"with marks", nil, `a<b> "c"&'d'`, "", Enabled, `a<b> "c"&'d'`},
		{"none configured", nil, "", "", Enabled, ""},
		{"the one of the life before", nil, "", "cpe1@xmpp.example.com/old", Enabled, "old"},
		{"of another account before", nil, "", "cpe2@xmpp.example.com/old", Enabled, ""},
		{"conflict", func(_ *rig, k *lab.Knobs) { k.Conflict = true }, "cwmp", "", Enabled, ""},
		{"the server knows better", func(_ *rig, k *lab.Knobs) { k.Resource = "other" }, "cwmp", "", Enabled, "other"},
		{"none allowed", func(_ *rig, k *lab.Knobs) { k.RefuseBind = "not-allowed" }, "cwmp", "", Failed, ""},
		{"always a conflict", func(_ *rig, k *lab.Knobs) { k.RefuseBind = "conflict" }, "cwmp", "", Failed, ""},
		// S004-15: an empty features element says that there is nothing to bind.
		{"nothing to bind", func(_ *rig, k *lab.Knobs) { k.NoBind = true }, "cwmp", "", Misconfigured, ""},
		{"an old server's session", func(_ *rig, k *lab.Knobs) { k.Session = true }, "cwmp", "", Enabled, "cwmp"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, test.knobs, func(r *rig) {
				r.params.Resource = test.ask
				r.client.board.s.JID = test.had
				r.start()
				s := r.want(test.state)
				if test.state != Enabled {
					return
				}
				j, ok := ParseJID(s.JID)
				if !ok || test.want != "" && j.Resource != test.want || j.Resource == "" {
					t.Errorf("JID %q", s.JID)
				}
				if session := r.bound(); session.JID() != s.JID {
					t.Errorf("the server says %q", session.JID())
				}
			})
		})
	}
}

func TestHeaders(t *testing.T) {
	tests := []struct {
		name  string
		knobs func(k *lab.Knobs)
		state State
		err   string
	}{
		{"before XMPP 1.0", func(k *lab.Knobs) { k.StreamVersion = "-" }, Failed, "version"},
		{"2.0", func(k *lab.Knobs) { k.StreamVersion = "2.0" }, Failed, "version"},
		{"1.1", func(k *lab.Knobs) { k.StreamVersion = "1.1" }, Enabled, ""},
		{"host unknown", func(k *lab.Knobs) {
			k.OnHeader = `<stream:error><host-unknown xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text xmlns="urn:ietf:params:xml:ns:xmpp-streams">no such house</text></stream:error></stream:stream>`
		}, Misconfigured, "host-unknown (no such house)"},
		{"overloaded", func(k *lab.Knobs) {
			k.OnHeader = `<stream:error><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`
		}, Failed, "resource-constraint"},
		{"no features", func(k *lab.Knobs) { k.OnHeader = `<message/>` }, Failed, "features expected"},
		{"silence", func(k *lab.Knobs) { k.Silent = true }, Failed, "too long"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(_ *rig, k *lab.Knobs) { test.knobs(k) }, func(r *rig) {
				r.start()
				time.Sleep(59 * time.Second)
				if test.name == "silence" {
					r.want(Connecting)
					time.Sleep(2 * time.Second)
				}
				r.want(test.state)
				r.wantError(test.err)
			})
		})
	}
}

// A server that sends us on is followed, with the certificate still the
// domain's; one that sends us on for ever is not.
func TestSeeOtherHost(t *testing.T) {
	moved := func(to string) func(*rig, *lab.Knobs) {
		return func(_ *rig, k *lab.Knobs) {
			k.OnHeader = `<stream:error><see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">` + to + `</see-other-host></stream:error></stream:stream>`
		}
	}
	t.Run("once", func(t *testing.T) {
		bubble(t, moved("192.0.2.11:5333"), func(r *rig) {
			r.start()
			time.Sleep(3 * time.Second)
			r.lock(func() {
				if !slices.Equal(r.dials, []string{"192.0.2.10:5222", "192.0.2.11:5333"}) {
					t.Errorf("dialled %v", r.dials)
				}
			})
		})
	})
	t.Run("for ever", func(t *testing.T) {
		bubble(t, moved("192.0.2.10:5222"), func(r *rig) {
			r.start()
			time.Sleep(50 * time.Second)
			r.want(Failed)
			if n := r.server.Logins(); n != 1+maxMoves {
				t.Errorf("%d connections, want %d and then a wait", n, 1+maxMoves)
			}
		})
	})
	t.Run("nowhere", func(t *testing.T) {
		bubble(t, moved("not a host/at all"), func(r *rig) {
			r.start()
			r.want(Failed)
			r.wantError("see-other-host")
		})
	})
}
