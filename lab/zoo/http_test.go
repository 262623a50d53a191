package zoo

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/lab/acs"
)

// ordinary is the session that must work whatever the ACS is like: read, write,
// and what was written read back.
func ordinary(c *acs.Conversation) error {
	const name = ms + "PeriodicInformInterval"
	if _, err := c.GetParameterValues(di + "UpTime"); err != nil {
		return err
	}
	if _, err := c.SetParameterValues("key 1", acs.P(name, "xsd:unsignedInt", "1234")); err != nil {
		return err
	}
	v, err := c.GetParameterValues(name, di+"ProvisioningCode")
	if err != nil {
		return err
	}
	if got, _ := v.Get(name); got != "1234" {
		return fmt.Errorf("read back %q", got)
	}
	return nil
}

// copes tells that the ordinary session goes well with an ACS that has these
// knobs turned, and one more after it.
func copes(p plan) func(t *testing.T) {
	return func(t *testing.T) {
		story(t, p, func(t *testing.T, h *house) {
			h.acs.Script(ordinary)
			h.start()
			first := h.past(1)
			h.knock()
			h.past(first.Number + 1)
		})
	}
}

// past is the first session from the n-th on that was not told at its Inform to
// come again.
func (h *house) past(n int) *acs.Session {
	h.t.Helper()
	s := h.session(n)
	for errors.Is(s.Err, acs.ErrRedirected) || errors.Is(s.Err, acs.ErrFaultReply) {
		s = h.session(s.Number + 1)
	}
	if s.Err != nil {
		h.t.Fatalf("session %d: %v", s.Number, s.Err)
	}
	return s
}

// withDigest is an ACS that asks for Digest.
func withDigest(chaos string) plan {
	return plan{chaos: chaos, o: acs.Options{Auth: acs.AuthDigest, Username: user, Password: pass}}
}

