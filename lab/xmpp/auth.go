package xmpp

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

const nsSASL = `xmlns="urn:ietf:params:xml:ns:xmpp-sasl"`

// errRefused ends an exchange that failed in a way the client was told.
var errRefused = errors.New("refused")

// auth runs one exchange; ok is true when the client is who it says.
func (x *Session) auth(n *Node) (ok bool, err error) {
	x.Mechanism = n.Attr["mechanism"]
	user := ""
	switch {
	case x.knobs.FailAuth != "":
		err = x.refuse(x.knobs.FailAuth)
	case !x.offers(x.Mechanism):
		err = x.refuse("invalid-mechanism")
	case x.Mechanism == "PLAIN":
		user, err = x.plain(n)
	case x.Mechanism == "DIGEST-MD5":
		user, err = x.digest()
	case strings.HasPrefix(x.Mechanism, "SCRAM-SHA-256"):
		user, err = x.scram(n, sha256.New)
	default:
		user, err = x.scram(n, sha1.New)
	}
	if errors.Is(err, errRefused) {
		return false, nil
	}
	if err == nil {
		x.user = user
	}
	return err == nil, err
}

func (x *Session) refuse(condition string) error {
	return errors.Join(x.Write(`<failure `+nsSASL+`><`+condition+`/></failure>`), errRefused)
}

func (x *Session) succeed(data string) error {
	return x.Write(`<success ` + nsSASL + `>` + x.armour(data) + `</success>`)
}

// armour is base64, folded as RFC 3920's example is if a knob says so.
func (x *Session) armour(data string) string {
	if data == "" {
		return ""
	}
	if !x.knobs.Fold {
		return base64.StdEncoding.EncodeToString([]byte(data))
	}
	s := base64.StdEncoding.EncodeToString([]byte(data + "\n"))
	return "\n" + s[:len(s)/2] + "\n    " + s[len(s)/2:] + "\n"
}

// ask sends a challenge and returns the client's response.
func (x *Session) ask(data string) (string, error) {
	if err := x.Write(`<challenge ` + nsSASL + `>` + x.armour(data) + `</challenge>`); err != nil {
		return "", err
	}
	n, err := x.next()
	switch {
	case err != nil:
		return "", err
	case n.is("abort"):
		return "", x.refuse("aborted")
	case !n.is("response"):
		return "", errors.Join(x.Write("</stream:stream>"), errEnd)
	case x.knobs.FailResponse != "":
		return "", x.refuse(x.knobs.FailResponse)
	}
	return x.data(n)
}

func (x *Session) data(n *Node) (string, error) {
	if n.Text == "=" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(n.Text)
	if err != nil {
		return "", x.refuse("incorrect-encoding")
	}
	return string(b), nil
}

func (x *Session) plain(n *Node) (string, error) {
	data, err := x.data(n)
	if err != nil {
		return "", err
	}
	parts := strings.Split(data, "\x00")
	if len(parts) != 3 || !x.knows(parts[1], parts[2]) {
		return "", x.refuse("not-authorized")
	}
	return parts[1], x.succeed("")
}

func (x *Session) knows(user, password string) bool {
	want, ok := x.server.users[user]
	return ok && want == password
}

// digest is the server's side of RFC 2831.
func (x *Session) digest() (string, error) {
	nonce := rand.Text()
	challenge := `nonce="` + nonce + `",qop="auth",charset=utf-8,algorithm=md5-sess`
	if x.knobs.Realm != "" {
		challenge = `realm="` + x.knobs.Realm + `",` + challenge
	}
	data, err := x.ask(challenge)
	if err != nil {
		return "", err
	}
	got := pairs(data)
	password, ok := x.server.users[got["username"]]
	if !ok || got["nonce"] != nonce || got["nc"] != "00000001" || got["qop"] != "auth" ||
		got["digest-uri"] != "xmpp/"+x.server.Domain ||
		got["response"] != Digest(got, password, "AUTHENTICATE") {
		return "", x.refuse("not-authorized")
	}
	proof := Digest(got, password, "")
	switch {
	case x.knobs.NoProof:
		return got["username"], x.succeed("")
	case x.knobs.WrongProof:
		proof = strings.Repeat("0", 32)
	}
	if _, err := x.ask("rspauth=" + proof); err != nil {
		return "", err
	}
	return got["username"], x.succeed("")
}

