package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/pki"
)

// TestFailuresByKind: each way to fail is counted as what it is, and stands in
// the log of its session.
func TestFailuresByKind(t *testing.T) {
	https := func(h *house) {
		write(h.t, h.conf, strings.Replace(config(), acsURL, "https://acs.example.net/", 1)+tlsSection(h, pki.Expired))
	}
	tests := []struct {
		kind   api.Kind
		o      acs.Options
		change func(h *house)
	}{
		{api.FailedDNS, acs.Options{}, func(h *house) { write(h.t, h.conf, strings.Replace(config(), "acs.example.net", "a..b", 1)) }},
		{api.FailedConnect, acs.Options{}, func(h *house) { write(h.t, h.conf, strings.Replace(config(), acsURL, "http://acs.example.net:81/", 1)) }},
		{api.FailedTLS, acs.Options{}, https},
		{api.FailedConfig, acs.Options{}, func(h *house) { https(h); os.Remove(filepath.Join(filepath.Dir(h.conf), "ca.pem")) }},
		{api.FailedAuth, acs.Options{Auth: acs.AuthDigest, Username: "cpe", Password: "other"}, nil},
		{api.FailedHTTP, acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Status: 500}}}, nil},
		{api.FailedHTTP, acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Redirect: "ftp://x/"}}}, nil},
		{api.FailedSOAP, acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Body: "<html/>"}}}, nil},
		{api.FailedFault, acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Fault: 8003}}}, nil},
		{api.FailedTimeout, acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Hang: true}}}, nil},
		{api.FailedOther, acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Cut: acs.CutBefore}}}, nil},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			story(t, tt.o, config(), func(t *testing.T, h *house) {
				h.broken = []string{string(acs.RuleConnection), string(acs.RuleCookie), string(acs.RuleAuth)}
				if tt.change != nil {
					tt.change(h)
				}
				h.start()
				for h.status().Failures < 2 {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				st := h.status()
				if n := st.Counters.Failures[tt.kind]; n < 2 || len(st.Counters.Failures) != 1 || st.Counters.Retries == 0 {
					t.Errorf("counted %v, %d retries: %s", st.Counters.Failures, st.Counters.Retries, st.LastError)
				}
				last, err := h.agent.API().Sessions(root, 0)
				if err != nil || len(last) < 2 || last[0].Kind != tt.kind || last[0].Error == "" || last[1].RetryCount != 1 || last[0].Ended.IsZero() {
					t.Errorf("%+v, %v", last, err)
				}
			})
		})
	}
}

// tlsSection lets a server with a fault listen at the ACS, and trusts its
// authority.
func tlsSection(h *house, f pki.Fault) string {
	h.t.Helper()
	ca, err := pki.New("A")
	if err != nil {
		h.t.Fatal(err)
	}
	config, err := ca.Config(f, "acs.example.net")
	if err != nil {
		h.t.Fatal(err)
	}
	s := h.server(acsIP+":443", acs.Options{TLS: config})
	h.t.Cleanup(func() { s.Close() })
	path := filepath.Join(filepath.Dir(h.conf), "ca.pem")
	write(h.t, path, string(ca.PEM()))
	return "config tls 'tls'\n\toption ca '" + path + "'\n"
}

// TestLastSessions: what the ACS did and how it was answered, by name and
// number, and not one value.
func TestLastSessions(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Script(func(c *acs.Conversation) error {
			c.GetParameterValues("Device.ManagementServer.")
			c.SetParameterValues("k", acs.P(ms+"Password", "xsd:string", "new-secret"), acs.P(ms+"Username", "xsd:string", "cpe2"))
			c.SetParameterValues("k", acs.P(ms+"Nope", "xsd:string", "secret-value"))
			c.GetParameterNames("Device.", true)
			c.Call("X_ACME_Dance", "")
			c.Call("Download", `<CommandKey>k</CommandKey><FileType>1 Firmware Upgrade Image</FileType><URL>https://u:pw@files.example/fw?token=tok</URL><Username/><Password>pw</Password><FileSize>0</FileSize><TargetFileName/><DelaySeconds>0</DelaySeconds><SuccessURL/><FailureURL/>`)
			_, err := c.GetParameterValues("Device.DeviceInfo.UpTime", "Device.DeviceInfo.SerialNumber")
			return err
		})
		h.start()
		h.session(1)
		all, err := h.agent.API().Sessions(root, 1)
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		s := all[0]
		var got []string
		for _, step := range s.Steps {
			got = append(got, strings.Join([]string{step.From, step.Method, step.About, step.Result, step.Fault}, "|"))
			if step.Bytes == 0 && step.Method != "" {
				t.Errorf("nothing was sent: %+v", step)
			}
		}
		want := `cpe\|Inform\|0 BOOTSTRAP, 1 BOOT\|\|
cpe\|\|\|\|
acs\|GetParameterValues\|Device.ManagementServer.\|[0-9]+ values\|
acs\|SetParameterValues\|Device.ManagementServer.Password, Device.ManagementServer.Username\|\|
acs\|SetParameterValues\|Device.ManagementServer.Nope\|\|9003: .*Nope: 9005.*
acs\|GetParameterNames\|Device., next level\|[0-9]+ names\|
acs\|\?\|not understood\|\|9000: .*
acs\|Download\|1 Firmware Upgrade Image from https://files.example/fw\?…\|\|9003: .*
acs\|GetParameterValues\|Device.DeviceInfo.UpTime, Device.DeviceInfo.SerialNumber\|2 values\|`
		if text := strings.Join(got, "\n"); !regexp.MustCompile(`\A` + want + `\z`).MatchString(text) {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
		if s.Error != "" || s.Ended.IsZero() || s.Address != acsIP+":80" || s.ACS != acsURL || len(s.Events) != 2 {
			t.Errorf("%+v", s)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"new-secret", "secret-value", "cpe2", "tok", "pw"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%q is remembered: %s", secret, text)
			}
		}
	})
}