func cookies() []exhibit {
	var all []exhibit
	for _, shape := range slices.Sorted(mapKeys(acs.CookieShapes)) {
		name := "cookie_" + strings.ReplaceAll(shape, "-", "_")
		if shape == "no-path" {
			name = "genieacs_79_cookie_without_path"
		}
		all = append(all, exhibit{1, name, copes(plan{chaos: "cookie=" + shape})})
	}
	return append(all,
		exhibit{1, "genieacs_82_cookie_set_with_the_401", copes(withDigest("cookie=root,cookie-early"))},
		exhibit{2, "icwmp_2020_old_cookie_on_the_next_inform", func(t *testing.T) {
			story(t, plan{chaos: "cookie=long"}, func(t *testing.T, h *house) {
				h.start()
				h.good(1)
				h.knock()
				if s := h.good(2); s.Exchanges[0].Header.Get("Cookie") != "" {
					t.Error("the Inform carries a cookie")
				}
			})
		}})
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// answerable are the challenges that a CPE can make something of.
var answerable = []string{"double", "one-line", "unknown-too", "unknown-first", "bare", "two-qops", "odd-case", "no-qop"}

func authentication() []exhibit {
	all := []exhibit{
		{3, "fritzbox_401_answered_on_a_new_connection", copes(withDigest("nonce=socket"))},
		{3, "challenge_that_closes_the_connection", func(t *testing.T) {
			p := withDigest("nonce=free,close=politely")
			copes(p)(t)
		}},
		{5, "icwmp_15759_blank_credentials", func(t *testing.T) {
			p := plan{open: true, o: acs.Options{Auth: acs.AuthDigest}}
			copes(p)(t)
		}},
		{5, "easycwmp_30_no_authorization_although_configured", func(t *testing.T) {
			p := plan{o: acs.Options{Auth: acs.AuthBasic, Username: user, Password: pass}}
			copes(p)(t)
		}},
		{6, "icwmp_15148_second_post_without_credentials", copes(withDigest("nonce-uses=1"))},
		{6, "apache_next_nonce_with_every_answer", copes(withDigest("next-nonce"))},
		{6, "nonce_stale_and_connection_gone_each_time", copes(withDigest("nonce=free,nonce-uses=2,close=after"))},
		{6, "wrong_password_is_no_storm", func(t *testing.T) {
			story(t, plan{o: acs.Options{Auth: acs.AuthDigest, Username: user, Password: "another"}}, func(t *testing.T, h *house) {
				h.start()
				h.none(0, 10*time.Minute)
				if st := h.status(); st.RetryCount < 3 || st.RetryCount > 9 || !strings.Contains(st.LastError, "401") {
					t.Errorf("after 10 minutes: %d retries, %q", st.RetryCount, st.LastError)
				}
			})
		}},
	}
	for _, alg := range []string{"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "both"} {
		all = append(all, exhibit{4, "digest_" + alg, copes(withDigest("opaque=a=b\"c,algorithm=" + alg))})
	}
	for _, shape := range slices.Sorted(mapKeys(acs.ChallengeShapes)) {
		p := withDigest("realm=my ACS,challenge=" + shape)
		name := "freeacs_350_challenge_" + strings.ReplaceAll(shape, "-", "_")
		if slices.Contains(answerable, shape) {
			all = append(all, exhibit{4, name, copes(p)})
			continue
		}
		all = append(all, exhibit{4, name + "_is_given_up", func(t *testing.T) {
			story(t, p, func(t *testing.T, h *house) {
				h.start()
				h.none(0, time.Minute)
				if st := h.status(); st.RetryCount == 0 || !strings.Contains(st.LastError, "401") || st.Counters.Failures[api.FailedAuth] == 0 {
					t.Errorf("after a minute: %+v", st)
				}
			})
		}})
	}
	return all
}

func transport() []exhibit {
	return []exhibit{
		{7, "easycwmp_72_expect_100_continue_and_62_soapaction", func(t *testing.T) {
			story(t, plan{}, func(t *testing.T, h *house) {
				h.acs.Script(ordinary)
				h.start()
				for i, x := range h.good(1).Exchanges { // the bench complains too: here it is spelled out
					action, has := x.Header["Soapaction"]
					switch {
					case x.Header["Expect"] != nil:
						t.Errorf("exchange %d expects %q", i, x.Header["Expect"])
					case len(x.Body) > 0 && (!has || action[0] != "" || !strings.HasPrefix(x.Header.Get("Content-Type"), "text/xml")):
						t.Errorf("exchange %d: SOAPAction %q, Content-Type %q", i, action, x.Header.Get("Content-Type"))
					case len(x.Body) == 0 && (has || x.Header["Content-Type"] != nil):
						t.Errorf("exchange %d is empty and has %q and %q", i, action, x.Header["Content-Type"])
					}
				}
			})
		}},
		{20, "empty_200_instead_of_204", copes(plan{chaos: "nothing=200"})},
		{20, "empty_202_instead_of_204", copes(plan{chaos: "nothing=202"})},
		{20, "white_space_instead_of_nothing", copes(plan{chaos: "blank"})},
		{20, "connection_close_in_mid_session", copes(plan{chaos: "close=politely,cookie=root"})},
		{20, "connection_closed_without_a_word", copes(plan{chaos: "close=after,cookie=root"})},
		{20, "half_closed_after_each_answer", copes(plan{chaos: "half-close,cookie=root"})},
		{20, "chunked_in_sevens", copes(plan{chaos: "chunked=7"})},
		{20, "chunked_byte_by_byte_and_empty_200", copes(plan{chaos: "chunked=1,nothing=200"})},
		{20, "gzip_not_asked_for", copes(plan{chaos: "coding=gzip"})},
		{20, "deflate_not_asked_for", copes(plan{chaos: "coding=deflate"})},
		{20, "raw_deflate", copes(plan{chaos: "coding=raw-deflate"})},
		{20, "icwmp_http_compress_chunked_gzip", copes(plan{chaos: "coding=gzip,chunked=5", conf: []string{" option x_none ''", "config acs 'acs'", " option compression 'GZIP'"}})},
		{20, "answers_trickle", copes(plan{chaos: "slow=20ms", o: acs.Options{SessionTimeout: 5 * time.Minute}})},
		{20, "keep_alive_ran_out_between_two_posts", copes(withDigest("answer.cut=after,cookie=root,nonce=socket"))},
		{20, "answer_late_but_in_time", copes(plan{chaos: "inform.delay=25s,empty.delay=29s,answer.delay=29s"})},
	}
}

func redirects() []exhibit {
	redirected := func(status int, chaos string) func(t *testing.T) {
		p := withDigest(fmt.Sprintf("status=%d,%s", status, chaos))
		return copes(p)
	}
	return []exhibit{
		{8, "easycwmp_106_redirect_302", redirected(302, "redirect=/acs?hop={n},times=1")},
		{8, "redirect_307", redirected(307, "redirect=/acs?hop={n},times=1")},
		{8, "redirect_301_and_308", func(t *testing.T) {
			for _, status := range []int{301, 308} {
				redirected(status, "redirect=http://acs.example.net/acs?a=1&b={n},times=1")(t)
			}
		}},
		{8, "redirect_before_authentication", redirected(302, "early,redirect=/acs?hop={n},times=1")},
		{8, "redirect_chain_of_five", redirected(302, "redirect=/acs?hop={n},times=5")},
		{8, "redirect_in_mid_session", copes(plan{chaos: "empty.redirect=/acs?there,empty.status=307,empty.times=1,answer.redirect=/acs?more,answer.times=2,cookie=root"})},
		{8, "redirect_loop_ends", func(t *testing.T) {
			story(t, plan{chaos: "redirect=/acs", quiet: nil}, func(t *testing.T, h *house) {
				h.start()
				h.session(6)
				h.none(6, 4*time.Second)
				if st := h.status(); !strings.Contains(st.LastError, "redirect") || st.RetryCount != 1 {
					t.Errorf("status %q, %d retries", st.LastError, st.RetryCount)
				}
			})
		}},
		{8, "redirect_to_another_host_for_this_session_only", redirectToOther},
		{8, "redirect_https_to_http_is_refused", redirectOutOfTLS},
		{8, "redirect_to_nonsense", func(t *testing.T) {
			for _, to := range []string{"ftp://other.example.net/", "javascript:alert(1)", "http://", "file:///etc/passwd", ":::"} {
				story(t, plan{chaos: "times=1,redirect=" + to}, func(t *testing.T, h *house) {
					h.start()
					h.good(2) // the retry
					if url := h.get(ms + "URL"); url != "http://acs.example.net/acs" {
						t.Errorf("the URL is %q now", url)
					}
				})
			}
		}},
	}
}

// redirectToOther: the other host asks for credentials of its own accord, takes
// the session over, and is forgotten afterwards.
func redirectToOther(t *testing.T) {
	p := withDigest("redirect=http://other.example.net/acs,status=307,times=1")
	story(t, p, func(t *testing.T, h *house) {
		other := h.server(otherIP+":80", acs.Options{Auth: acs.AuthDigest, Username: user, Password: pass})
		defer other.Close()
		other.Script(ordinary)
		h.start()
		s := h.sessionOf(other, 1)
		if s.Err != nil || len(other.Violations()) > 0 {
			t.Errorf("at the other host: %v, %v", s.Err, other.Violations())
		}
		h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT")
		for _, x := range s.Exchanges {
			if c := x.Header.Get("Cookie"); strings.Contains(c, "session=") && x.Status == http.StatusUnauthorized {
				t.Errorf("the cookie of one host went to the other: %q", c)
			}
		}
		time.Sleep(time.Minute)
		h.knock() // the first host has the address from the Inform that it redirected
		again := h.good(2)
		h.wantEvents(again, "6 CONNECTION REQUEST")
		if got := h.get(ms + "URL"); got != "http://acs.example.net/acs" {
			t.Errorf("the URL is %q now", got)
		}
	})
}
