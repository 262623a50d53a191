package ubusd_test

// The lab's daemon and its command against frames of the real ones.

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/lab/ubusd"
)

type step struct {
	Case, Dir, Hex, Output string
	Args                   []string
	Status                 int
}

func frames(t testing.TB) (cases map[string][]step) {
	t.Helper()
	text, err := os.ReadFile("../../internal/ubus/testdata/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []step
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	cases = map[string][]step{}
	for _, s := range all {
		cases[s.Case] = append(cases[s.Case], s)
	}
	return cases
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCommandFrames plays the daemon's side of the recordings to the command,
// which must say what the real one said, byte for byte.
func TestCommandFrames(t *testing.T) {
	for name, steps := range frames(t) {
		last := steps[len(steps)-1]
		if name == "listen" || name == "monitor-none" || last.Args == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, s := range steps {
					switch want := unhex(t, s.Hex); s.Dir {
					case "<":
						theirs.Write(want)
					case ">":
						got := make([]byte, len(want))
						if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, want) {
							t.Errorf("the command said\n%x\nnot\n%x (%v)", got, want, err)
							theirs.Close()
							return
						}
					}
				}
			}()
			output, code := ubusd.Command(ours, last.Args...)
			<-done
			if output != last.Output || code != last.Status {
				t.Errorf("%d %q, not %d %q", code, output, last.Status, last.Output)
			}
		})
	}
}

// start runs a daemon on a socket of the file system.
func start(t testing.TB, d *ubusd.Daemon) (dial func() net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh-ubus") // a short path: it is a socket's
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ubus.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); d.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-ended; os.RemoveAll(dir) })
	return func() net.Conn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// TestDaemonFrames plays the clients' side of the recordings to the daemon.
func TestDaemonFrames(t *testing.T) {
	for _, name := range []string{"listen", "call-missing", "x", "send"} {
		t.Run(name, func(t *testing.T) {
			steps := frames(t)[name]
			ids := []uint32{binary.BigEndian.Uint32(unhex(t, steps[0].Hex)[4:])}
			if name == "listen" {
				ids = append(ids, 0xd512924c)
			}
			dial := start(t, &ubusd.Daemon{ID: func() uint32 {
				id := uint32(5000)
				if len(ids) > 0 {
					id, ids = ids[0], ids[1:]
				}
				return id
			}})
			conn := dial()
			for _, s := range steps {
				switch want := unhex(t, s.Hex); {
				case s.Dir == ">":
					conn.Write(want)
				case s.Dir == "<":
					if name == "listen" && want[1] == 5 { // somebody else has to send it
						if out, code := ubusd.Command(dial(), frames(t)["send"][0:][len(frames(t)["send"])-1].Args...); code != 0 {
							t.Fatal(out)
						}
					}
					got := make([]byte, len(want))
					if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("the daemon said\n%x\nnot\n%x (%v)", got, want, err)
					}
				}
			}
		})
	}
}
