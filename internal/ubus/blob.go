// Package ubus speaks the wire protocol of ubus, OpenWrt's bus: it calls the
// objects of others, publishes its own, hears events and notifications, and
// keeps the connection to the daemon without polling.
//
// Nothing here trusts a length that it reads: a message, the depth and the
// number of the values in it, what is under way and what waits are bounded.
package ubus

// The outer encoding, of libubox' blob.h: attributes of an id and a payload,
// padded to four bytes. All numbers are big endian.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// errBlob is behind every complaint about bytes that are no message.
var errBlob = errors.New("malformed")

const (
	attrHeader   = 4
	extended     = 1 << 31
	maxAttribute = 1<<24 - 1 // bytes, with the header
)

func padded(n int) int { return (n + 3) &^ 3 }

// openAttr begins an attribute; closeAttr ends the one that began at start.
func openAttr(b []byte, id byte, ext bool) (_ []byte, start int) {
	head := uint32(id) << 24
	if ext {
		head |= extended
	}
	return binary.BigEndian.AppendUint32(b, head), len(b)
}

func closeAttr(b []byte, start int) []byte {
	// A length beyond 24 bits would spoil the id: whoever sends checks the
	// whole message, which must be far below.
	head := binary.BigEndian.Uint32(b[start:]) | uint32(min(len(b)-start, maxAttribute))
	binary.BigEndian.PutUint32(b[start:], head)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendNumber(b []byte, id byte, v uint32) []byte {
	b, start := openAttr(b, id, false)
	return closeAttr(binary.BigEndian.AppendUint32(b, v), start)
}

func appendText(b []byte, id byte, s string) []byte {
	b, start := openAttr(b, id, false)
	return closeAttr(append(append(b, s...), 0), start)
}

func appendTableAttr(b []byte, id byte, t Table) []byte {
	b, start := openAttr(b, id, false)
	return closeAttr(appendTable(b, t), start)
}

// An attr is one attribute of a message, which it shares the bytes of.
type attr struct {
	id   byte
	ext  bool
	data []byte
}

// nextAttr takes the first attribute off b.
func nextAttr(b []byte) (a attr, rest []byte, err error) {
	if len(b) < attrHeader {
		return a, nil, fmt.Errorf("%w: %d bytes are left where an attribute should be", errBlob, len(b))
	}
	head := binary.BigEndian.Uint32(b)
	n := int(head & maxAttribute)
	if n < attrHeader || padded(n) > len(b) {
		return a, nil, fmt.Errorf("%w: an attribute of %d bytes, where %d are left", errBlob, n, len(b))
	}
	return attr{id: byte(head >> 24 & 0x7f), ext: head&extended != 0, data: b[attrHeader:n]}, b[padded(n):], nil
}

// text is a string that ends at its first NUL, as every C program reads it.
func text(data []byte) (string, bool) {
	if len(data) == 0 || data[len(data)-1] != 0 {
		return "", false
	}
	return string(data[:bytes.IndexByte(data, 0)]), true
}
