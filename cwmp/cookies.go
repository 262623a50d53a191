package cwmp

// This file keeps the cookies of a session as ACSes expect it: more tolerant
// than a browser, bounded, never beyond the host that set them, and gone with
// the session (TR-069 3.4.2).

import (
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Bounds of a jar. TR-069 3.4.2 asks for 512 bytes at least.
const (
	maxCookies     = 40
	maxCookieBytes = 4096 // of one, name and value
	maxJarBytes    = 16 << 10
)

// A jar holds the cookies of one session. The zero value is empty.
type jar struct{ list []cookie }

// A cookie belongs to the host that set it, whatever its Domain says. Path is
// "/" when the server named none: many mean the whole site then.
type cookie struct{ host, path, name, value string }

// store takes the Set-Cookie headers of a response of any status.
func (j *jar) store(host string, h http.Header) {
	for _, line := range h["Set-Cookie"] {
		c, expired, ok := parseCookie(line)
		if !ok {
			continue
		}
		c.host = strings.ToLower(host)
		at := -1
		for i := range j.list {
			if o := &j.list[i]; o.host == c.host && o.name == c.name && o.path == c.path {
				at = i
			}
		}
		switch {
		case expired && at >= 0:
			j.list = append(j.list[:at], j.list[at+1:]...)
		case expired:
		case at >= 0:
			j.list[at] = c
		default:
			j.list = append(j.list, c)
		}
		for len(j.list) > maxCookies || j.bytes() > maxJarBytes {
			j.list = j.list[1:]
		}
	}
}

func (j *jar) bytes() (n int) {
	for i := range j.list {
		n += len(j.list[i].name) + len(j.list[i].value)
	}
	return n
}

// parseCookie reads one Set-Cookie. The value is kept as sent, quotes and all
// (RFC 2109 servers want them back).
func parseCookie(line string) (c cookie, expired, ok bool) {
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, found := strings.Cut(pair, "=")
	c = cookie{name: strings.TrimSpace(name), value: strings.TrimSpace(value), path: "/"}
	if !found || c.name == "" || len(c.name)+len(c.value) > maxCookieBytes ||
		strings.ContainsFunc(c.name+c.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return c, false, false
	}
	for a := range strings.SplitSeq(attributes, ";") {
		key, v, _ := strings.Cut(a, "=")
		v = strings.Trim(strings.TrimSpace(v), `"`)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "path":
			if strings.HasPrefix(v, "/") {
				c.path = v
			}
		case "max-age":
			n, err := strconv.Atoi(v)
			expired = expired || err == nil && n <= 0
		case "expires":
			// Our clock may not be set: only the usual "long ago" counts.
			t, err := http.ParseTime(v)
			expired = expired || err == nil && t.Year() <= 1970
		}
	}
	return c, expired, true
}

// header returns the Cookie header for a URL. A cookie whose path does not
// match goes along too, unless one of the same name does match: an ACS that
// loses its session is worse than one that gets a cookie too many. Longer paths
// come first (RFC 6265 5.4): of two with one name, servers read the first.
func (j *jar) header(u *url.URL) string {
	host, path := strings.ToLower(u.Hostname()), u.EscapedPath()
	if path == "" {
		path = "/"
	}
	list := slices.Clone(j.list)
	sort.SliceStable(list, func(i, j int) bool { return len(list[i].path) > len(list[j].path) })
	var parts []string
	for i := range list {
		c := &list[i]
		if c.host == host && (pathMatch(path, c.path) || !j.better(host, path, c.name)) {
			parts = append(parts, c.name+"="+c.value)
		}
	}
	return strings.Join(parts, "; ")
}

func (j *jar) better(host, path, name string) bool {
	for i := range j.list {
		if c := &j.list[i]; c.host == host && c.name == name && pathMatch(path, c.path) {
			return true
		}
	}
	return false
}

// pathMatch is that of RFC 6265 5.1.4.
func pathMatch(path, cookie string) bool {
	rest, ok := strings.CutPrefix(path, cookie)
	return ok && (rest == "" || strings.HasSuffix(cookie, "/") || rest[0] == '/')
}
