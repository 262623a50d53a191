//go:build !no_linuxconf

// What DHCP servers have answered, from the files in which the clients of a
// plain Linux keep their leases: systemd-networkd, dhclient, dhcpcd. Of an
// OpenWrt the hook's files tell.

package linux

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/platform"
)

// watchAnswers has the lease files watched.
func (w *fileWatch) watchAnswers() {
	dirs := []string{w.paths.networkdLeases, w.paths.dhcpcdLeases, w.paths.dhcpAnswers}
	for _, pattern := range w.paths.dhclientLeases {
		dirs = append(dirs, filepath.Dir(pattern))
	}
	for _, dir := range dirs {
		w.watch(filepath.Join(dir, anyFile), platform.DHCPAnswered)
	}
}

func (c dhcpClient) clientAnswers(ctx context.Context) (all []platform.DHCPAnswer, err error) {
	var names map[int32]string // of links
	networkd := func(index string, text []byte) {
		n, err := strconv.ParseInt(index, 10, 32)
		if err != nil {
			return
		}
		if names == nil {
			names, _ = c.b.linkNames(ctx) // nil: no link has that number
		}
		// networkd keeps option 43 where RequestOptions= of the .network file has
		// it, and of the others only those for private use (systemd 252).
		if link := names[int32(n)]; link != "" {
			all = append(all, platform.DHCPAnswer{Link: link, Vendor: unhex(parseAssignments(text)["VENDOR_SPECIFIC"])})
		}
	}
	if err := eachFile(c.b.paths.networkdLeases, networkd); err != nil {
		return nil, err
	}
	for _, name := range expand(c.b.paths.dhclientLeases) {
		if text, err := readFile(name, fileLimit); err == nil {
			all = append(all, dhclientAnswers(text, time.Now())...)
		}
	}
	err = eachFile(c.b.paths.dhcpcdLeases, func(name string, text []byte) {
		if link, ok := strings.CutSuffix(name, ".lease"); ok {
			all = append(all, dhcpMessage(link, text))
		} else if link, ok := strings.CutSuffix(name, ".lease6"); ok {
			all = append(all, dhcpv6Message(link, text))
		}
	})
	return all, err
}

// dhclientAnswers reads dhclient.leases(5). The file is a log that outlives the
// network: the last lease of an interface counts, as long as it lasts.
func dhclientAnswers(b []byte, at time.Time) (all []platform.DHCPAnswer) {
	var now platform.DHCPAnswer
	over := false
	for l := range strings.Lines(string(b)) {
		l = strings.TrimSpace(l)
		word, rest, _ := strings.Cut(strings.TrimSuffix(l, ";"), " ")
		switch word {
		case "lease", "lease6":
			now, over = platform.DHCPAnswer{}, false
		case "expire": // "4 2026/01/01 12:00:00", in UTC; or never
			_, rest, _ = strings.Cut(rest, " ")
			ends, err := time.Parse("2006/01/02 15:04:05", rest)
			over = err == nil && ends.Before(at)
		case "interface":
			now.Link = strings.Trim(rest, `"`)
		case "option":
			switch name, v, _ := strings.Cut(rest, " "); name {
			case "vendor-encapsulated-options":
				now.Vendor = dhclientValue(v)
			case "vivso", "unknown-125":
				now.Identified = dhclientValue(v)
			}
		case "}":
			if over {
				now.Vendor, now.Identified = nil, nil
			}
			known := false
			for i := range all {
				if all[i].Link == now.Link {
					all[i], known = now, true
				}
			}
			if !known && now.Link != "" && len(all) < maxAnswers {
				all = append(all, now)
			}
		}
	}
	return all
}

// dhclientValue reads a quoted text, or bytes in hexadecimal with colons between
// them: dhclient writes what it can as a text.
func dhclientValue(s string) []byte {
	if text, quoted := strings.CutPrefix(s, `"`); quoted {
		return dhclientText(text)
	}
	var b []byte
	for digits := range strings.SplitSeq(s, ":") {
		n, err := strconv.ParseUint(digits, 16, 8)
		if err != nil {
			return nil
		}
		b = append(b, byte(n))
	}
	return b
}

// dhclientText reads a text up to its closing quote; nil: there is none. A
// backslash comes before three octal digits of a byte, or before what a shell
// would heed: quotes, $, &, |.
func dhclientText(s string) (b []byte) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b
		case s[i] != '\\':
			b = append(b, s[i])
		case i+3 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b = append(b, byte(n))
				i += 3
				continue
			}
			fallthrough
		case i+1 < len(s):
			i++
			b = append(b, s[i])
		}
	}
	return nil
}

// dhcpMessage reads the DHCP message that dhcpcd keeps (RFC 2131 2): 236 bytes,
// a magic number, options. One that comes several times is one, in parts (RFC
// 3396).
func dhcpMessage(link string, b []byte) platform.DHCPAnswer {
	a := platform.DHCPAnswer{Link: link}
	if len(b) < 240 || string(b[236:240]) != "\x63\x82\x53\x63" {
		return a
	}
	for b = b[240:]; len(b) > 0 && b[0] != 255; {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			break
		}
		switch v := b[2 : 2+int(b[1])]; b[0] {
		case 43:
			a.Vendor = append(a.Vendor, v...)
		case 125:
			a.Identified = append(a.Identified, v...)
		}
		b = b[2+int(b[1]):]
	}
	return a
}

// dhcpv6Message reads the DHCPv6 message that dhcpcd keeps (RFC 8415 8): four
// bytes, options. One option 17 is one enterprise: that of the Broadband Forum
// is told, if it is there.
func dhcpv6Message(link string, b []byte) platform.DHCPAnswer {
	a := platform.DHCPAnswer{Link: link}
	for b = b[min(4, len(b)):]; len(b) >= 4; {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			break
		}
		if v := b[4 : 4+n]; binary.BigEndian.Uint16(b) == 17 && (a.Identified6 == nil || strings.HasPrefix(string(v), "\x00\x00\x0d\xe9")) {
			a.Identified6 = v
		}
		b = b[4+n:]
	}
	return a
}
