package connreq

import (
	"errors"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	many := strings.Repeat("A: b\r\n", maxFields+1)
	tests := map[string]struct {
		head   string
		want   request
		status int
	}{
		"plain":             {head: "GET /cr HTTP/1.1\r\nHost: x\r\n\r\n", want: request{method: "GET", target: "/cr"}},
		"line feeds":        {head: "\r\n\nGET /cr?a=1&b=2 HTTP/1.1\nHost: x\n\n", want: request{method: "GET", target: "/cr?a=1&b=2"}},
		"authorization":     {head: "GET / HTTP/1.1\r\nAUTHORIZATION: \t Digest a=\"b\" \r\n\r\n", want: request{method: "GET", target: "/", authorization: `Digest a="b"`}},
		"no fields":         {head: "GET / HTTP/1.1\r\n\r\n", want: request{method: "GET", target: "/"}},
		"close":             {head: "GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n", want: request{method: "GET", target: "/", close: true}},
		"1.0":               {head: "GET / HTTP/1.0\r\n\r\n", want: request{method: "GET", target: "/", close: true}},
		"length 0":          {head: "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", want: request{method: "GET", target: "/"}},
		"length":            {head: "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n", want: request{method: "POST", target: "/", body: true}},
		"odd length":        {head: "GET / HTTP/1.1\r\nContent-Length: -\r\n\r\n", want: request{method: "GET", target: "/", body: true}},
		"chunked":           {head: "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", want: request{method: "GET", target: "/", body: true}},
		"empty value":       {head: "GET / HTTP/1.1\r\nA:\r\n\r\n", want: request{method: "GET", target: "/"}},
		"0.9":               {head: "GET /\r\n\r\n", status: 400},
		"2.0":               {head: "GET / HTTP/2.0\r\n\r\n", status: 505},
		"no version":        {head: "GET / HTTP/\r\n\r\n", status: 400},
		"blank in target":   {head: "GET /a b HTTP/1.1\r\n\r\n", status: 400},
		"control character": {head: "GET /\x01 HTTP/1.1\r\n\r\n", status: 400},
		"blank before :":    {head: "GET / HTTP/1.1\r\nHost : x\r\n\r\n", status: 400},
		"folded":            {head: "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", status: 400},
		"no colon":          {head: "GET / HTTP/1.1\r\nrubbish\r\n\r\n", status: 400},
		"NUL in a value":    {head: "GET / HTTP/1.1\r\nCookie: C107373883=\x00\r\n\r\n", status: 400},
		"return in a value": {head: "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", status: 400},
		"two credentials":   {head: "GET / HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", status: 400},
		"too many fields":   {head: "GET / HTTP/1.1\r\n" + many + "\r\n", status: 431},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if n := endOfHead([]byte(tt.head + "rest")); n != len(tt.head) {
				t.Errorf("end of head at %d, want %d", n, len(tt.head))
			}
			got, err := parseHead([]byte(tt.head))
			var e *errHead
			if tt.status == 0 && err != nil || tt.status != 0 && (!errors.As(err, &e) || e.status != tt.status) {
				t.Fatalf("error %v, want status %d", err, tt.status)
			}
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestEndOfHead(t *testing.T) {
	for _, s := range []string{"", "\r\n\r\n", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\r", "\n\n\n"} {
		if n := endOfHead([]byte(s)); n != 0 {
			t.Errorf("%q: complete at %d", s, n)
		}
	}
}

func TestSamePath(t *testing.T) {
	tests := []struct {
		target, path string
		want         bool
	}{
		{"/abc", "/abc", true},
		{"/abc?a=1&b=2", "/abc", true}, // CDRouter tr69_conn_req_4
		{"http://192.0.2.1:7547/abc?x", "/abc", true},
		{"/redirect?to=http://x/abc", "/abc", false},
		{"/abc/", "/abc", false},
		{"/ab", "/abc", false},
		{"*", "/abc", false},
		{"http://x", "/abc", false},
		{"", "", false},
		{"?", "", false},
	}
	for _, tt := range tests {
		if got := samePath(tt.target, tt.path); got != tt.want {
			t.Errorf("samePath(%q, %q) = %v", tt.target, tt.path, got)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte("GET /cr HTTP/1.1\r\nHost: x\r\nAuthorization: Digest a=b\r\n\r\n"))
	f.Add([]byte("POST /UD/act?1 HTTP/1.1\r\nContent-Length: 20\r\nConnection: close\r\n\r\n<NewNTPServer1>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := endOfHead(b)
		if n < 0 || n > len(b) {
			t.Fatalf("end of head at %d of %d", n, len(b))
		}
		if n == 0 {
			return
		}
		r, err := parseHead(b[:n])
		var e *errHead
		switch {
		case err != nil && (!errors.As(err, &e) || e.status < 400):
			t.Fatalf("error %v", err)
		case err == nil && (r.method == "" || r.target == "" || !isText(r.authorization)):
			t.Fatalf("read %+v of %q", r, b[:n])
		}
		samePath(r.target, "/cr")
	})
}
