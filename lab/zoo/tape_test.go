package zoo

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/lab/acs"
	"gatehouse/lab/tape"
	"gatehouse/platform"
)

// TestReplay: a session of the real agent is recorded, printed, read, and
// played to another one like it, which answers alike but for what has changed.
func TestReplay(t *testing.T) {
	var text strings.Builder
	script := func(c *acs.Conversation) error {
		if err := ordinary(c); err != nil {
			return err
		}
		if _, err := c.GetParameterNames("Device.", false); err != nil {
			return err
		}
		_, err := c.GetParameterValues("Device.")
		return err
	}
	story(t, withDigest("cookie=two,prefix=S"), func(t *testing.T, h *house) {
		h.acs.Script(script)
		h.start()
		tape.Of(h.good(1)).WriteTo(&text)
	})
	recorded, err := tape.Read(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{pass, crPass} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("%q is in the tape", secret)
		}
	}
	for host, want := range map[string]string{"": "", "one more host": "was not there when it was recorded"} {
		var told []string
		story(t, plan{url: "http://other.example.net/acs"}, func(t *testing.T, h *house) {
			if host != "" {
				h.router.SetNeighbor(platform.Neighbor{Link: "br-lan", MAC: "02:00:5e:00:77:77", Addr: netip.MustParseAddr("192.168.1.77"), Hostname: host})
			}
			over := make(chan bool, 1)
			player := recorded.NewPlayer(func(d tape.Difference) {
				if d.Grave {
					told = append(told, d.Text)
				}
			}, func(whole bool) { over <- whole })
			l, err := h.net.Listen("tcp", otherIP+":80")
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: player}
			defer s.Close()
			go s.Serve(l)
			h.start()
			if !<-over {
				t.Error("it was not played to its end")
			}
		})
		all := strings.Join(told, "\n")
		if !strings.Contains(all, want) || want == "" && len(told) > 0 {
			t.Errorf("with host %q told:\n%s", host, all)
		}
	}
}
