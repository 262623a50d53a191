package xmpp

import (
	"crypto/tls"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	lab "gatehouse/lab/xmpp"
)

// vector is a digest with the values of an RFC in place of ours.
func vector(username, realm, password, nonce, cnonce string) session {
	d := &digest{username: username, password: password, cnonce: cnonce}
	return d.hash(realm, nonce, true)
}

func TestDigestVectors(t *testing.T) {
	tests := []struct {
		name                                   string
		username, realm, password, nonce, cnon string
		uri                                    string
		response, rspauth                      string
	}{
		{"RFC 2831 4, IMAP", "chris", "elwood.innosoft.com", "secret", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk",
			"imap/elwood.innosoft.com", "d388dad90d4bbd760a152321f2143af7", "ea40f60335c427b5527b84dbabcdfffd"},
		{"RFC 2831 4, ACAP", "chris", "elwood.innosoft.com", "secret", "OA9BSXrbuRhWay", "OA9BSuZWMSpW8m",
			"acap/elwood.innosoft.com", "6084c6db3fede7352c551284490fd0fc", "2f0b3d7c3c2e486600ef710726aa2eae"},
		// S004-16: what RFC 3920 prints belongs to the IMAP example above; its
		// own directives, with the same password, make these.
		{"RFC 3920 6.6, recomputed", "example.org", "somerealm", "secret", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk",
			"xmpp/example.org", "62719bcf90a3a6dce9e9564c2ba05f4e", "eb0e3b49b7af8e4a7d3c7ffc8a40f866"},
		{"a CPE", "cpe1", "xmpp.example.com", "s3cret", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk",
			"xmpp/xmpp.example.com", "8bb0f0d78f5ade1294d39a394b3eeac4", "7824d28bf6a45e0a692711aa0b3d5ef2"},
	}
	for _, v := range tests {
		s := vector(v.username, v.realm, v.password, v.nonce, v.cnon)
		if got := s.proof("AUTHENTICATE", v.uri); got != v.response {
			t.Errorf("%s: response %s, want %s", v.name, got, v.response)
		}
		if got := s.proof("", v.uri); got != v.rspauth {
			t.Errorf("%s: rspauth %s, want %s", v.name, got, v.rspauth)
		}
	}
	d := &digest{username: "cpe1", password: "s3cret", cnonce: "OA6MHXh6VqTrRk", authzid: "cpe1@xmpp.example.com"}
	if got := d.hash("xmpp.example.com", "OA6MG9tEQGm2hh", true).proof("AUTHENTICATE", "xmpp/xmpp.example.com"); got != "005031419ee88866f890334951e59e20" {
		t.Errorf("with authzid: %s", got)
	}
}

