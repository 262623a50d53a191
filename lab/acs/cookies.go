package acs

import (
	"net/http"
	"strings"
)

// setCookies sends the Set-Cookie headers with the session's token filled in.
func setCookies(w http.ResponseWriter, templates []string, id string) {
	for _, t := range templates {
		w.Header().Add("Set-Cookie", strings.ReplaceAll(t, "{id}", id))
	}
}

// cookiesOf are the name=value pairs that must come back for those headers.
func cookiesOf(templates []string, id string) map[string]string {
	all := map[string]string{}
	for _, t := range templates {
		pair, _, _ := strings.Cut(strings.ReplaceAll(t, "{id}", id), ";")
		name, value, ok := strings.Cut(pair, "=")
		if ok {
			all[strings.TrimSpace(name)] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return all
}

// sentCookies are the cookies of a request. `$Version` and the like belong to
// RFC 2109's syntax and name no cookie.
func sentCookies(r *http.Request) map[string]string {
	all := map[string]string{}
	for _, line := range r.Header["Cookie"] {
		for _, pair := range strings.FieldsFunc(line, func(c rune) bool { return c == ';' || c == ',' }) {
			name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if ok && !strings.HasPrefix(name, "$") {
				all[name] = strings.Trim(value, `"`)
			}
		}
	}
	return all
}

// earlyCookie tells whether these cookies are the ones set with a 401 on this
// connection.
func (p *post) earlyCookie(cookies map[string]string) bool {
	if p.sock.cookie == "" {
		return false
	}
	for name, value := range cookiesOf(p.s.o.SetCookie, p.sock.cookie) {
		if cookies[name] != value {
			return false
		}
	}
	return true
}
