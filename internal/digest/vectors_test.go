package digest

import (
	"io"
	"testing"
)

// TestVectors holds the examples of the RFCs and the recomputed ones of every
// algorithm and qop.
func TestVectors(t *testing.T) {
	type vector struct {
		name                  string
		algorithm             Algorithm
		user, realm, password string
		e                     exchange
		want                  string
	}
	rfc7616 := exchange{method: "GET", uri: "/dir/index.html", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
		cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", nc: "00000001", qop: Auth}
	rfc2617 := exchange{method: "GET", uri: "/dir/index.html", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", cnonce: "0a4f113b", nc: "00000001", qop: Auth}
	rfc2069 := exchange{method: "GET", uri: "/dir/index.html", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093"}
	// RFC 7616 3.9.2 as corrected by erratum 4897: the RFC's own value is of a truncated SHA-512.
	erratum := exchange{method: "GET", uri: "/doe.json", nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
		cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", nc: "00000001", qop: Auth}
	tests := []vector{
		{"rfc7616 md5", MD5, "Mufasa", "http-auth@example.org", "Circle of Life", rfc7616, "8ca523f5e9506fed4657c9700eebdbec"},
		{"rfc7616 sha-256", SHA256, "Mufasa", "http-auth@example.org", "Circle of Life", rfc7616, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{"rfc7616 sha-512-256", SHA512256, "J\u00e4s\u00f8n Doe", "api@example.org", "Secret, or not?", erratum, "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"},
		{"rfc2617", MD5, "Mufasa", "testrealm@host.com", "Circle Of Life", rfc2617, "6629fae49393a05397450978507c4ef1"},
		{"rfc2069", MD5, "Mufasa", "testrealm@host.com", "CircleOfLife", rfc2069, "1949323746fe6a43ef61f9606e7febea"},
	}
	seed := func(qop string) exchange {
		return exchange{method: "GET", uri: "/v1", nonce: "abc123", cnonce: "0a4f113b", nc: "00000001", qop: qop}
	}
	for _, v := range []struct {
		a             Algorithm
		auth, authInt string
	}{
		{MD5, "1c8f4a9384009b0bde0f70120165027c", "77d047f8de6b3ea09b97438d2f815278"},
		{MD5Sess, "5ff6726663ae9f08ec8517e9a047dc65", "44774a5a213884a49418b53a355bf8b3"},
		{SHA256, "b04fb459cb1030853e344e9bcbc918590119eb97d0e6f583ae03f4b20bb50a5a", "028eea5b7da69d89de71e8ae0292f948c1dcda778dfcc6158e4426b3eea7e622"},
		{SHA256Sess, "314b1312bb4a3f19612592a40eda52ed7332f0bf60bc321f775aa54aeaf19995", "0843a8504f7cb0d89fd09a7d30d3ac0589ef9bb4436642e3b0e37b5973314504"},
	} {
		tests = append(tests,
			vector{string(v.a) + " auth", v.a, "X", "Y", "secret", seed(Auth), v.auth},
			vector{string(v.a) + " auth-int", v.a, "X", "Y", "secret", seed(AuthInt), v.authInt})
	}
	for _, v := range tests { // S002-17
		t.Run(v.name, func(t *testing.T) {
			v.e.algorithm = v.algorithm
			got, err := v.e.response(v.algorithm.key(v.user, v.realm, v.password, v.e.nonce, v.e.cnonce))
			if err != nil || got != v.want {
				t.Errorf("response = %s, %v; want %s", got, err, v.want)
			}
		})
	}
}

// TestUserHash is RFC 7616 3.9.2 with the function that the RFC names.
func TestUserHash(t *testing.T) {
	const want = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
	if got := SHA512256.sum("J\u00e4s\u00f8n Doe", "api@example.org"); got != want {
		t.Errorf("userhash = %s, want %s", got, want)
	}
}

// body makes a Body of a text.
func body(s string) Body {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}
