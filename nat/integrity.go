// MESSAGE-INTEGRITY over raw bytes, in the three ways of the field.

package nat

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
)

// A flavour is a way of computing MESSAGE-INTEGRITY. All are HMAC-SHA1 with
// the password's bytes as key; they disagree about the length that stands in
// the header meanwhile and about padding (nat.md 5).
type flavour uint8

const (
	unsigned flavour = iota
	rfc3489          // final length, zero bytes up to a multiple of 64: RFC 3489 11.2.8
	variant          // length without the attribute, zero bytes up to a multiple of 64
	rfc5389          // final length, no padding: RFC 5389 15.4, short-term credentials
	flavours         // how many there are
)

// integrityLen is the size of the attribute: header and HMAC.
const integrityLen = 4 + sha1.Size

// integrity computes the HMAC for a message that ends just before the
// attribute. Whatever length its header has does not count.
func (f flavour) integrity(key Secret, message []byte) [sha1.Size]byte {
	length := len(message) - headerLen
	if f != variant {
		length += integrityLen
	}
	var header [headerLen]byte
	copy(header[:], message)
	binary.BigEndian.PutUint16(header[2:], uint16(length))

	mac := hmac.New(sha1.New, []byte(key))
	mac.Write(header[:])
	mac.Write(message[headerLen:])
	if f != rfc5389 {
		var zero [64]byte
		mac.Write(zero[:(64-len(message)%64)%64])
	}
	return [sha1.Size]byte(mac.Sum(nil))
}

// verified tells whether the value is right for the message before it, in any
// flavour: servers sign as they like.
func verified(key Secret, message, value []byte) bool {
	for f := rfc3489; f < flavours; f++ {
		want := f.integrity(key, message)
		if hmac.Equal(want[:], value) {
			return true
		}
	}
	return false
}