// TestSessionsAreFew: sixteen at most, and 64 KB; of one long session the first
// step and the last ones.
func TestSessionsAreFew(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		long := make([]string, 3)
		for i := range long {
			long[i] = fmt.Sprintf("Device.X%d%s", i, strings.Repeat("x", 100))
		}
		h.acs.Script(func(c *acs.Conversation) error {
			for range 120 {
				if _, err := c.GetParameterValues(long...); err == nil {
					t.Error("it has them")
				}
			}
			return nil
		})
		h.start()
		h.session(1)
		for n := 2; n <= 20; n++ {
			if err := h.agent.API().Inform(context.Background(), root, ""); err != nil {
				t.Fatal(err)
			}
			h.session(n)
		}
		all, err := h.agent.API().Sessions(root, 0)
		if err != nil || len(all) > 16 || len(all) < 3 {
			t.Fatalf("%d sessions, %v", len(all), err)
		}
		size := 0
		for _, s := range all {
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			size += len(text)
			if s.LeftOut == 0 || s.Steps[0].Method != "Inform" || s.LeftOut+len(s.Steps) != 122 {
				t.Errorf("%d left out of %d steps", s.LeftOut, s.LeftOut+len(s.Steps))
			}
		}
		if size > 80<<10 {
			t.Errorf("%d bytes", size)
		}
		if few, err := h.agent.API().Sessions(root, 2); err != nil || len(few) != 2 || few[1].ID != all[len(all)-1].ID {
			t.Errorf("the last two: %v, %v", few, err)
		}
	})
}

// TestCounters: what the other counters count.
func TestCounters(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		h.knock()
		h.session(2)
		if _, err := h.acs.ConnectionRequest(context.Background(), cpe, "acs", "wrong"); err != nil {
			t.Error(err)
		}
		c := h.status().Counters
		if c.ConnectionRequests["http"] != (api.Requests{Accepted: 1, Refused: 1}) {
			t.Errorf("%+v", c.ConnectionRequests)
		}
		if c.Watched == 0 || c.FlashBytes == 0 || len(c.Failures) != 0 || len(c.Blocked) != 0 {
			t.Errorf("%+v", c)
		}
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 500, Times: 1}})
		h.knock()
		h.session(3)
		if c := h.status().Counters; len(c.Blocked) != 1 || c.Blocked[0].Address != acsIP+":80" || !c.Blocked[0].Until.After(time.Now()) {
			t.Errorf("%+v", c.Blocked)
		}
	})
}

// TestMetrics: nobody listens by default; where the settings say so, somebody
// does, and no longer when they take it back.
func TestMetrics(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		const at = "127.0.0.1:9100"
		h.start()
		h.session(1)
		if conn, err := h.net.From(wanIP).Dial(context.Background(), "tcp", at); err == nil {
			conn.Close()
			t.Fatal("somebody listens by default")
		}
		write(t, h.conf, config("config metrics 'metrics'", "\toption listen '"+at+"'"))
		h.reload <- struct{}{}
		time.Sleep(time.Second)
		conn, err := h.net.From(wanIP).Dial(context.Background(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		text := ask(t, conn)
		for _, want := range []string{"gatehouse_sessions_total 1\n", `gatehouse_session_failures_total{kind="dns"} 0`, `gatehouse_state{state="idle"} 1`} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		write(t, h.conf, config())
		h.reload <- struct{}{}
		time.Sleep(time.Second)
		if conn, err := h.net.From(wanIP).Dial(context.Background(), "tcp", at); err == nil {
			conn.Close()
			t.Error("somebody still listens")
		}
	})
}

func ask(t *testing.T, conn net.Conn) string {
	t.Helper()
	defer conn.Close()
	go io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9100\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s, %v: %s", resp.Status, err, body)
	}
	return string(body)
}

// TestLookTouchesNothing: whoever looks makes no folder and sets nothing aside.
func TestLookTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	conf, state := filepath.Join(dir, "conf"), filepath.Join(dir, "state")
	write(t, conf, config())
	cfg := app.Config{ConfigFile: conf, State: state}
	if _, err := app.Look(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("it made the folder")
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(state, "settings")
	write(t, damaged, "nonsense")
	v, err := app.Look(t.Context(), cfg)
	if err != nil || v.Settings().Get("ManagementServer.URL") != acsURL {
		t.Errorf("%v", err)
	}
	if text, err := os.ReadFile(damaged); err != nil || string(text) != "nonsense" {
		t.Errorf("%q, %v", text, err)
	}
	write(t, conf, "config acs\n\toption url 'x'\n\toption periodic_inform_interval 'often'\n")
	if _, err := app.Look(t.Context(), cfg); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes: %v", err)
	}
}
