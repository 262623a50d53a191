package cwmp

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestCookies is the zoo of cookies; each case is the Set-Cookie lines of some
// replies, and the Cookie header wanted at a URL after them.
func TestCookies(t *testing.T) {
	long := strings.Repeat("v", 2000)
	tests := map[string]struct {
		set  []string
		url  string // default http://acs.example.net/acs/in
		want string
	}{
		"without_path_genieacs_79":  {[]string{"session=abc"}, "", "session=abc"},
		"root_path":                 {[]string{"session=abc; Path=/"}, "", "session=abc"},
		"same_path":                 {[]string{"a=1; path=/acs/in"}, "", "a=1"},
		"prefix_path":               {[]string{"a=1; path=/acs"}, "", "a=1"},
		"other_path_goes_along":     {[]string{"a=1; Path=/login"}, "", "a=1"},
		"better_path_wins":          {[]string{"a=1; Path=/login", "a=2; Path=/acs"}, "", "a=2"},
		"longer_path_first":         {[]string{"a=1; Path=/", "b=1", "a=2; Path=/acs"}, "", "a=2; a=1; b=1"},
		"two":                       {[]string{"a=1", "b=2"}, "", "a=1; b=2"},
		"replaced":                  {[]string{"a=1", "b=2", "a=3"}, "", "a=3; b=2"},
		"odd_case_attributes":       {[]string{"a=1; PATH=/acs; hTTPonly; SECURE; Version=1; SameSite=Strict"}, "", "a=1"},
		"quoted_value_as_sent":      {[]string{`a="1 2"; Version="1"; Path="/acs"`}, "", `a="1 2"`},
		"value_with_equals":         {[]string{"a=b=c=="}, "", "a=b=c=="},
		"empty_value":               {[]string{"a="}, "", "a="},
		"two_thousand_bytes":        {[]string{"a=" + long}, "", "a=" + long},
		"deleted_by_max_age":        {[]string{"a=1", "a=; Max-Age=0"}, "", ""},
		"deleted_by_expires":        {[]string{"a=1", "a=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, "", ""},
		"expires_in_past_of_theirs": {[]string{"a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT"}, "", "a=1"},
		"other_host":                {[]string{"a=1"}, "http://other.example.net/acs", ""},
		"other_port":                {[]string{"a=1"}, "http://acs.example.net:8080/", "a=1"},
		"host_in_capitals":          {[]string{"a=1"}, "http://ACS.Example.net/", "a=1"},
		"domain_is_not_believed":    {[]string{"a=1; Domain=example.net"}, "http://other.example.net/", ""},
		"no_name":                   {[]string{"=1", "novalue", ""}, "", ""},
		"control_bytes":             {[]string{"a=1\x01", "b\x00=1", "c=1"}, "", "c=1"},
		"too_long":                  {[]string{"a=" + strings.Repeat("x", 5000), "b=1"}, "", "b=1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var j jar
			j.store("acs.example.net", http.Header{"Set-Cookie": tt.set})
			if tt.url == "" {
				tt.url = "http://acs.example.net/acs/in"
			}
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			if got := j.header(u); got != tt.want {
				t.Errorf("Cookie: %s\nwant    %s", got, tt.want)
			}
		})
	}
}

func TestJarIsBounded(t *testing.T) {
	var j jar
	for i := range 1000 {
		j.store("h", http.Header{"Set-Cookie": {fmt.Sprintf("n%d=%s", i, strings.Repeat("x", 1000))}})
	}
	if len(j.list) > maxCookies || j.bytes() > maxJarBytes || j.list[len(j.list)-1].name != "n999" {
		t.Errorf("%d cookies of %d bytes", len(j.list), j.bytes())
	}
}

// TestJarDiesWithTheSession: a new session starts without cookies (genieacs
// ca83704), without credentials, and at the configured URL.
func TestJarDiesWithTheSession(t *testing.T) {
	first := func(w http.ResponseWriter, p post) {
		w.Header().Set("Set-Cookie", "session=old")
		w.Header().Set("Location", "/moved")
		w.WriteHeader(307)
	}
	a, srv := newACS(t, first, status(401, "WWW-Authenticate", digestN1), informed, noContent, informed, noContent)
	for range 2 {
		s, _, _ := testSession(srv.URL + "/acs")
		if _, err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p := a.seen()[4]
	if p.header.Get("Cookie") != "" || p.header.Get("Authorization") != "" || p.path != "/acs" {
		t.Errorf("second session begins with %+v", p)
	}
}
