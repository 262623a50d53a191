package uciconf

// The value of a DHCP option in dnsmasq's words. It takes bytes as "0a:0b", but
// not for the options of its own table (src/dhcp-common.c): there it insists on
// addresses, or sends the text as it stands.

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The options that dnsmasq has a type for (2.85 to 2.91).
const (
	addressOptions = "\x01\x03\x06\x07\x09\x10\x15\x1c\x20\x21\x29\x2a\x2c\x2d\x30\x31\x32\x36\x41\x44\x45\x46\x47\x4a\x96"
	textOptions    = "\x0c\x0f\x11\x12\x28\x40\x42\x43\x64\x65"
	timeOptions    = "\x33\x3a\x3b"
	searchOption   = 119                                // domain names (RFC 3397)
	wideOptions    = "\x02\x0d\x16\x1a\x23\x26\x5d\x6c" // numbers of two and four bytes
)

func isOneOf(tag int, options string) bool { return strings.IndexByte(options, byte(tag)) >= 0 }

// longest is how long a value may be: dnsmasq reads lines of 1024 bytes, with what
// is before it.
const longest = 900

// OptionText writes bytes so that dnsmasq sends just these with the option. The
// text has no space, quote or backslash in it, so that it is good for a line of
// dnsmasq.conf as it is. The error says what dnsmasq cannot send.
func OptionText(tag uint8, b []byte) (string, error) {
	text, err := optionText(tag, b)
	if len(text) > longest {
		return "", fmt.Errorf("option %d: %d addresses are more than dnsmasq takes", tag, len(b)/4)
	}
	return text, err
}

func optionText(tag uint8, b []byte) (string, error) {
	switch t := int(tag); {
	case len(b) == 0:
		return "", nil
	case isOneOf(t, addressOptions):
		if len(b)%4 != 0 {
			return "", fmt.Errorf("option %d is addresses of 4 bytes each, not %d bytes", tag, len(b))
		}
		var words []string
		for quad := range slices.Chunk(b, 4) {
			words = append(words, netip.AddrFrom4([4]byte(quad)).String())
		}
		return strings.Join(words, ","), nil
	case isOneOf(t, textOptions):
		if bytes.ContainsFunc(b, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) || b[0] == escaped {
			return "", fmt.Errorf("option %d is a text; it has a space, a quote or what is not ASCII in it", tag)
		}
		return string(b), nil
	case t == searchOption:
		return searchText(b)
	case isOneOf(t, timeOptions):
		return "", fmt.Errorf("option %d is the server's own", tag)
	}
	return plainBytes(b), nil
}

// plainBytes writes bytes as numbers. One alone would not be seen to be
// hexadecimal, and without the letter be as long as dnsmasq has it in its table.
func plainBytes(b []byte) string {
	if len(b) == 1 {
		return strconv.Itoa(int(b[0])) + "b"
	}
	words := make([]string, len(b))
	for i := range b {
		words[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(words, ":")
}

// escaped begins the value of a row that is switched off and holds what dnsmasq
// could not send: the row may be on its way to another tag.
const escaped = '='

func escape(b []byte) string { return string(escaped) + hex.EncodeToString(b) }

// optionBytes is what dnsmasq sends for a value: bytes for "0a:0b", addresses,
// numbers, and else the text.
func optionBytes(tag int, value string) []byte {
	if digits, ok := strings.CutPrefix(value, string(escaped)); ok {
		if b, err := hex.DecodeString(digits); err == nil {
			return b
		}
	}
	switch {
	case value == "":
		return nil
	case isOneOf(tag, textOptions):
		return []byte(value)
	case tag == searchOption:
		if b, err := searchBytes(value); err == nil {
			return b
		}
	}
	if strings.Contains(value, ":") {
		if b, err := hex.DecodeString(strings.ReplaceAll(value, ":", "")); err == nil {
			return b
		}
	}
	if digits, ok := strings.CutSuffix(value, "b"); ok {
		if n, err := strconv.ParseUint(digits, 10, 8); err == nil {
			return []byte{byte(n)}
		}
	}
	var all []byte
	for _, word := range strings.Split(value, ",") {
		if a, err := netip.ParseAddr(word); err == nil {
			all = append(all, a.AsSlice()...)
			continue
		}
		n, err := strconv.ParseUint(word, 10, 32)
		switch {
		case err != nil:
			return []byte(value)
		case n > 0xffff:
			all = append(all, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		case n > 0xff:
			all = append(all, byte(n>>8), byte(n))
		default:
			all = append(all, byte(n))
		}
	}
	return all
}

var errSearch = errors.New("option 119 is domain names of letters, digits, - and _, here without compression (RFC 3397)")

// searchText takes the names of a search list apart. dnsmasq compresses them
// itself, so what is compressed could not be read back as it was written.
func searchText(b []byte) (string, error) {
	var names []string
	for rest := b; len(rest) > 0; {
		var labels []string
		for len(rest) > 0 && rest[0] != 0 {
			n := int(rest[0])
			if n > 63 || len(rest) < n+2 {
				return "", errSearch
			}
			labels = append(labels, string(rest[1:n+1]))
			rest = rest[n+1:]
		}
		if len(labels) == 0 {
			return "", errSearch
		}
		names, rest = append(names, strings.Join(labels, ".")), rest[1:]
	}
	text := strings.Join(names, ",")
	if back, err := searchBytes(text); err != nil || !bytes.Equal(back, b) {
		return "", errSearch
	}
	return text, nil
}

// searchBytes is a list of names as RFC 1035 §3.1 has them.
func searchBytes(text string) (b []byte, err error) {
	for _, name := range strings.Split(text, ",") {
		for _, label := range strings.Split(name, ".") {
			if len(label) == 0 || len(label) > 63 || label[0] == '-' || strings.Trim(label, labelLetters) != "" {
				return nil, errSearch
			}
			b = append(append(b, byte(len(label))), label...)
		}
		b = append(b, 0)
	}
	return b, nil
}

const labelLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