// Digest computes RFC 2831's response from its directives; with an empty method
// what the server proves itself with.
func Digest(d map[string]string, password, method string) string {
	h := func(s string) string { b := md5.Sum([]byte(s)); return string(b[:]) }
	hx := func(s string) string { return hex.EncodeToString([]byte(h(s))) }
	a1 := h(d["username"]+":"+d["realm"]+":"+password) + ":" + d["nonce"] + ":" + d["cnonce"]
	if d["authzid"] != "" {
		a1 += ":" + d["authzid"]
	}
	return hx(hx(a1) + ":" + d["nonce"] + ":" + d["nc"] + ":" + d["cnonce"] + ":" + d["qop"] + ":" + hx(method+":"+d["digest-uri"]))
}

// pairs reads directives as our own client writes them: without commas in quotes.
func pairs(s string) map[string]string {
	out := make(map[string]string)
	for p := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		name, value, _ := strings.Cut(p, "=")
		out[name] = strings.Trim(value, `"`)
	}
	return out
}

// scram is the server's side of RFC 5802.
func (x *Session) scram(n *Node, h func() hash.Hash) (string, error) {
	first, err := x.data(n)
	if err != nil {
		return "", err
	}
	flag, rest, _ := strings.Cut(first, ",")
	_, bare, _ := strings.Cut(rest, ",")
	attrs := pairs(bare)
	binding, err := x.binding(flag)
	if err != nil {
		return "", err
	}
	password, ok := x.server.users[attrs["n"]]
	nonce := x.nonce(attrs["r"])
	count := x.knobs.Iterations
	if count == 0 {
		count = 4096
	}
	salt := rand.Text()
	reply := fmt.Sprintf("r=%s,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString([]byte(salt)), count)
	if x.knobs.FirstMessage != "" {
		reply = strings.ReplaceAll(x.knobs.FirstMessage, "NONCE", nonce)
	}
	final, err := x.ask(reply)
	if err != nil {
		return "", err
	}
	without, proof, _ := strings.Cut(final, ",p=")
	salted, err := pbkdf2.Key(h, password, []byte(salt), count, h().Size())
	if err != nil {
		return "", err
	}
	said := bare + "," + reply + "," + without
	key := mac(h, salted, "Client Key")
	stored := h()
	stored.Write(key)
	signature := mac(h, stored.Sum(nil), said)
	for i := range key {
		key[i] ^= signature[i]
	}
	bound := base64.StdEncoding.EncodeToString([]byte(flag + ",," + binding))
	if !ok || proof != base64.StdEncoding.EncodeToString(key) || without != "c="+bound+",r="+nonce {
		return "", x.refuse("not-authorized")
	}
	return attrs["n"], x.prove(mac(h, mac(h, salted, "Server Key"), said))
}

// nonce extends the client's, or does not.
func (x *Session) nonce(client string) string {
	switch {
	case x.knobs.CutNonce:
		return client[:len(client)/2] + rand.Text()
	case x.knobs.BareNonce:
		return client
	}
	return client + rand.Text()
}

// binding is what ties SCRAM-…-PLUS to the TLS connection (RFC 9266).
func (x *Session) binding(flag string) (string, error) {
	plus := strings.HasSuffix(x.Mechanism, "-PLUS")
	switch {
	case plus && x.knobs.BreakBinding:
		return "", x.refuse("not-authorized")
	case plus && flag == "p=tls-exporter" && x.secure != nil:
		s := x.secure.ConnectionState()
		b, err := s.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		return string(b), err
	case !plus && flag == "n":
		return "", nil
	}
	return "", x.refuse("malformed-request")
}

// prove sends the server's signature, its last word.
func (x *Session) prove(signature []byte) error {
	word := "v=" + base64.StdEncoding.EncodeToString(signature)
	switch {
	case x.knobs.NoProof:
		return x.succeed("")
	case x.knobs.WrongProof:
		word = "v=" + base64.StdEncoding.EncodeToString(make([]byte, len(signature)))
	}
	if !x.knobs.InChallenge {
		return x.succeed(word)
	}
	if _, err := x.ask(word); err != nil {
		return err
	}
	return x.succeed("")
}

func mac(h func() hash.Hash, key []byte, s string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(s))
	return m.Sum(nil)
}
