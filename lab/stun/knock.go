// UDP connection requests, in the manners of those who send them.

package stun

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Manner is whose request it is.
type Manner int

const (
	// GenieACS: seconds, no path, a Host field, nothing escaped, lower case.
	GenieACS Manner = iota
	// FreeACS: milliseconds, the path "/", no Host field, upper case, a
	// negative number as cn.
	FreeACS
	// Standard: as the example of TR-069 G.2.2, escaped as a form.
	Standard
	// Relative: as Standard, with nothing before the question mark.
	Relative
)

// A Knock is a UDP connection request.
type Knock struct {
	Manner             Manner
	At                 time.Time
	ID                 uint32
	CN                 string // "": made of the id
	Username, Password string
	To                 netip.AddrPort // as the ACS knows it
}

// Datagram is the request as it goes out.
func (k Knock) Datagram() []byte {
	ts, id, cn := strconv.FormatInt(k.At.Unix(), 10), strconv.FormatUint(uint64(k.ID), 10), k.CN
	if cn == "" {
		cn = fmt.Sprintf("%016x", uint64(k.ID)*0x9E3779B97F4A7C15)
	}
	un, path, host := k.Username, "", ""
	switch k.Manner {
	case GenieACS:
		host = fmt.Sprintf("Host: %s\r\n", k.To)
	case FreeACS:
		ts, path = strconv.FormatInt(k.At.UnixMilli(), 10), "/"
		if k.CN == "" {
			cn = "-" + strconv.FormatUint(uint64(k.ID)*7919, 10)
		}
	}
	mac := hmac.New(sha1.New, []byte(k.Password))
	mac.Write([]byte(ts + id + un + cn))
	sig := hex.EncodeToString(mac.Sum(nil))
	if k.Manner == Standard || k.Manner == Relative {
		un, cn = url.QueryEscape(un), url.QueryEscape(cn)
	}
	if k.Manner == FreeACS {
		sig = strings.ToUpper(sig)
	}
	target := "http://" + k.To.String() + path
	if k.Manner == Relative {
		target = ""
	}
	return fmt.Appendf(nil, "GET %s?ts=%s&id=%s&un=%s&cn=%s&sig=%s HTTP/1.1\r\n%s\r\n", target, ts, id, un, cn, sig, host)
}
