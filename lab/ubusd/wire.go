package ubusd

// What goes over the wire, written from libubox' blob.h and blobmsg.h and from
// recorded frames. Nothing here is the agent's.

import (
	"encoding/binary"
	"errors"
	"io"
)

// Kinds of messages and of attributes, as ubusmsg.h numbers them.
const (
	hello, status, data, ping, lookup, invoke, addObject, removeObject, subscribe, unsubscribe, notify = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

	aStatus, aPath, aID, aMethod, aType, aSignature, aData, aTarget, aActive, aNoReply, aSubscribers, aUser, aGroup = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
)

// Outcomes.
const (
	ok               = 0
	invalidCommand   = 1
	invalidArgument  = 2
	methodNotFound   = 3
	notFound         = 4
	permissionDenied = 6
)

// maxLength is UBUS_MAX_MSGLEN.
const maxLength = 1048576

var errFrame = errors.New("ubusd: not a message")

// A message is a frame that has come, or is about to go.
type message struct {
	kind  byte
	seq   uint16
	peer  uint32
	attrs []attribute
}

type attribute struct {
	id   int
	body []byte
}

func (m *message) get(id int) []byte {
	for _, a := range m.attrs {
		if a.id == id {
			return a.body
		}
	}
	return nil
}

// number is an attribute that ubusd's policy takes for an int32, or not at all.
func (m *message) number(id int) (uint32, bool) {
	if b := m.get(id); len(b) == 4 {
		return binary.BigEndian.Uint32(b), true
	}
	return 0, false
}

func (m *message) str(id int) (string, bool) {
	b := m.get(id)
	if len(b) == 0 || b[len(b)-1] != 0 {
		return "", false
	}
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), true
		}
	}
	return "", false
}

func num(id int, v uint32) attribute { return attribute{id, binary.BigEndian.AppendUint32(nil, v)} }

func str(id int, s string) attribute { return attribute{id, append([]byte(s), 0)} }

// bytes is the frame of a message.
func (m *message) bytes() []byte {
	var body []byte
	for _, a := range m.attrs {
		body = append(body, pack(uint32(a.id)<<24, a.body)...)
	}
	head := []byte{0, m.kind, byte(m.seq >> 8), byte(m.seq), 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[4:], m.peer)
	return append(head, pack(0, body)...)
}

// pack puts a header before a body and zeros after it.
func pack(head uint32, body []byte) []byte {
	n := len(body) + 4
	out := make([]byte, (n+3)/4*4)
	binary.BigEndian.PutUint32(out, head|uint32(n))
	copy(out[4:], body)
	return out
}

// read takes one frame. ubusd drops a client whose message is too long.
func read(r io.Reader) (*message, error) {
	head := make([]byte, 12)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[8:]) & 0xffffff)
	if n < 4 || n > maxLength {
		return nil, errFrame
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return &message{kind: head[1], seq: binary.BigEndian.Uint16(head[2:]), peer: binary.BigEndian.Uint32(head[4:]), attrs: unpack(body)}, nil
}

// unpack stops, as libubox does, where there is no attribute any more.
func unpack(b []byte) (list []attribute) {
	for len(b) >= 4 {
		v := binary.BigEndian.Uint32(b)
		n := int(v & 0xffffff)
		full := (n + 3) / 4 * 4
		if n < 4 || full > len(b) {
			return list
		}
		list = append(list, attribute{int(v >> 24), b[4:n]}) // with the bit of blobmsg in it
		b = b[full:]
	}
	return list
}

// A member is a value of a table, still packed: enough for a daemon that looks
// into few of them.
type member struct {
	typ  int // as in blobmsg.h
	name string
	body []byte
}

func members(b []byte) (list []member, good bool) {
	left := len(b)
	for _, a := range unpack(b) {
		left -= (len(a.body) + 4 + 3) / 4 * 4
		if a.id < 0x80 || len(a.body) < 3 {
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(a.body))
		at := (n + 3 + 3) / 4 * 4
		if at > len(a.body) || a.body[2+n] != 0 {
			return nil, false
		}
		list = append(list, member{a.id & 0x7f, string(a.body[2 : 2+n]), a.body[at:]})
	}
	return list, left == 0
}

func (m member) text() (string, bool) {
	if m.typ != 3 || len(m.body) == 0 || m.body[len(m.body)-1] != 0 {
		return "", false
	}
	return string(m.body[:len(m.body)-1]), true
}

func (m member) bytes() []byte {
	head := append([]byte{byte(len(m.name) >> 8), byte(len(m.name))}, m.name...)
	for head = append(head, 0); len(head)%4 != 0; {
		head = append(head, 0)
	}
	return pack(1<<31|uint32(m.typ)<<24, append(head, m.body...))
}
