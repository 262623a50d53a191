//go:build !no_stun

package app_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/stun"
	"gatehouse/lab/stun/udpnet"
)

// A notice is a lightweight notification as the ACS reads it.
type notice struct {
	at     time.Time
	body   []byte
	signed string
	TS     int64
	UN     string
	Param  []struct{ Name, Value string }
}

// says tells what it holds, "name=value".
func (n *notice) says() string {
	if n == nil {
		return "nothing was sent"
	}
	var all []string
	for _, p := range n.Param {
		all = append(all, p.Name+"="+p.Value)
	}
	return strings.Join(all, " ")
}

// lightACS listens for lightweight notifications.
type lightACS struct {
	t    *testing.T
	conn *udpnet.Conn
}

func (h *natHouse) lightACS(at string) *lightACS {
	h.t.Helper()
	c, err := h.udp.Listen(netip.MustParseAddrPort(at))
	if err != nil {
		h.t.Fatal(err)
	}
	return &lightACS{h.t, c}
}

// next waits for a notification; nil: none came in that time.
func (l *lightACS) next(within time.Duration) *notice {
	l.t.Helper()
	defer synctest.Wait()
	if err := l.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		l.t.Fatal(err)
	}
	buf := make([]byte, 2048)
	size, _, err := l.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		return nil
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(buf[:size])))
	if err != nil || req.Method != http.MethodPost {
		l.t.Fatalf("%v in %q", err, buf[:size])
	}
	n := &notice{at: time.Now(), signed: req.Header.Get("Signature")}
	if n.body, err = io.ReadAll(req.Body); err != nil {
		l.t.Fatal(err)
	}
	if err := xml.Unmarshal(n.body, n); err != nil {
		l.t.Fatalf("%v in %s", err, n.body)
	}
	mac := hmac.New(sha1.New, []byte("secret"))
	mac.Write(n.body)
	if n.signed != hex.EncodeToString(mac.Sum(nil)) || n.UN != "cpe" || n.TS > n.at.Unix() || n.TS < n.at.Unix()-60 {
		l.t.Errorf("signed %s, UN %q, TS %d", n.signed, n.UN, n.TS)
	}
	return n
}

// code is a text that nothing else depends on while STUN is off.
const code = ms + "STUNUsername"

// TestLightweight: a change with an active lightweight attribute is told by a
// datagram and no session, a passive one goes with it, and without a protocol
// nothing is sent.
func TestLightweight(t *testing.T) {
	natStory(t, stun.Coturn(), config(), func(t *testing.T, h *natHouse) {
		const host = ms + "UDPLightweightNotificationHost"
		h.acs.Queue("", watch(5, lan1))
		h.acs.Queue("", watch(3, host))
		h.start()
		h.session(1)
		l := h.lightACS(acsIP + ":7547")
		h.router.SetLink("eth1", false)
		if n := l.next(time.Hour); n != nil || h.opens.Load() != 0 {
			t.Errorf("sent without a protocol: %v", n)
		}
		h.set(ms+"LightweightNotificationProtocolsUsed", "UDP")
		synctest.Wait() // it begins with the values of this moment
		h.set(host, "acs.example.net")
		if n := l.next(time.Hour); n != nil {
			t.Errorf("sent without an active change: %s", n.says())
		}
		changed := time.Now()
		h.router.SetLink("eth1", true)
		n := l.next(time.Hour)
		if n == nil || n.says() != lan1+"=Up "+host+"=acs.example.net" || n.at.Sub(changed) > time.Second {
			t.Fatal(n.says())
		}
		if n := l.next(time.Hour); n != nil {
			t.Errorf("told twice: %s", n.says())
		}
		for range 50 { // it flaps
			h.router.SetLink("eth1", false)
			time.Sleep(250 * time.Millisecond)
			h.router.SetLink("eth1", true)
			time.Sleep(250 * time.Millisecond)
		}
		var got int
		for l.next(time.Minute) != nil {
			got++
		}
		if got > 26 {
			t.Errorf("%d notifications in 25 s", got)
		}
		h.none(1, time.Minute) // none of this is worth a session
	})
}

// TestLightweightTrigger: passive changes wait for TriggerTime plus a multiple
// of TriggerInterval.
func TestLightweightTrigger(t *testing.T) {
	natStory(t, stun.Coturn(), config(`config lwn
	list protocols 'UDP'
	option trigger_interval '3600'
	option trigger_time '1999-01-01T00:07:00Z'
	option hostname '198.51.100.20'
	option port '9999'`), func(t *testing.T, h *natHouse) {
		h.acs.Queue("", watch(3, code))
		h.start()
		h.session(1)
		l := h.lightACS(otherIP + ":9999")
		if n := l.next(24 * time.Hour); n != nil {
			t.Errorf("nothing has changed: %s", n.says())
		}
		h.set(code, "one")
		h.set(code, "two")
		n := l.next(24 * time.Hour)
		if n == nil || n.says() != code+"=two" || n.at.Minute() != 7 || n.at.Second() != 0 {
			t.Fatal(n.says())
		}
		h.acs.Queue("", setting(code, "xsd:string", "by the ACS"))
		h.knock()
		h.session(2)
		if n := l.next(24 * time.Hour); n != nil {
			t.Errorf("the ACS is told what it has set: %s", n.says())
		}
		h.set(ms+"LightweightNotificationTriggerInterval", "0")
		h.set(code, "three")
		if n := l.next(24 * time.Hour); n != nil {
			t.Errorf("sent without a trigger: %s", n.says())
		}
		h.none(2, time.Minute)
	})
}

// TestLightweightWithoutTheACS: a notification that cannot leave is tried
// again, with the value of then.
func TestLightweightWithoutTheACS(t *testing.T) {
	natStory(t, stun.Coturn(), config("config lwn\n\tlist protocols 'UDP'\n\toption hostname 'nowhere.example.net'"), func(t *testing.T, h *natHouse) {
		h.acs.Queue("", watch(5, code))
		h.start()
		h.session(1)
		l := h.lightACS(otherIP + ":7547")
		h.set(code, "one")
		h.none(1, 5*time.Minute)
		h.set(code, "two")
		hosts := filepath.Join(filepath.Dir(h.conf), "hosts")
		write(t, hosts, acsIP+" acs.example.net\n"+otherIP+" nowhere.example.net\n")
		n := l.next(time.Hour)
		if n == nil || n.says() != code+"=two" {
			t.Fatal(n.says())
		}
		if n := l.next(time.Hour); n != nil {
			t.Errorf("told twice: %s", n.says())
		}
	})
}