// S004-16: the values that RFC 3920 prints do not follow from its directives.
func TestDigestSeedValuesAreNotIts(t *testing.T) {
	s := vector("example.org", "somerealm", "secret", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk")
	if s.proof("AUTHENTICATE", "xmpp/example.org") == "d388dad90d4bbd760a152321f2143af7" {
		t.Error("they do")
	}
}

func TestDigestExchange(t *testing.T) {
	d := newDigest("cpe1", "s3cret", "xmpp.example.com")
	d.cnonce = "OA6MHXh6VqTrRk"
	first, err := d.start()
	if first != nil || err != nil { // S004-04
		t.Fatalf("initial response %q, %v", first, err)
	}
	// S004-05, with a realm of its own
	got, err := d.step([]byte("realm=\"xmpp.example.com\",nonce=\"OA6MG9tEQGm2hh\",\n qop=\"auth\",charset=utf-8,algorithm=md5-sess\n"))
	if err != nil {
		t.Fatal(err)
	}
	// S004-07
	want := `username="cpe1",realm="xmpp.example.com",nonce="OA6MG9tEQGm2hh",cnonce="OA6MHXh6VqTrRk",nc=00000001,qop=auth,` +
		`digest-uri="xmpp/xmpp.example.com",response=8bb0f0d78f5ade1294d39a394b3eeac4,charset=utf-8`
	if string(got) != want {
		t.Errorf("response\n%s, want\n%s", got, want)
	}
	if d.trusted() {
		t.Error("trusted before its proof")
	}
	// S004-08, S004-10
	if got, err = d.step([]byte("rspauth=7824d28bf6a45e0a692711aa0b3d5ef2\n")); err != nil || len(got) != 0 || !d.trusted() {
		t.Errorf("after rspauth: %q, %v", got, err)
	}
	if _, err = d.step([]byte("rspauth=7824d28bf6a45e0a692711aa0b3d5ef2")); err == nil {
		t.Error("a third challenge was taken")
	}
}

func TestDigestChallenges(t *testing.T) {
	const rest = `nonce="n",algorithm=md5-sess`
	tests := []struct {
		name, challenge string
		realm           string // "": refused
	}{
		{"no realm", rest, domain},
		{"one", `realm="a",` + rest, "a"},
		{"several", `realm="a",realm="XMPP.example.com",` + rest, "XMPP.example.com"},
		{"escaped", `realm="a\"b\\c",` + rest, `a"b\c`},
		{"empty", `realm="",` + rest, ""},
		{"bare tokens and blanks", ` realm=a , nonce = "n" , algorithm = MD5-sess , , qop="auth-int, auth" `, "a"},
		{"no nonce", `realm="a",algorithm=md5-sess`, "-"},
		{"two nonces", `nonce="x",` + rest, "-"},
		{"no algorithm", `realm="a",nonce="n"`, "-"},
		{"another algorithm", `nonce="n",algorithm=md5`, "-"},
		{"no auth", `qop="auth-int,auth-conf",` + rest, "-"},
		{"open quote", `realm="a,` + rest, "-"},
		{"escape at the end", `realm="a\`, "-"},
		{"no directive", `hello`, "-"},
		{"nothing", ``, "-"},
		{"too long", `realm="` + strings.Repeat("a", maxChallenge) + `",` + rest, "-"},
		{"junk after a quote", `realm="a"b,` + rest, "-"},
	}
	for _, test := range tests {
		d := newDigest("cpe1", "s3cret", domain)
		got, err := d.step([]byte(test.challenge))
		if test.realm == "-" {
			if err == nil {
				t.Errorf("%s: answered %s", test.name, got)
			}
			continue
		}
		if want := `realm="` + quote(test.realm) + `",`; err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, %v; want %s", test.name, got, err, want)
		}
	}
}

func TestDigestLatin1(t *testing.T) {
	for in, want := range map[string]string{"abc": "abc", "Grün": "Gr\xfcn", "100 €": "100 €"} {
		if got := latin1(in); got != want {
			t.Errorf("latin1(%q) = %q", in, got)
		}
	}
}

// withNonce gives a client of the library the nonce of a vector, for which it
// has no door.
func withNonce(m mechanism, nonce string) mechanism {
	field := reflect.ValueOf(m.(*negotiated).n).Elem().FieldByName("nonce")
	*(*[]byte)(unsafe.Pointer(field.UnsafeAddr())) = []byte(nonce)
	return m
}

func TestScramVectors(t *testing.T) {
	tests := []struct {
		rfc, mechanism, nonce      string
		start, first, final, proof string
	}{
		{"RFC 5802 5", scram1, "fyko+d2lbbFgONRv9qkxdawL",
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"RFC 7677 3", scram256, "rOprNGfwEbeRWgbNEkqO",
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	}
	for _, v := range tests {
		for _, last := range []string{v.proof, v.proof + "\n", "v=AAAA", "e=other-error", ""} {
			m := withNonce(begin(v.mechanism, Params{Username: "user", Password: "pencil"}, nil, nil), v.nonce)
			if got, err := m.start(); err != nil || string(got) != v.start {
				t.Fatalf("%s: %s, %v; want %s", v.rfc, got, err, v.start)
			}
			if got, err := m.step([]byte(v.first)); err != nil || string(got) != v.final {
				t.Fatalf("%s: %s, %v; want %s", v.rfc, got, err, v.final)
			}
			_, err := m.step([]byte(last))
			if good := strings.HasPrefix(last, v.proof); m.trusted() != good || (err == nil) != good {
				t.Errorf("%s: after %q trusted is %v, error %v", v.rfc, last, m.trusted(), err)
			}
		}
	}
}

func TestServerFirst(t *testing.T) {
	tests := []struct {
		message string
		err     string
	}{
		{"r=abcdef,s=c2FsdA==,i=4096", ""},
		{"r=abcdef,s=c2FsdA==,i=100000", ""},
		{"r=abcdef,s=c2FsdA==,i=4096,x=more", ""},
		{"r=abcdef,s=c2FsdA==,i=100001", "iterations"},
		{"r=abcdef,s=c2FsdA==,i=10000000", "iterations"},
		{"r=abcdef,s=c2FsdA==,i=99999999999999999999", "iterations"},
		{"r=abcdef,s=c2FsdA==,i=1", "iterations"},
		{"r=abcdef,s=c2FsdA==,i=-1", "iterations"},
		{"r=abcdef,s=c2FsdA==,i=+5000", "iterations"},
		{"r=abc,s=c2FsdA==,i=4096", "nonce"},
		{"r=ab,s=c2FsdA==,i=4096", "nonce"},
		{"r=xyzdef,s=c2FsdA==,i=4096", "nonce"},
		{"r=abcdef,s=!!!!,i=4096", "salt"},
		{"m=x,r=abcdef,s=c2FsdA==,i=4096", "not the message"},
		{"r=abcdef,s=c2FsdA==,i=4096,m=x", "not the message"},
		{"r=abcdef,s=c2FsdA==,i=4096,i=10000000", "not the message"},
		{"r=abcdef,i=4096,s=c2FsdA==", "not the message"},
		// these keep the library busy for ever
		{"r=abcdef,s=c2FsdA==,i=4096,", "not the message"},
		{"r=abcdef,s=c2FsdA==,i=", "not the message"},
		{"", "not the message"},
		{"e=other-error", "not the message"},
	}
	for _, test := range tests {
		err := checkServerFirst([]byte(test.message), []byte("abc"))
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%q: %v, want %q", test.message, err, test.err)
		}
	}
}

func TestChoose(t *testing.T) {
	tls13, tls12 := &tls.ConnectionState{Version: tls.VersionTLS13}, &tls.ConnectionState{Version: tls.VersionTLS12}
	md5, clear := Params{DigestMD5: true}, Params{PlainInClear: true}
	exporter := []string{"tls-server-end-point", "tls-exporter"}
	if got := choose([]string{scram256Plus, scram256}, Params{}, tls13, []string{"tls-unique"}); !slices.Equal(got, []string{scram256}) {
		t.Errorf("the server knows another binding: %v", got)
	}
	tests := []struct {
		offered string
		p       Params
		state   *tls.ConnectionState
		want    string
	}{
		{"PLAIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS", Params{}, tls13, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1"},
		{"PLAIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS", Params{}, tls12, "SCRAM-SHA-256 SCRAM-SHA-1"},
		{"SCRAM-SHA-1 SCRAM-SHA-1-PLUS", Params{}, nil, "SCRAM-SHA-1"},
		{"DIGEST-MD5 SCRAM-SHA-1 PLAIN", md5, tls13, "SCRAM-SHA-1"},
		{"DIGEST-MD5 PLAIN", md5, tls13, "DIGEST-MD5"},
		{"DIGEST-MD5 PLAIN", Params{}, tls13, "PLAIN"},
		{"DIGEST-MD5 PLAIN", Params{}, nil, ""},
		{"DIGEST-MD5 PLAIN", clear, nil, "PLAIN"},
		{"SCRAM-SHA-1 PLAIN", clear, nil, "SCRAM-SHA-1"},
		{"DIGEST-MD5 KERBEROS_V4", md5, nil, "DIGEST-MD5"}, // S004-03
		{"KERBEROS_V4", md5, tls13, ""},
		{"", md5, tls13, ""},
	}
	for _, test := range tests {
		got := choose(strings.Fields(test.offered), test.p, test.state, exporter)
		if !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("of %q: %v, want %q", test.offered, got, test.want)
		}
	}
}

func TestSASLData(t *testing.T) {
	for in, want := range map[string]string{"": "", "=": "", "YQ==": "a", " YW\n  Jj\r\n": "abc"} { // S004-05: folded
		if got, err := decode(in); err != nil || string(got) != want {
			t.Errorf("decode(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"!", "YQ", "Y=Q="} {
		if _, err := decode(in); err == nil {
			t.Errorf("decode(%q) is data", in)
		}
	}
	if encode(nil) != "" || encode([]byte{}) != "=" || encode([]byte("a")) != "YQ==" {
		t.Error("encode")
	}
}

// RFC 3920 6.6, from the client's side: the exchange as the founding document
// tells it, with its alternate ends.
func TestDigestStory(t *testing.T) {
	story := func(edit func(k *lab.Knobs)) func(*rig, *lab.Knobs) {
		return func(r *rig, k *lab.Knobs) {
			requireTLS(r, k)
			k.Mechanisms = []string{"DIGEST-MD5", "KERBEROS_V4"} // S004-03
			k.Realm, k.Fold = "somerealm", true
			edit(k)
		}
	}
	tests := []struct {
		name  string
		edit  func(k *lab.Knobs)
		state State
		err   string
	}{
		{"as told", func(*lab.Knobs) {}, Enabled, ""},                                           // S004-12
		{"no realm", func(k *lab.Knobs) { k.Realm = "" }, Enabled, ""},                          // as ejabberd
		{"not folded", func(k *lab.Knobs) { k.Fold = false }, Enabled, ""},                      //
		{"incorrect encoding", refusedThen("incorrect-encoding", ""), AuthFailure, "encoding"},  // S004-06
		{"invalid authzid", refusedThen("", "invalid-authzid"), AuthFailure, "invalid-authzid"}, // S004-09
		{"wrong rspauth", func(k *lab.Knobs) { k.WrongProof, k.ThenClose = true, true }, Failed, "rspauth is wrong"},
		{"no rspauth", func(k *lab.Knobs) { k.NoProof = true }, Failed, "does not prove"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, story(test.edit), func(r *rig) {
				r.params.DigestMD5 = true
				r.start()
				r.want(test.state)
				r.wantError(test.err)
				if test.state == Enabled {
					r.bound()
				}
			})
		})
	}
	t.Run("switched off", func(t *testing.T) {
		bubble(t, story(func(*lab.Knobs) {}), func(r *rig) {
			r.start()
			r.want(Misconfigured)
		})
	})
}

func refusedThen(auth, response string) func(k *lab.Knobs) {
	return func(k *lab.Knobs) { k.FailAuth, k.FailResponse, k.ThenClose = auth, response, true }
}

// S004-10, S004-11, S004-13, S004-14: what goes over the wire, in clear.
func TestDigestWire(t *testing.T) {
	digestOnly := func(wrong bool) func(*rig, *lab.Knobs) {
		return func(_ *rig, k *lab.Knobs) {
			k.Mechanisms, k.WrongProof, k.ThenClose = []string{"DIGEST-MD5"}, wrong, true
		}
	}
	bubble(t, digestOnly(false), func(r *rig) {
		r.params.DigestMD5 = true
		r.start()
		r.want(Enabled)
		w := r.written()
		if w[1] != `<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="DIGEST-MD5"></auth>` { // S004-04
			t.Errorf("auth: %s", w[1])
		}
		if w[3] != `<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl"></response>` || !strings.HasPrefix(w[4], "<?xml") { // S004-10, S004-14
			t.Errorf("after rspauth: %s", w[3:])
		}
	})
	bubble(t, digestOnly(true), func(r *rig) {
		r.params.DigestMD5 = true
		r.start()
		r.want(Failed)
		time.Sleep(closing + time.Second)
		w := r.written()
		if w[3] != `<abort xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>` || len(w) != 4 { // S004-11; S004-13 ends it
			t.Errorf("after a wrong rspauth: %s", w[3:])
		}
	})
}

