package digest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		in   []string
		want []Challenge
		err  string
	}{
		"apache": {
			in:   []string{`Digest realm="CWMP", nonce="l8+GbNFgBgA=1211b8", algorithm=MD5, qop="auth"`},
			want: []Challenge{{Realm: "CWMP", Nonce: "l8+GbNFgBgA=1211b8", Algorithm: MD5, Named: true, QOP: []string{Auth}}},
		},
		"lighttpd both": {
			in: []string{
				`Digest realm="CWMP", charset="UTF-8", algorithm=SHA-256, nonce="a", qop="auth"`,
				`Digest realm="CWMP", charset="UTF-8", algorithm=MD5, nonce="b", qop="auth"`,
			},
			want: []Challenge{
				{Realm: "CWMP", Nonce: "a", Algorithm: SHA256, Named: true, QOP: []string{Auth}, UTF8: true},
				{Realm: "CWMP", Nonce: "b", Algorithm: MD5, Named: true, QOP: []string{Auth}, UTF8: true},
			},
		},
		"several in one header": {
			in: []string{`Negotiate, Basic realm="b", Digest realm="d", nonce="n", qop="auth,auth-int", opaque="", NewScheme a=b`},
			want: []Challenge{
				{Basic: true, Realm: "b"},
				{Realm: "d", Nonce: "n", Algorithm: MD5, QOP: []string{Auth, AuthInt}, HasOpaque: true},
			},
		},
		"rfc 2069":              {in: []string{`Digest realm="r",nonce="n"`}, want: []Challenge{{Realm: "r", Nonce: "n", Algorithm: MD5}}},
		"seed with a user name": {in: []string{`Digest username="x", realm="r", nonce="n"`}, want: []Challenge{{Realm: "r", Nonce: "n", Algorithm: MD5}}},
		// Field: quoted and unquoted values, spaces in realm, odd case, stray commas.
		"everything quoted":        {in: []string{`digest Realm="r", Nonce="n", Algorithm="md5", Stale="TRUE", qop="auth"`}, want: []Challenge{{Realm: "r", Nonce: "n", Algorithm: MD5, Named: true, QOP: []string{Auth}, Stale: true}}},
		"nothing quoted":           {in: []string{`Digest realm=My ACS , nonce=ab==, qop=auth,auth-int, opaque=x`}, want: []Challenge{{Realm: "My ACS", Nonce: "ab==", Algorithm: MD5, QOP: []string{Auth, AuthInt}, Opaque: "x", HasOpaque: true}}},
		"no commas":                {in: []string{`Digest realm="My ACS" nonce=n qop="auth" stale=false`}, want: []Challenge{{Realm: "My ACS", Nonce: "n", Algorithm: MD5, QOP: []string{Auth}}}},
		"blanks and commas":        {in: []string{` , Digest  realm = "r" ,, nonce= "n",`}, want: []Challenge{{Realm: "r", Nonce: "n", Algorithm: MD5}}},
		"commas and escapes":       {in: []string{`Digest realm="a, \"b\" \\", nonce="n"`}, want: []Challenge{{Realm: `a, "b" \`, Nonce: "n", Algorithm: MD5}}},
		"empty qop":                {in: []string{`Digest realm="r", nonce="n", qop=""`}, want: []Challenge{{Realm: "r", Nonce: "n", Algorithm: MD5}}},
		"unknown qop beside auth":  {in: []string{`Digest realm="r", nonce="n", qop="auth-conf, AUTH"`}, want: []Challenge{{Realm: "r", Nonce: "n", Algorithm: MD5, QOP: []string{Auth}}}},
		"empty value":              {in: []string{`Digest realm=, nonce="n"`}, want: []Challenge{{Nonce: "n", Algorithm: MD5}}},
		"truncated algorithm":      {in: []string{`Digest realm="r", nonce="n", algorithm=MD)`}, err: `unknown algorithm "MD)"`},
		"truncated beside healthy": {in: []string{`Digest realm="r", nonce="n", algorithm=MD)`, `Basic realm="r"`}, want: []Challenge{{Basic: true, Realm: "r"}}},
		"unterminated quote":       {in: []string{`Digest nonce="n", realm="r`}, err: "unterminated quoted value of realm"},
		"no realm":                 {in: []string{`Digest nonce="n"`}, err: "no realm"}, // S002-14
		"no nonce":                 {in: []string{`Digest realm="r"`}, err: "no nonce"},
		"unknown qop":              {in: []string{`Digest realm="r", nonce="n", qop="auth-conf"`}, err: "unknown qop"},
		"unknown scheme":           {in: []string{`Negotiate`}, err: "unknown scheme"},
		"nothing":                  {err: "no usable"},
		"parameters only":          {in: []string{`realm="r"`}, err: "no usable"},
		"too long":                 {in: []string{`Digest realm="` + strings.Repeat("x", maxHeader) + `"`}, err: "too long"},
		"too many parameters":      {in: []string{`Digest realm="r", nonce="n"` + strings.Repeat(", a=b", maxParams)}, err: "too many"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tt.in)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("challenges (-want +got):\n%s", diff)
			}
			if tt.err == "" && err != nil || tt.err != "" && (!errors.Is(err, ErrNoChallenge) || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	basic := Challenge{Basic: true}
	old := Challenge{Algorithm: MD5}
	md5 := Challenge{Algorithm: MD5, QOP: []string{Auth}}
	sess := Challenge{Algorithm: SHA256Sess, QOP: []string{Auth}}
	sha := Challenge{Algorithm: SHA256, QOP: []string{Auth}}
	tests := map[string]struct {
		in   []Challenge
		want int
	}{
		"none":               {nil, -1},
		"basic last":         {[]Challenge{basic, old}, 1},
		"strongest":          {[]Challenge{md5, basic, sha}, 2},
		"qop before none":    {[]Challenge{old, md5}, 1},
		"first of equals":    {[]Challenge{md5, sess, sha}, 1},
		"basic when it must": {[]Challenge{basic}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Choose(tt.in); got != tt.want {
				t.Errorf("Choose = %d, want %d", got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`Digest realm="CWMP", nonce="l8+GbNFgBgA=", algorithm=MD5, qop="auth,auth-int", stale=true`)
	f.Add(`Basic realm="b", Digest realm=My ACS nonce=x== qop=auth,auth-int`)
	f.Add(`Basic dTpw`)
	f.Fuzz(func(t *testing.T, header string) {
		cs, err := Parse([]string{header})
		if (err == nil) != (len(cs) > 0) {
			t.Fatalf("%d challenges and error %v", len(cs), err)
		}
		if i := Choose(cs); i >= len(cs) || len(cs) > 0 && i < 0 {
			t.Fatalf("Choose = %d of %d", i, len(cs))
		}
		c := NewClient("us\"er", "pass", Options{})
		if ok, _ := c.Challenge(map[string][]string{"Www-Authenticate": {header}}); !ok {
			return
		}
		// What we write can be read, and no header is split by what we were sent.
		value, err := c.Authorize("GET", "/", nil)
		if err != nil || strings.ContainsAny(value, "\r\n\x00") {
			t.Fatalf("wrote %q, %v", value, err)
		}
		if s := parseSchemes(value); len(s) != 1 || s[0].broken != "" {
			t.Fatalf("wrote %q, read %+v", value, s)
		}
	})
}
