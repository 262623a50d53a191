package settings

// Values: what each kind of setting accepts, and its canonical text. The
// canonical text is also the canonical text of the data model's type.

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// kind is a sort of value.
type kind uint8

const (
	text      kind = iota // up to max characters
	boolean               // "true", "false"; a file may say on, yes, enabled…
	number                // min to max
	dateTime              // ISO 8601, UTC
	choice                // one of enum, in its spelling; case does not count
	list                  // comma-separated
	oui                   // 6 hexadecimal digits
	acsURL                // http or https
	proxyURL              // http
	urlPath               // "/…", without query
	filePath              // absolute
	ifname                // name of a network interface
	logLevel              // debug, info, warn, error; icwmpd's severities
	rules                 // "WHO RIGHTS [PATH]", several with semicolons between them
	transport             // "MATCH [response=S] [idle=S] [keepalive=on|off]", several with semicolons between them
	localAddr             // unix:/path, or a loopback address with its port
)

// limits says in words what canonical accepts.
func (s *setting) limits() string {
	switch s.kind {
	case text, list:
		return fmt.Sprintf("up to %d characters", s.max)
	case boolean:
		return "0 or 1"
	case number:
		return fmt.Sprintf("%d to %d", s.min, s.max)
	case dateTime:
		return "a time like 2026-01-31T03:00:00Z"
	case choice:
		return "one of " + strings.Join(s.enum, ", ")
	case oui:
		return "6 hexadecimal digits"
	case acsURL:
		return "https://host/path; http:// with allow_http"
	case proxyURL:
		return "http://host:port"
	case urlPath:
		return "a path of letters, digits and - _ . ~ /"
	case filePath:
		return "an absolute path"
	case ifname:
		return "up to 15 characters"
	case logLevel:
		return "one of debug, info, warn, error"
	case rules:
		return "WHO RIGHTS [PATH]: see dbus.md"
	case transport:
		return "MATCH response=S idle=S keepalive=on: see provider.md"
	case localAddr:
		return "unix:/path, 127.0.0.1:port or [::1]:port"
	}
	return ""
}

// canonical checks a value and returns the text that stands for it.
func (s *setting) canonical(v string) (string, error) {
	if !utf8.ValidString(v) {
		return "", errors.New("is not UTF-8")
	}
	if s.kind != text {
		v = strings.TrimSpace(v)
	}
	if s.max > 0 && s.kind != number && int64(utf8.RuneCountInString(v)) > s.max {
		return "", fmt.Errorf("is longer than %d characters", s.max)
	}
	switch s.kind {
	case text:
		return v, nil
	case boolean:
		return canonicalBool(v)
	case number:
		return s.canonicalNumber(v)
	case dateTime:
		return canonicalTime(v)
	case choice:
		for _, e := range s.enum {
			if strings.EqualFold(v, e) {
				return e, nil
			}
		}
		return "", fmt.Errorf("is not %s", s.limits())
	case list:
		return canonicalList(v), nil
	case logLevel:
		return canonicalLevel(v)
	case rules:
		return canonicalRules(v)
	case transport:
		return canonicalTransport(v)
	case oui:
		v = strings.ToUpper(v) // as TR-069 A.3.3.1 wants it
	}
	return v, s.checkShape(v)
}

// checkShape checks the kinds whose text is taken as it is. Empty means unset
// for all of them.
func (s *setting) checkShape(v string) error {
	ok := true
	switch {
	case v == "":
	case s.kind == oui:
		ok = len(v) == 6 && strings.Trim(v, "0123456789ABCDEF") == ""
	case s.kind == acsURL:
		return checkURL(v, "http", "https")
	case s.kind == proxyURL:
		return checkURL(v, "http")
	case s.kind == urlPath:
		ok = v[0] == '/' && !strings.ContainsFunc(v, func(r rune) bool {
			return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("-_.~/", r))
		})
	case s.kind == filePath:
		ok = filepath.IsAbs(v)
	case s.kind == localAddr:
		ok = isLocalAddr(v)
	case s.kind == ifname:
		ok = len(v) < 16 && !strings.ContainsAny(v, "/ \t") && v != "." && v != ".."
	}
	if !ok {
		return fmt.Errorf("is not %s", s.limits())
	}
	return nil
}

// isLocalAddr reports whether v is a place that only this machine can reach.
func isLocalAddr(v string) bool {
	if path, unix := strings.CutPrefix(v, "unix:"); unix {
		return filepath.IsAbs(path) && filepath.Clean(path) == path && path != "/"
	}
	ap, err := netip.ParseAddrPort(v)
	return err == nil && ap.Addr().IsLoopback() && ap.Port() != 0
}

func canonicalBool(v string) (string, error) {
	switch strings.ToLower(v) { // as config_get_bool of OpenWrt's scripts
	case "1", "true", "on", "yes", "enable", "enabled":
		return "true", nil
	case "0", "false", "off", "no", "disable", "disabled":
		return "false", nil
	}
	return "", errors.New("is neither 0 nor 1")
}

func (s *setting) canonicalNumber(v string) (string, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < s.min || n > s.max {
		return "", fmt.Errorf("is not a number from %d to %d", s.min, s.max)
	}
	return strconv.FormatInt(n, 10), nil
}

func canonicalTime(v string) (string, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, v); err == nil {
			t = t.UTC().Truncate(time.Microsecond)
			return t.Format("2006-01-02T15:04:05.999999Z"), nil
		}
	}
	return "", errors.New("is not a time like 2026-01-31T03:00:00Z")
}

func canonicalList(v string) string {
	items := strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
	return strings.Join(items, ",")
}

// canonicalRules checks the shape of rules; what they say is for those who know
// users and rights.
func canonicalRules(v string) (string, error) {
	var all []string
	for rule := range strings.SplitSeq(v, ";") {
		f := strings.Fields(rule)
		if len(f) == 0 {
			continue
		}
		if len(f) < 2 || len(f) > 3 || len(f) == 3 && !strings.HasPrefix(f[2], "Device.") {
			return "", fmt.Errorf("is not a user or @group, rights, and a path below Device.: %q", rule)
		}
		all = append(all, strings.Join(f, " "))
	}
	return strings.Join(all, ";"), nil
}

func canonicalLevel(v string) (string, error) {
	for level, names := range map[string][]string{
		"debug": {"debug"},
		"info":  {"info", "notice"},
		"warn":  {"warn", "warning"},
		"error": {"error", "err", "critic", "crit", "alert", "emerg"},
	} {
		if slices.Contains(names, strings.ToLower(v)) {
			return level, nil
		}
	}
	return "", errors.New("is not one of debug, info, warn, error")
}

func checkURL(v string, schemes ...string) error {
	u, err := url.Parse(v)
	if err != nil {
		return errors.New("is not a URL") // the parser's own words would repeat the text, a password included
	}
	switch {
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("does not begin with %s://", strings.Join(schemes, ":// or "))
	case u.Hostname() == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("contains a user name; there are options of their own for user and password")
	case u.Fragment != "":
		return errors.New("has a #fragment")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has a port out of range")
		}
	}
	return nil
}

// plainHTTP says whether a URL is http://, and whether its host is a loopback
// address. A name is not: whoever answers for it could be anywhere.
func plainHTTP(v string) (plain, loopback bool) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" {
		return false, false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return true, err == nil && addr.Unmap().IsLoopback()
}
