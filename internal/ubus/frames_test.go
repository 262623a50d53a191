package ubus

// The codec and the client against frames of a real ubusd and a real libubus.

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

type step struct {
	Case, Dir, Hex string
}

func recorded(t testing.TB) (cases map[string][]step) {
	t.Helper()
	text, err := os.ReadFile("testdata/frames.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []step
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	cases = map[string][]step{}
	for _, s := range all {
		if s.Dir != "" {
			cases[s.Case] = append(cases[s.Case], s)
		}
	}
	return cases
}

func (s step) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(s.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rewrite encodes a message again, in the order of its attributes.
func rewrite(t testing.TB, b []byte) []byte {
	m, err := readMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return frame(m.kind, m.seq, m.peer, func(out []byte) []byte {
		for rest := b[headerSize:]; len(rest) > 0; {
			var a attr
			if a, rest, err = nextAttr(rest); err != nil {
				t.Fatal(err)
			}
			switch a.id {
			case attrSignature, attrData:
				table, err := decodeTable(a.data, maxValues)
				if err != nil {
					t.Fatal(err)
				}
				out = appendTableAttr(out, a.id, table)
			case attrObjPath, attrMethod:
				s, _ := text(a.data)
				out = appendText(out, a.id, s)
			default:
				out = appendNumber(out, a.id, binary.BigEndian.Uint32(a.data))
			}
		}
		return out
	})
}

func TestFramesByteForByte(t *testing.T) {
	for name, steps := range recorded(t) {
		for _, s := range steps {
			for rest := s.bytes(t); len(rest) > 0; { // one read of the recorder can hold several
				n := headerSize - attrHeader + int(binary.BigEndian.Uint32(rest[8:])&maxAttribute)
				if got := rewrite(t, rest[:n]); !bytes.Equal(got, rest[:n]) {
					t.Errorf("%s: written again it is\n%x\nnot\n%x", name, got, rest[:n])
				}
				rest = rest[n:]
			}
		}
	}
}

// replay plays one side of a recording: it sends what the daemon sent, and
// compares what we say with what libubus said.
func replay(t *testing.T, steps []step) (c *Conn) {
	ours, theirs := net.Pipe()
	played := make(chan struct{})
	go func() {
		defer close(played)
		for _, s := range steps {
			want := s.bytes(t)
			if s.Dir == "<" {
				theirs.Write(want)
				continue
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("we said\n%x\nlibubus said\n%x (%v)", got, want, err)
				theirs.Close()
				return
			}
		}
	}()
	c, err := Open(ours, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // the answer to the last event may still be on its way when the test ends
	go func() { defer close(ended); c.Serve(ctx) }()
	t.Cleanup(func() { <-played; cancel(); theirs.Close(); <-ended })
	return c
}

func TestClientByteForByte(t *testing.T) {
	cases := recorded(t)
	ctx := t.Context()
	t.Run("list", func(t *testing.T) {
		found, err := replay(t, cases["list"]).Lookup(ctx, "")
		if err != nil || len(found) != 1 || found[0].Path != "tr069" || found[0].ID != 0xd6f1766e || len(found[0].Methods) != 2 {
			t.Errorf("%v %v", found, err)
		}
	})
	t.Run("call", func(t *testing.T) {
		reply, err := replay(t, cases["call-status"]).Call(ctx, "tr069", "status", nil)
		if info, _ := reply.Get("info"); err != nil || info != "Session started" {
			t.Errorf("%v %v", reply, err)
		}
		nested, _ := reply.Get("nested")
		list, _ := nested.(Table).Get("l")
		if want := (Array{"a", true, int64(1 << 40), 1.5}); !slices.Equal(list.(Array), want) {
			t.Errorf("%v, not %v", list, want)
		}
	})
	t.Run("call with arguments", func(t *testing.T) {
		reply, err := replay(t, cases["call-inform"]).Call(ctx, "tr069", "inform", Table{{"event", "6 CONNECTION REQUEST"}})
		if len(reply) != 4 || err != nil {
			t.Errorf("%v %v", reply, err)
		}
	})
	t.Run("call what is not there", func(t *testing.T) {
		if _, err := replay(t, cases["call-missing"]).Call(ctx, "nosuch", "m", nil); !errors.Is(err, NotFound) {
			t.Error(err)
		}
	})
	payload := Table{{"action", "ifup"}, {"interface", "wan"}, {"n", 7}, {"big", int64(4294967296)}, {"neg", -5}, {"ok", true},
		{"list", Array{"a", 1, Table{{"k", "v"}}}}}
	t.Run("listen", func(t *testing.T) {
		heard := make(chan Event, 1)
		if err := replay(t, cases["listen"]).Listen(ctx, "network.interface", func(e Event) { heard <- e }); err != nil {
			t.Fatal(err)
		}
		e := <-heard
		if e.Name != "network.interface" || !bytes.Equal(appendTable(nil, e.Data), appendTable(nil, payload)) {
			t.Errorf("%v", e)
		}
	})
	t.Run("send", func(t *testing.T) {
		if err := replay(t, cases["send"]).Send(ctx, "network.interface", payload); err != nil {
			t.Error(err)
		}
	})
}