func TestScram(t *testing.T) {
	exporter := []string{"tls-exporter"}
	tests := []struct {
		name  string
		edit  func(k *lab.Knobs)
		state State
		mech  string
		err   string
	}{
		{"the best", func(*lab.Knobs) {}, Enabled, "SCRAM-SHA-256", ""},
		{"SHA-1", func(k *lab.Knobs) { k.Mechanisms = []string{"PLAIN", "SCRAM-SHA-1"} }, Enabled, "SCRAM-SHA-1", ""},
		{"PLUS", func(k *lab.Knobs) {
			k.Mechanisms = []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
			k.Bindings = exporter
		}, Enabled, "SCRAM-SHA-256-PLUS", ""},
		{"PLUS with SHA-1", func(k *lab.Knobs) { k.Mechanisms, k.Bindings = []string{"SCRAM-SHA-1-PLUS"}, exporter }, Enabled, "SCRAM-SHA-1-PLUS", ""},
		{"PLUS of another binding", func(k *lab.Knobs) {
			k.Mechanisms, k.Bindings = []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, []string{"tls-unique"}
		}, Enabled, "SCRAM-SHA-256", ""},
		{"PLUS that fails", func(k *lab.Knobs) {
			k.Mechanisms, k.Bindings = []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, exporter
			k.BreakBinding = true
		}, Enabled, "SCRAM-SHA-256", ""},
		{"PLAIN", func(k *lab.Knobs) { k.Mechanisms = []string{"PLAIN"} }, Enabled, "PLAIN", ""},
		{"last word in a challenge", func(k *lab.Knobs) { k.InChallenge = true }, Enabled, "SCRAM-SHA-256", ""},
		{"100,000 iterations", func(k *lab.Knobs) { k.Iterations = 100_000 }, Enabled, "SCRAM-SHA-256", ""},
		{"ten million iterations", func(k *lab.Knobs) { k.FirstMessage = "r=NONCE,s=c2FsdA==,i=10000000" }, Failed, "", "10000000 iterations"},
		{"cut nonce", func(k *lab.Knobs) { k.CutNonce = true }, Failed, "", "nonce does not extend ours"},
		{"bare nonce", func(k *lab.Knobs) { k.BareNonce = true }, Failed, "", "nonce does not extend ours"},
		{"wrong signature", func(k *lab.Knobs) { k.WrongProof = true }, Failed, "", "signature is wrong"},
		{"wrong signature in a challenge", func(k *lab.Knobs) { k.WrongProof, k.InChallenge = true, true }, Failed, "", "signature is wrong"},
		{"no signature", func(k *lab.Knobs) { k.NoProof = true }, Failed, "", "does not prove"},
		{"an attribute without a value", func(k *lab.Knobs) { k.FirstMessage = "r=NONCE,s=c2FsdA==,i=4096," }, Failed, "", "not the message"},
		{"temporary failure", func(k *lab.Knobs) { k.FailAuth = "temporary-auth-failure" }, Failed, "", "temporary"},
		{"failure, then the end", func(k *lab.Knobs) { k.FailAuth, k.ThenClose = "account-disabled", true }, AuthFailure, "", "account-disabled"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(r *rig, k *lab.Knobs) {
				requireTLS(r, k)
				test.edit(k)
			}, func(r *rig) {
				r.start()
				if s := r.want(test.state); s.Mechanism != test.mech {
					t.Errorf("mechanism %q, want %q", s.Mechanism, test.mech)
				}
				r.wantError(test.err)
			})
		})
	}
}

// A wrong password is tried once, whatever else is on offer.
func TestWrongPassword(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		r.params.Password, r.params.PlainInClear = "wrong", true
		r.start()
		r.want(AuthFailure)
		n := 0
		for _, w := range r.written() {
			if strings.HasPrefix(w, "<auth") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d exchanges", n)
		}
		r.client.NetworkUp() // is no reason to try a wrong password again
		time.Sleep(16*time.Minute - time.Second)
		if got := r.server.Logins(); got != 1 { // 60 s × 2⁴: the fifth wait is the first
			t.Errorf("%d connections in 16 minutes", got)
		}
		r.set(func(p *Params) { p.Password = "s3cret" })
		r.want(Enabled)
	})
}
