package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/control"
)

// TestCalls: each call, as the command line makes it.
func TestCalls(t *testing.T) {
	h := build(t, 2)
	dial := h.serve(root)
	one := 1
	tests := []struct {
		req  control.Request
		want string // of the answer: each line's JSON, joined
	}{
		{control.Request{Call: "get", Paths: []string{"Device.Lamp.1.On"}},
			`{"value":{"name":"Device.Lamp.1.On","value":"false","type":"boolean","writable":true}} {"end":{}}`},
		{control.Request{Call: "names", Paths: []string{"Device."}, Next: true},
			`{"name":{"name":"Device.LampNumberOfEntries","type":"unsignedInt","writable":false}} {"name":{"name":"Device.Lamp.","type":"object","writable":false}} {"end":{}}`},
		{control.Request{Call: "set", Set: []api.Assignment{{Name: "Device.Lamp.1.On", Value: "true"}}, DryRun: true},
			`{"plan":{"writes":[{"name":"Device.Lamp.1.On","old":"false","new":"true"}],"reloads":[],"uplink":false}} {"end":{}}`},
		{control.Request{Call: "get", Paths: []string{"Device.Lamp.1.On"}},
			`{"value":{"name":"Device.Lamp.1.On","value":"false","type":"boolean","writable":true}} {"end":{}}`},
		{control.Request{Call: "set", Set: []api.Assignment{{Name: "Device.Lamp.1.On", Value: "true"}}}, `{"end":{}}`},
		{control.Request{Call: "attributes", Paths: []string{"Device.Lamp.1.On"}},
			`{"attribute":{"name":"Device.Lamp.1.On","notification":1,"accessList":[]}} {"end":{}}`},
		{control.Request{Call: "notify", Paths: []string{"Device.Lamp.1.On"}, Notification: &one}, `{"end":{}}`},
		{control.Request{Call: "inform"}, `{"end":{}}`},
		{control.Request{Call: "reload"}, `{"end":{"changed":["log.level"]}}`},
		{control.Request{Call: "notify", Paths: []string{"Device.Lamp.1.On"}}, api.InvalidArguments},
		{control.Request{Call: "add"}, api.InvalidArguments},
		{control.Request{Call: "add", Paths: []string{"Device.Lamp."}}, api.Denied},
		{control.Request{Call: "delete", Paths: []string{"Device.Lamp.9."}}, api.InvalidName},
		{control.Request{Call: "get", Paths: []string{"Device.Nope"}}, api.InvalidName},
		{control.Request{Call: "names", Paths: []string{"Device.Nope."}}, api.InvalidName},
		{control.Request{Call: "watch", Paths: []string{"Device.Nope."}}, api.InvalidName},
		{control.Request{Call: "dance"}, api.InvalidArguments},
		{control.Request{}, api.InvalidArguments},
	}
	for _, tt := range tests {
		lines, err := do(t.Context(), dial(), tt.req)
		var got []string
		for _, l := range lines {
			text, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(text))
		}
		if text := strings.Join(got, " "); text != tt.want && !refused(err, tt.want) {
			t.Errorf("%+v: %s, %v\nwant %s", tt.req, text, err, tt.want)
		}
	}
	lines, err := do(t.Context(), dial(), control.Request{Call: "status"})
	if err != nil || len(lines) != 2 || lines[0].Status == nil || lines[0].Status.State != "idle" {
		t.Errorf("status: %v, %v", lines, err)
	}
}

// TestBadRequests are refused with a word, and change nothing.
func TestBadRequests(t *testing.T) {
	h := build(t, 1)
	dial := h.serve(root)
	for _, text := range []string{
		"\n", "{\n", "[]\n", "null x\n", "GET / HTTP/1.1\r\n", `{"call":"get","paths":"Device."}` + "\n", `{"call":7}` + "\n",
		`{"call":"set","set":[{"name":"Device.Lamp.1.On","value":"true"}],"dry_run":true}` + "\n",
		`{"call":"set","set":[{"name":"Device.Lamp.1.On","value":true}]}` + "\n",
		`{"call":"status"} {"call":"status"}` + "\n", strings.Repeat("[", 20000) + "\n", "\x00\xff\n",
		`{"call":"get","paths":["` + strings.Repeat("a", 256<<10) + `"]}` + "\n",
	} {
		last, all := say(t, dial(), text)
		if all != 1 || last.Error == nil || last.Error.Name() != api.InvalidArguments {
			t.Errorf("%.60q: %d lines, the last one %+v", text, all, last)
		}
	}
	if h.rows[0].On {
		t.Error("the lamp is on")
	}
}

