// Package dhcpoption reads what a DHCP server says to devices managed by TR-069
// in its options for vendors: where the ACS is (TR-069 3.1) and which gateway
// gave the lease (TR-069 Annex F). It only takes the options apart: whether to
// believe them is for the caller.
//
// Whoever answers a DHCP request first fills these bytes, so everything is
// bounded by what was received, and what does not fit is an error, not a guess.
package dhcpoption

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// enterprise is the number of the Broadband Forum (ADSL Forum) at IANA.
const enterprise = 3561

// Told is what the options say; what they do not say is "". Values are as they
// came, but for the NUL bytes that some servers end them with.
type Told struct {
	URL              string // of the ACS
	ProvisioningCode string
	RetryMinimum     string // CWMPRetryMinimumWaitInterval, decimal
	RetryMultiplier  string // CWMPRetryIntervalMultiplier, decimal

	Gateway Gateway
}

// A Gateway is who the device that gave the lease says it is (TR-069 F.3).
type Gateway struct{ OUI, SerialNumber, ProductClass string }

// A Lease holds the three options as they came, without code and length; nil:
// the server did not send it.
type Lease struct {
	Vendor      []byte // DHCP option 43
	Identified  []byte // DHCP option 125
	Identified6 []byte // DHCPv6 option 17
}

// Read takes the options of one lease apart. Of 43, 125 and 17 the first that
// names an ACS counts, whole: TR-069 3.1 prefers 43 for who asked for both. One
// that does not, as what a server says to another vendor's devices in option 43,
// stands back for one that does. The error names each option that is damaged;
// what the others say is returned beside it.
func (l Lease) Read() (t Told, err error) {
	var wrong []string
	for _, o := range []struct {
		name string
		read func([]byte) (Told, error)
		data []byte
	}{{"option 43", readVendor, l.Vendor}, {"option 125", readIdentified, l.Identified}, {"DHCPv6 option 17", readIdentified6, l.Identified6}} {
		told, err := o.read(o.data)
		if err != nil {
			wrong = append(wrong, o.name+" "+err.Error())
		}
		gateway := cmp.Or(t.Gateway, told.Gateway)
		t.Gateway, told.Gateway = Gateway{}, Gateway{}
		if t == (Told{}) || !isURL(t.URL) && isURL(told.URL) {
			t = told
		}
		t.Gateway = gateway
	}
	if len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, "; "))
	}
	return t, err
}

// readVendor reads option 43: sub-options or, from servers that know nothing of
// these, the bare URL.
func readVendor(b []byte) (t Told, err error) {
	if isURL(string(b)) {
		return Told{URL: text(b)}, nil
	}
	err = each(b, 1, func(code uint16, v []byte) { t.acs(code, v) })
	return t, err
}

// readIdentified reads option 125 (RFC 3925): for each enterprise a number, a
// length and sub-options. What ours has in several parts is read as one.
func readIdentified(b []byte) (t Told, err error) {
	for len(b) > 0 {
		if len(b) < 5 || len(b) < 5+int(b[4]) {
			return t, errors.New("ends within the part of an enterprise")
		}
		part := b[5 : 5+int(b[4])]
		if binary.BigEndian.Uint32(b) == enterprise {
			if err := t.identified(part); err != nil {
				return t, err
			}
		}
		b = b[5+int(b[4]):]
	}
	return t, nil
}

// identified reads the sub-options of option 125. Those of the ACS are 11 to 14,
// because 1 to 6 are of Annex F; some servers use 1 to 4 as in option 43, which
// shows in the first being a URL.
func (t *Told) identified(b []byte) error {
	low, high := Told{}, *t
	err := each(b, 1, func(code uint16, v []byte) {
		low.acs(code, v)
		high.acs(code-10, v)
		high.gateway(code-3, v)
	})
	if isURL(low.URL) && high.URL == "" {
		high = low // which leaves no room for a gateway
	}
	*t = high
	return err
}

// readIdentified6 reads DHCPv6 option 17 (RFC 8415 21.17): one enterprise.
func readIdentified6(b []byte) (t Told, err error) {
	switch {
	case len(b) == 0:
		return t, nil
	case len(b) < 4:
		return t, errors.New("ends within the number of the enterprise")
	case binary.BigEndian.Uint32(b) != enterprise:
		return t, nil
	}
	err = each(b[4:], 2, func(code uint16, v []byte) {
		t.acs(code, v)
		t.gateway(code-13, v)
	})
	return t, err
}

// acs takes a sub-option by its number in option 43. The first of a kind counts.
func (t *Told) acs(code uint16, v []byte) {
	once(v, code-1, &t.URL, &t.ProvisioningCode, &t.RetryMinimum, &t.RetryMultiplier)
}

// gateway takes a sub-option of Annex F, numbered from 1.
func (t *Told) gateway(code uint16, v []byte) {
	once(v, code-1, &t.Gateway.OUI, &t.Gateway.SerialNumber, &t.Gateway.ProductClass)
}

func once(v []byte, i uint16, fields ...*string) {
	if int(i) < len(fields) && *fields[i] == "" {
		*fields[i] = text(v)
	}
}

// each goes through sub-options: code and length, of width bytes each, and the
// value. In those of one byte 0 is filling and 255 the end (RFC 2132 8.4).
func each(b []byte, width int, f func(code uint16, v []byte)) error {
	number := func(b []byte) uint16 {
		if width == 1 {
			return uint16(b[0])
		}
		return binary.BigEndian.Uint16(b)
	}
	for len(b) > 0 {
		if width == 1 && b[0] == 0 {
			b = b[1:]
			continue
		}
		if width == 1 && b[0] == 255 {
			return nil
		}
		if len(b) < 2*width {
			return errors.New("ends within a sub-option")
		}
		code, n := number(b), int(number(b[width:]))
		if b = b[2*width:]; n > len(b) {
			return fmt.Errorf("ends within sub-option %d, which has %d bytes", code, n)
		}
		f(code, b[:n])
		b = b[n:]
	}
	return nil
}

// isURL tells a URL from a list of sub-options: "h" as a code would be followed
// by a length of 116.
func isURL(s string) bool {
	s = strings.ToLower(s[:min(len(s), 8)])
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// text is a value without what C programs end it with.
func text(b []byte) string { return strings.TrimRight(string(b), "\x00") }
