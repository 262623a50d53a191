package ubus

// Messages: a header of eight bytes and one attribute that holds the others.

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Kinds of messages.
const (
	msgHello        = 0
	msgStatus       = 1
	msgData         = 2
	msgLookup       = 4
	msgInvoke       = 5
	msgAddObject    = 6
	msgRemoveObject = 7
	msgSubscribe    = 8
	msgUnsubscribe  = 9
	msgNotify       = 10
)

// Attributes of a message.
const (
	attrStatus    = 1
	attrObjPath   = 2
	attrObjID     = 3
	attrMethod    = 4
	attrObjType   = 5
	attrSignature = 6
	attrData      = 7
	attrTarget    = 8
	attrActive    = 9
	attrNoReply   = 10
	attrUser      = 12
	attrGroup     = 13
	attrCount     = 16 // what has a higher id is passed over
)

const (
	headerSize = 8 + attrHeader
	// maxMessage is ubusd's own bound on all after the header.
	maxMessage = 1 << 20
	// maxCall bounds a message of somebody who calls us: 1 MB from anybody on
	// the bus is not to become 1 MB of ours.
	maxCall = 256 << 10
)

// A Status is the outcome of a request, and an error unless it is 0.
type Status uint32

// The outcomes that ubus knows.
const (
	OK               Status = 0
	InvalidCommand   Status = 1
	InvalidArgument  Status = 2
	MethodNotFound   Status = 3
	NotFound         Status = 4
	NoData           Status = 5
	PermissionDenied Status = 6
	Timeout          Status = 7
	NotSupported     Status = 8
	UnknownError     Status = 9
	ConnectionFailed Status = 10
	NoMemory         Status = 11
	ParseError       Status = 12
	SystemError      Status = 13
)

var statusTexts = [...]string{"success", "invalid command", "invalid argument", "method not found", "not found", "no data",
	"permission denied", "timed out", "not supported", "unknown error", "connection failed", "out of memory", "parsing failed", "system error"}

// Error implements error.
func (s Status) Error() string {
	if int(s) < len(statusTexts) {
		return "ubus: " + statusTexts[s]
	}
	return fmt.Sprintf("ubus: status %d", uint32(s))
}

// A message as it arrives. Its attributes share one buffer.
type message struct {
	kind  byte
	seq   uint16
	peer  uint32
	size  int  // of the body
	whole bool // false: what a caller sent was too long, and is not there but for its beginning
	attrs [attrCount][]byte
}

// frame makes the message that write fills.
func frame(kind byte, seq uint16, peer uint32, fill func([]byte) []byte) []byte {
	b := make([]byte, 0, 256)
	b = append(b, 0, kind)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, peer)
	b, start := openAttr(b, 0, false)
	if fill != nil {
		b = fill(b)
	}
	return closeAttr(b, start)
}

// readMessage reads one message. A call that is longer than maxCall is read to
// its end and told by whole being false; anything that cannot be a message is
// an error, after which nothing more can be read.
func readMessage(r io.Reader) (*message, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[8:]) & maxAttribute)
	body := padded(size) - attrHeader
	if head[0] != 0 || size < attrHeader || body > maxMessage {
		return nil, fmt.Errorf("%w: a header of version %d with %d bytes to follow", errBlob, head[0], size)
	}
	m := &message{kind: head[1], seq: binary.BigEndian.Uint16(head[2:]), peer: binary.BigEndian.Uint32(head[4:]), size: body, whole: true}
	if m.kind != msgData && m.kind != msgStatus && body > maxCall {
		return m, m.skip(r)
	}
	b, err := readBody(r, body)
	if err != nil {
		return nil, err
	}
	return m, m.parse(b)
}

// readBody trusts a length as far as bytes have come.
func readBody(r io.Reader, n int) ([]byte, error) {
	const step = 64 << 10
	b := make([]byte, 0, min(n, step))
	for len(b) < n {
		was := len(b)
		b = append(b, make([]byte, min(n-was, step))...)
		if _, err := io.ReadFull(r, b[was:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// skip reads no more of a message than says whom it is for: the daemon puts
// that first, after the word that no reply is wanted.
func (m *message) skip(r io.Reader) error {
	m.whole = false
	first := make([]byte, 16)
	if _, err := io.ReadFull(r, first); err != nil {
		return err
	}
	for len(first) > 0 {
		a, rest, err := nextAttr(first)
		if err != nil {
			break
		}
		if a.id == attrObjID || a.id == attrNoReply {
			m.attrs[a.id] = a.data
		}
		first = rest
	}
	_, err := io.CopyN(io.Discard, r, int64(m.size-16))
	return err
}

func (m *message) parse(b []byte) error {
	for len(b) > 0 {
		a, rest, err := nextAttr(b)
		if err != nil {
			return err
		}
		if int(a.id) < attrCount && m.attrs[a.id] == nil {
			m.attrs[a.id] = a.data
		}
		b = rest
	}
	return nil
}

func (m *message) number(id int) (uint32, bool) {
	if len(m.attrs[id]) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(m.attrs[id]), true
}

func (m *message) flag(id int) bool { return len(m.attrs[id]) > 0 && m.attrs[id][0] != 0 }

func (m *message) text(id int) string {
	s, _ := text(m.attrs[id])
	return s
}

func (m *message) table(limit int) (Table, error) { return decodeTable(m.attrs[attrData], limit) }