func TestRights(t *testing.T) {
	h := build(t, 1)
	dial := h.serve(reader)
	for _, req := range []control.Request{
		{Call: "set", Set: []api.Assignment{{Name: "Device.Lamp.1.On", Value: "true"}}}, {Call: "set", DryRun: true},
		{Call: "delete"}, {Call: "add", Paths: []string{"Device.Lamp."}}, {Call: "inform"}, {Call: "reload"},
	} {
		if _, err := do(t.Context(), dial(), req); !refused(err, api.NotPermitted) {
			t.Errorf("%+v: %v", req, err)
		}
	}
	last, _ := say(t, dial(), `{"call":"get","paths":["`+strings.Repeat("a", 16<<10)+`"]}`+"\n")
	if last.Error == nil || last.Error.Name() != api.InvalidArguments {
		t.Errorf("a long request of a reader: %+v", last)
	}
}

// TestSilentCallers cost their slot for ten seconds, and a hang-up costs
// nothing.
func TestSilentCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, 1)
		dial := h.serve(root)
		for range 64 { // all slots
			conn := dial()
			go conn.Write([]byte(`{"call":`))
			t.Cleanup(func() { conn.Close() })
		}
		synctest.Wait()
		began := time.Now()
		if _, err := do(t.Context(), dial(), control.Request{Call: "status"}); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("the next caller waited for %v", d)
		}
		for range 200 {
			dial().Close()
		}
		if _, err := do(t.Context(), dial(), control.Request{Call: "status"}); err != nil {
			t.Error(err)
		}
	})
}

// TestReadersKeepNobodyOut: callers that may only read have their own limit.
func TestReadersKeepNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, 1)
		who := make(chan api.Caller, 1)
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		h.run(l, func(net.Conn) api.Caller { return <-who })
		dial := func(c api.Caller) net.Conn {
			ours, theirs := net.Pipe()
			who <- c
			l.conns <- theirs
			synctest.Wait()
			t.Cleanup(func() { ours.Close() })
			return ours
		}
		for range 24 {
			dial(reader)
		}
		if _, err := do(t.Context(), dial(reader), control.Request{Call: "status"}); !refused(err, api.Busy) {
			t.Errorf("one reader too many: %v", err)
		}
		if _, err := do(t.Context(), dial(root), control.Request{Call: "status"}); err != nil {
			t.Errorf("root: %v", err)
		}
	})
}

// TestWatch goes on until the caller hangs up, and its slot is free then.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, 1)
		dial := h.serve(root)
		for range 100 {
			ctx, stop := context.WithCancel(t.Context())
			n := 0
			for l, err := range control.Do(ctx, dial(), control.Request{Call: "watch", Paths: []string{"Device.Lamp.*.On"}}) {
				if err != nil {
					t.Fatal(err)
				}
				switch n++; n {
				case 1:
					on := fmt.Sprint(l.Update.Value == "false")
					if _, err := do(t.Context(), dial(), control.Request{Call: "set", Set: []api.Assignment{{Name: "Device.Lamp.1.On", Value: on}}}); err != nil {
						t.Error(err)
					}
				case 2:
					stop()
				default:
					t.Errorf("told %+v", l)
				}
			}
			stop()
			synctest.Wait()
		}
		for range 32 {
			go func() {
				for range control.Do(t.Context(), dial(), control.Request{Call: "watch", Paths: []string{"Device."}}) {
				}
			}()
		}
		synctest.Wait()
		if _, err := do(t.Context(), dial(), control.Request{Call: "watch", Paths: []string{"Device."}}); !refused(err, api.Busy) {
			t.Errorf("one watch too many: %v", err)
		}
		if _, err := do(t.Context(), dial(), control.Request{Call: "status"}); err != nil {
			t.Error(err)
		}
	})
}

