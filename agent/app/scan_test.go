package app_test

// The port of connection requests under load, in virtual time: the scan that
// brought others down, and honest requests among clients that are none.

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/acs"
)

// A scanner asks the port for what is not there, once per connection.
func (h *house) scan(n int) error {
	conn, err := h.net.From(fmt.Sprintf("203.0.113.%d", 100+n%100)).Dial(context.Background(), "tcp", wanIP+":7547")
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "GET /UD/act?1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return resp.Body.Close()
}

// TestScanForAMinute: a thousand requests in each second of a minute (the
// Speedports of 2016 fell over by less). A session that is held meanwhile comes
// to its end, honest requests are answered, and no memory stays.
func TestScanForAMinute(t *testing.T) {
	seconds := 60
	if racing {
		seconds = 6 // the same second, again and again
	}
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		h.acs.Queue("", func(c *acs.Conversation) error {
			for n := range seconds { // a session as long as the scan
				key := fmt.Sprint("second ", n)
				if _, err := c.SetParameterValues(key, acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", key)); err != nil {
					return err
				}
				time.Sleep(time.Second)
			}
			return nil
		})
		h.knock()
		heap := liveHeap()
		var peak uint64
		failed := make(chan error, 1000*seconds)
		for s := range seconds {
			for n := range 1000 {
				go func() { failed <- h.scan(1000*s + n) }()
				time.Sleep(time.Millisecond)
			}
			if r := h.knock(); !r.OK() || r.Took > 100*time.Millisecond {
				t.Errorf("second %d: an honest request was answered %v after %v", s, r.Statuses, r.Took)
			}
			if s%10 == 0 {
				peak = max(peak, liveHeap())
			}
		}
		refused := 0
		for range 1000 * seconds {
			if err := <-failed; err != nil {
				refused++
			}
		}
		if refused > 0 {
			t.Errorf("%d requests got no answer", refused)
		}
		if s := h.session(2); s.Err != nil {
			t.Errorf("the session meanwhile: %v", s.Err)
		}
		if got, want := h.get(ms+"ParameterKey"), fmt.Sprint("second ", seconds-1); got != want {
			t.Errorf("ParameterKey %q, want %q", got, want)
		}
		synctest.Wait()
		t.Logf("%d requests: %d KB of heap before, %d KB at most with the scanner, %d KB after", 1000*seconds, heap>>10, peak>>10, liveHeap()>>10)
		if peak > heap+4<<20 {
			t.Errorf("%d KB of heap, %d KB before", peak>>10, heap>>10)
		}
	})
}

// liveHeap is what is left of the heap after a collection, in octets.
func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHonestAmongOthers: 1,000 clients that say nothing and 100 that say a byte a
// second; whoever knows the password is answered within 100 ms, each time, and
// gets the session.
func TestHonestAmongOthers(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		var open []net.Conn
		defer func() {
			for _, c := range open {
				c.Close()
			}
		}()
		dial := func(n int) net.Conn {
			c, err := h.net.From(fmt.Sprintf("203.0.113.%d", 100+n%100)).Dial(context.Background(), "tcp", wanIP+":7547")
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			time.Sleep(time.Millisecond) // a thousand a second: the backlog is no larger
			return c
		}
		for n := range 1000 {
			dial(n)
		}
		for n := range 100 {
			c := dial(n)
			go func() {
				for _, b := range []byte("GET / HTTP/1.1\r\nHost: a-name-that-has-no-end") {
					if _, err := c.Write([]byte{b}); err != nil {
						return // it was closed, as it should
					}
					time.Sleep(time.Second)
				}
			}()
		}
		var worst time.Duration
		for n := range 10 {
			r := h.knock()
			worst = max(worst, r.Took)
			if !r.OK() {
				t.Errorf("request %d: %v", n, r.Statuses)
			}
			h.wantEvents(h.session(2+n), "6 CONNECTION REQUEST")
			time.Sleep(3 * time.Second)
		}
		t.Logf("honest requests among 1,000 silent and 100 slow clients: at most %v", worst)
		if worst > 100*time.Millisecond {
			t.Errorf("an honest request took %v", worst)
		}
	})
}
