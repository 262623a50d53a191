package systembus

// The limit on what comes from the bus, below the library that would take all.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
)

const (
	// MaxBody bounds the body of a message that is taken, in bytes. A longer one
	// arrives without it, so that a caller is told of wrong arguments, and a
	// vendor's answer counts as nonsense.
	MaxBody = 1 << 20
	// maxFields bounds the header, which the bus daemon writes: names of 255
	// bytes at most, and a path.
	maxFields = 64 << 10
	// maxMessage is D-Bus' own bound.
	maxMessage = 1 << 27
)

var errHeader = errors.New("a message of the bus has a header that cannot be read")

// bounded passes on what it reads, message by message once the authentication
// is over.
type bounded struct {
	raw     io.ReadWriteCloser
	binary  atomic.Bool
	header  []byte // read, and not yet passed on
	body    int    // bytes to pass on after it
	discard int    // bytes to drop after it
}

// Write implements io.Writer. BEGIN is the last line of the authentication.
func (b *bounded) Write(p []byte) (int, error) {
	if !b.binary.Load() && bytes.Equal(p, []byte("BEGIN\r\n")) {
		b.binary.Store(true)
	}
	return b.raw.Write(p)
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.raw.Close() }

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if !b.binary.Load() {
		return b.raw.Read(p)
	}
	if len(b.header) == 0 && b.body == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	if len(b.header) > 0 {
		n := copy(p, b.header)
		b.header = b.header[n:]
		return n, nil
	}
	n, err := b.raw.Read(p[:min(len(p), b.body)])
	b.body -= n
	return n, err
}

// next reads the header of the next message.
func (b *bounded) next() error {
	if b.discard > 0 {
		n, err := io.CopyN(io.Discard, b.raw, int64(b.discard))
		b.discard -= int(n)
		if err != nil {
			return err
		}
	}
	head := make([]byte, 16, 256)
	if _, err := io.ReadFull(b.raw, head); err != nil {
		return err
	}
	order, err := orderOf(head[0])
	if err != nil {
		return err
	}
	body, fields := order.Uint32(head[4:]), order.Uint32(head[12:])
	if fields > maxFields || body > maxMessage {
		return errHeader
	}
	padded := (int(fields) + 7) &^ 7
	head = append(head, make([]byte, padded)...)
	if _, err := io.ReadFull(b.raw, head[16:]); err != nil {
		return err
	}
	if body <= MaxBody {
		b.header, b.body = head, int(body)
		return nil
	}
	b.discard = int(body)
	b.header, err = withoutBody(order, head, int(fields))
	return err
}

func orderOf(c byte) (binary.ByteOrder, error) {
	switch c {
	case 'l':
		return binary.LittleEndian, nil
	case 'B':
		return binary.BigEndian, nil
	}
	return nil, errHeader
}

// withoutBody returns the header of the same message with an empty body: the
// length is 0 and the signature is left out.
func withoutBody(order binary.ByteOrder, head []byte, fields int) ([]byte, error) {
	out := append([]byte(nil), head[:16]...)
	in := head[16 : 16+fields]
	for at := 0; at < len(in); {
		at = (at + 7) &^ 7
		end, err := fieldEnd(order, in, at)
		if err != nil {
			return nil, err
		}
		if code := in[at]; code != fieldSignature {
			for len(out)%8 != 0 {
				out = append(out, 0)
			}
			out = append(out, in[at:end]...)
		}
		at = end
	}
	order.PutUint32(out[4:], 0)
	order.PutUint32(out[12:], uint32(len(out)-16))
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	return out, nil
}

const fieldSignature = 8

// fieldEnd returns where the header field that begins at a multiple of eight
// ends: a code, and a variant of s, o, g or u.
func fieldEnd(order binary.ByteOrder, in []byte, at int) (int, error) {
	if at+6 > len(in) || in[at+1] != 1 || in[at+3] != 0 {
		return 0, errHeader
	}
	end := 0
	switch in[at+2] {
	case 'g':
		end = at + 4 + 1 + int(in[at+4]) + 1
	case 's', 'o', 'u':
		if end = at + 8; end > len(in) {
			return 0, errHeader
		}
		if in[at+2] != 'u' {
			end += int(min(order.Uint32(in[at+4:]), maxFields)) + 1
		}
	}
	return end, bounds(end, len(in))
}

func bounds(end, length int) error {
	if end == 0 || end > length {
		return errHeader
	}
	return nil
}