// TestSlowCaller: one that does not take its answer is dropped, and nobody
// waits for it.
func TestSlowCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, 2000)
		dial := h.serve(root)
		conn := dial()
		if _, err := conn.Write([]byte(`{"call":"get","paths":["Device."]}` + "\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		n, err := bufio.NewReader(conn).WriteTo(discard{})
		if err != nil || n > 8<<10 {
			t.Errorf("%d bytes, %v: it was not dropped", n, err)
		}
		lines, err := do(t.Context(), dial(), control.Request{Call: "get", Paths: []string{"Device."}})
		if err != nil || len(lines) != 4002 {
			t.Errorf("%d lines, %v", len(lines), err)
		}
	})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// TestRealSocket: a hundred callers at once, and who they are by the kernel.
func TestRealSocket(t *testing.T) {
	h := build(t, 50)
	path := filepath.Join(t.TempDir(), "control")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	h.run(l, control.Peer)
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Error(err)
				return
			}
			req, want := control.Request{Call: "get", Paths: []string{"Device."}}, 102
			if i%2 == 1 { // whoever runs the agent may write
				req, want = control.Request{Call: "set", Set: []api.Assignment{{Name: fmt.Sprintf("Device.Lamp.%d.On", i/2+1), Value: "true"}}}, 1
			}
			lines, err := do(t.Context(), conn, req)
			if err != nil || len(lines) != want {
				t.Errorf("%d lines, %v", len(lines), err)
			}
		})
	}
	callers.Wait()
	for i, r := range h.rows {
		if !r.On {
			t.Errorf("lamp %d is off", i+1)
		}
	}
}

func TestPeer(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if c := control.Peer(theirs); c.Rights != api.Everything || c.Name != fmt.Sprintf("uid %d", os.Geteuid()) {
		t.Errorf("we are %+v", c)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if c := control.Peer(a); c.Rights != 0 {
		t.Errorf("somebody unknown may %v", c)
	}
	for _, tt := range []struct {
		uid, own uint32
		want     api.Rights
	}{{0, 0, api.Everything}, {0, 1000, api.Everything}, {1000, 1000, api.Everything}, {1000, 0, api.Read}, {math.MaxUint32, 0, api.Read}} {
		if c := control.CallerOf(tt.uid, tt.own); c.Rights != tt.want {
			t.Errorf("%d at an agent of %d: %+v", tt.uid, tt.own, c)
		}
	}
}

// TestStop: the end of the agent ends every call.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, 1)
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		s := &control.Server{API: h.api, Who: func(net.Conn) api.Caller { return root }, Log: slog.New(slog.DiscardHandler)}
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		ended := make(chan error, 1)
		ours, theirs := net.Pipe()
		l.conns <- theirs
		go func() {
			_, err := do(t.Context(), ours, control.Request{Call: "watch", Paths: []string{"Device."}})
			ended <- err
		}()
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, control.ErrCut) {
			t.Errorf("the caller was told %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// FuzzRequest: whatever somebody says is answered with lines of JSON, the last
// one an end or an error, and nobody who may only read changes anything.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"call":"get","paths":["Device."]}`, `{"call":"set","set":[{"name":"Device.Lamp.1.On","value":"true"}],"dryRun":true}`,
		`{"call":"names","paths":["Device.Lamp.*."],"next":true}`, `{"call":"status"}`, `{"call":"notify","notification":2}`, `{`, ``, "\x00",
		`{"call":"attributes","paths":["Device.Lamp.[a]."]}`, `{"call":"inform","event":"X 0011AA a"}`, `{"call":"add","paths":["Device.Lamp."]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text, _, _ = strings.Cut(text, "\n")
		if strings.Contains(strings.ToLower(text), "watch") || strings.Contains(text, `\u`) {
			return // does not end
		}
		h := build(t, 1)
		last, _ := say(t, h.serve(reader)(), text+"\n")
		if (last.End == nil) == (last.Error == nil) {
			t.Errorf("%q ends with %+v", text, last)
		}
		if h.rows[0].On {
			t.Errorf("%q changed something", text)
		}
	})
}
