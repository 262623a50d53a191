package acs

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// knob is a trouble and what a CPE sees of it.
type knob struct {
	name    string
	trouble Trouble
	status  int // 0: no whole answer
	header  string
	body    string
}

var knobs = []knob{
	{name: "500", trouble: Trouble{Status: 500}, status: 500},
	{name: "503", trouble: Trouble{Status: 503, RetryAfter: "60"}, status: 503, header: "60"},
	{name: "garbage", trouble: Trouble{Body: "<a><b:c></a>"}, status: 200, body: "<a><b:c></a>"},
	{name: "fault", trouble: Trouble{Fault: 8002}, status: 200, body: "<FaultCode>8002</FaultCode>"},
	{name: "cut before", trouble: Trouble{Cut: CutBefore}},
	{name: "cut in header", trouble: Trouble{Cut: CutHeader}},
	{name: "cut in body", trouble: Trouble{Cut: CutBody}},
	{name: "hang", trouble: Trouble{Hang: true}},
}

// Each knob in each phase does what it says, and the session's record tells how
// it ended.
func TestChaos(t *testing.T) {
	inform := goodInform().String()
	for ph, texts := range [][]string{
		phaseInform: {inform},
		phaseCall:   {inform, soap("2", "<cwmp:GetRPCMethods/>")},
		phaseEmpty:  {inform, ""},
		phaseAnswer: {inform, "", soap("acs-1-1", "<cwmp:RebootResponse/>")},
	} {
		for _, k := range knobs {
			t.Run(k.name+" "+[]string{"inform", "call", "empty", "answer"}[ph], func(t *testing.T) {
				bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
					s.Script(func(c *Conversation) error { return c.Reboot("") })
					s.SetChaos(inPhase(phase(ph), k.trouble))
					for _, text := range texts[:len(texts)-1] {
						c.want(200, text)
					}
					k.meet(t, c, texts[len(texts)-1])
					synctest.Wait()
					if k.trouble.Fault != 0 && phase(ph) == phaseCall {
						return // an ordinary answer: the session goes on
					}
					session, err := s.WaitSession(t.Context(), Any)
					if err != nil || session.Err == nil {
						t.Errorf("%v, session ended with %v", err, session.Err)
					}
					clean(t, s)
				})
			})
		}
	}
}

// meet posts text and checks what comes back.
func (k knob) meet(t *testing.T, c *cpe, text string) {
	t.Helper()
	c.connect().SetDeadline(time.Now().Add(time.Minute))
	resp, body, err := c.try(c.text(text))
	if err != nil {
		c.hangUp()
	}
	switch {
	case k.status == 0 && err == nil:
		t.Errorf("answered %d", resp.StatusCode)
	case k.status == 0:
	case err != nil || resp.StatusCode != k.status || !strings.Contains(body, k.body):
		t.Errorf("%v %+v %s", err, resp, body)
	case resp.Header.Get("Retry-After") != k.header:
		t.Errorf("header %v", resp.Header)
	}
}

func inPhase(ph phase, t Trouble) Chaos {
	var c Chaos
	*[...]*Trouble{&c.Inform, &c.Call, &c.Empty, &c.Answer}[ph] = t
	return c
}

// A redirected Inform comes again, byte by byte, and counts from then on.
func TestRedirect(t *testing.T) {
	for _, same := range []bool{true, false} {
		bench(t, Options{Chaos: Chaos{Inform: Trouble{Redirect: "http://other/acs", Status: 307, Times: 1}}},
			func(t *testing.T, s *Server, c *cpe) {
				resp, _ := c.post(goodInform().String())
				if resp.StatusCode != 307 || resp.Header.Get("Location") != "http://other/acs" {
					t.Errorf("%d %v", resp.StatusCode, resp.Header)
				}
				again := goodInform().String()
				if !same {
					again = strings.Replace(again, "23:00:00", "23:00:01", 1)
				}
				c.want(200, again)
				c.want(204, "")
				synctest.Wait()
				if all := s.Sessions(); len(all) != 2 || !errors.Is(all[0].Err, ErrRedirected) || all[1].Err != nil {
					t.Errorf("sessions %v", all)
				}
				if same {
					clean(t, s)
				} else {
					caught(t, s, RuleReplay, "redirect")
				}
			})
	}
}

// In mid-session the redirected request is the one that comes again.
func TestRedirectInSession(t *testing.T) {
	bench(t, Options{Chaos: Chaos{Empty: Trouble{Redirect: "/other", Times: 1}}}, func(t *testing.T, s *Server, c *cpe) {
		c.want(200, goodInform().String())
		c.want(302, "")
		c.want(204, "")
		clean(t, s)
	})
}

// Fault 8005 asks for the same Inform again (TR-069 3.7.1.6).
func TestRetryRequest(t *testing.T) {
	for _, same := range []bool{true, false} {
		bench(t, Options{Chaos: Chaos{Inform: Trouble{Fault: 8005, Times: 1}}}, func(t *testing.T, s *Server, c *cpe) {
			if text := c.want(200, goodInform().String()); !strings.Contains(text, "<FaultCode>8005<") {
				t.Errorf("answer %s", text)
			}
			again := strings.Replace(goodInform().String(), "23:00:00", "23:00:01", 1) // the time may be new
			if !same {
				again = strings.Replace(again, "<RetryCount>0", "<RetryCount>1", 1)
			}
			c.want(200, again)
			if same {
				clean(t, s)
			} else {
				caught(t, s, RuleReplay, "8005")
			}
		})
	}
}

// The connection goes away after an answer, announced or not: the CPE comes
// back on another one and that is right.
func TestCutBetweenPosts(t *testing.T) {
	for _, how := range []Cut{CutAfter, CutPolitely} {
		bench(t, Options{Chaos: Chaos{Inform: Trouble{Cut: how}}}, func(t *testing.T, s *Server, c *cpe) {
			c.want(200, goodInform().String())
			c.hangUp()
			c.want(204, "")
			clean(t, s)
			if all := s.Sessions(); len(all) != 1 || all[0].Sockets != 2 || all[0].Err != nil {
				t.Errorf("sessions %+v", all)
			}
		})
	}
}

// Skip and Times pick the requests that meet a knob.
func TestSkipAndTimes(t *testing.T) {
	bench(t, Options{Chaos: Chaos{Inform: Trouble{Status: 500, Skip: 1, Times: 2}}}, func(t *testing.T, s *Server, c *cpe) {
		var got []int
		for range 5 {
			resp, _ := c.post(goodInform().String())
			got = append(got, resp.StatusCode)
			if resp.StatusCode == 200 {
				c.want(204, "")
			}
			c.bye()
		}
		if want := []int{200, 500, 500, 200, 200}; !equal(got, want) {
			t.Errorf("statuses %v instead of %v", got, want)
		}
		clean(t, s)
	})
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// BeforeAuth redirects before anybody has to say who they are.
func TestRedirectBeforeAuth(t *testing.T) {
	o := Options{Auth: AuthDigest, Username: "cpe", Password: "x", Chaos: Chaos{Inform: Trouble{Redirect: "/b", BeforeAuth: true, Times: 1}}}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		c.want(302, goodInform().String())
		c.want(401, goodInform().String())
		clean(t, s)
	})
}

func TestDelay(t *testing.T) {
	bench(t, Options{Chaos: Chaos{Empty: Trouble{Delay: 20 * time.Second}}}, func(t *testing.T, s *Server, c *cpe) {
		c.want(200, goodInform().String())
		begin := time.Now()
		c.want(204, "")
		if took := time.Since(begin); took != 20*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
}
