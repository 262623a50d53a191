package xmpp

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mellium.im/sasl"
)

// This file chooses among the SASL mechanisms that a server offers and runs
// them one step at a time. The mechanisms themselves are mellium.im/sasl's,
// except DIGEST-MD5. What a server sends is checked here before it gets there.

// Bounds on the iterations of SCRAM: each costs us two hashes before the server
// has proven anything, and very few would let it guess the password offline.
const (
	minIterations = 1000
	maxIterations = 100_000
)

// A mechanism is one exchange of SASL (RFC 4422) from the client's side.
type mechanism interface {
	// start returns the initial response; nil: there is none.
	start() ([]byte, error)
	// step answers a challenge.
	step(challenge []byte) ([]byte, error)
	// trusted reports whether the server has proven that it knows the password
	// too, or the mechanism has no such proof.
	trusted() bool
}

// Names of the mechanisms, as servers offer them.
const (
	scram256Plus = "SCRAM-SHA-256-PLUS"
	scram256     = "SCRAM-SHA-256"
	scram1Plus   = "SCRAM-SHA-1-PLUS"
	scram1       = "SCRAM-SHA-1"
	digestMD5    = "DIGEST-MD5"
	plainText    = "PLAIN"
)

// choose returns the mechanisms to try, best first. Names that we do not know
// are passed over. Weak mechanisms are never tried where SCRAM is on offer, so
// that nobody on the way gets the password by making SCRAM fail.
func choose(offered []string, p Params, state *tls.ConnectionState, bindings []string) []string {
	has := func(m string) bool { return slices.Contains(offered, m) }
	var out []string
	for _, m := range []string{scram256Plus, scram256, scram1Plus, scram1} {
		if has(m) && (!strings.HasSuffix(m, "-PLUS") || canBind(state, bindings)) {
			out = append(out, m)
		}
	}
	switch {
	case len(out) > 0:
		return out
	case has(digestMD5) && p.DigestMD5:
		return []string{digestMD5}
	case has(plainText) && (state != nil || p.PlainInClear):
		return []string{plainText}
	}
	return nil
}

// canBind reports whether SCRAM can be bound to the TLS channel by the exporter
// of TLS 1.3 (RFC 9266), and the server says that it does that (XEP-0440): there
// are servers that offer -PLUS and then know older bindings only, and count a
// failed login (ejabberd 23.01). Those, as tls-unique, are not safe without
// extended master secrets, and not tried.
func canBind(state *tls.ConnectionState, bindings []string) bool {
	return state != nil && state.Version >= tls.VersionTLS13 && slices.Contains(bindings, "tls-exporter")
}

// begin makes the exchange of a mechanism that choose returned.
func begin(name string, p Params, state *tls.ConnectionState, offered []string) mechanism {
	if name == digestMD5 {
		return newDigest(p.Username, string(p.Password), p.Domain)
	}
	options := []sasl.Option{
		sasl.RemoteMechanisms(offered...),
		sasl.Credentials(func() (user, password, identity []byte) {
			return []byte(p.Username), []byte(p.Password), nil
		}),
	}
	if state != nil {
		options = append(options, sasl.TLSState(*state))
	}
	known := map[string]sasl.Mechanism{
		scram256Plus: sasl.ScramSha256Plus, scram256: sasl.ScramSha256,
		scram1Plus: sasl.ScramSha1Plus, scram1: sasl.ScramSha1, plainText: sasl.Plain,
	}
	return &negotiated{n: sasl.NewClient(known[name], options...), scram: name != plainText}
}

// negotiated is a mechanism of mellium.im/sasl.
type negotiated struct {
	n     *sasl.Negotiator
	scram bool
	steps int
	done  bool // the server's last word was right
}

var errSteps = errors.New("a challenge too many")

func (m *negotiated) start() ([]byte, error) {
	_, resp, err := m.n.Step(nil)
	return resp, err
}

func (m *negotiated) step(challenge []byte) ([]byte, error) {
	if !m.scram || m.steps == 2 {
		return nil, errSteps
	}
	if m.steps++; m.steps == 1 {
		if err := checkServerFirst(challenge, m.n.Nonce()); err != nil {
			return nil, err
		}
	}
	if m.steps == 2 {
		challenge = bytes.TrimRight(challenge, "\r\n")
		if e, failed := bytes.CutPrefix(challenge, []byte("e=")); failed {
			return nil, fmt.Errorf("the server refuses: %.64q", e)
		}
	}
	more, resp, err := m.n.Step(challenge)
	if err != nil {
		if m.steps == 2 {
			return nil, errors.New("the server does not know the password: its signature is wrong")
		}
		return nil, err
	}
	m.done = !more
	return resp, nil
}

func (m *negotiated) trusted() bool { return m.done || !m.scram }

// checkServerFirst checks the first message of a SCRAM server (RFC 5802 5.1)
// before any work is done on it: r=nonce,s=salt,i=iterations, and perhaps
// extensions. The library would run whatever number of iterations it says, and
// would never return from an attribute without a value.
func checkServerFirst(message, cnonce []byte) error {
	fields := strings.Split(string(message), ",")
	if len(fields) < 3 || len(message) > 4096 {
		return errors.New("not the message of a SCRAM server")
	}
	for i, f := range fields {
		if len(f) < 3 || f[1] != '=' || i < 3 && f[0] != "rsi"[i] {
			return errors.New("not the message of a SCRAM server")
		}
		if i >= 3 && strings.IndexByte("rsim", f[0]) >= 0 {
			return errors.New("not the message of a SCRAM server")
		}
	}
	if r := fields[0][2:]; !strings.HasPrefix(r, string(cnonce)) || len(r) == len(cnonce) {
		return errors.New("the server's nonce does not extend ours")
	}
	if salt, err := base64.StdEncoding.DecodeString(fields[1][2:]); err != nil || len(salt) == 0 {
		return errors.New("the server's salt is not base64")
	}
	n, err := strconv.ParseUint(fields[2][2:], 10, 31)
	if err != nil || n < minIterations || n > maxIterations {
		return fmt.Errorf("the server asks for %.16s iterations: not between %d and %d", fields[2][2:], minIterations, maxIterations)
	}
	return nil
}

// encode returns SASL data as it stands in an element (RFC 6120 6.4.2): nothing
// for none, "=" for data of no length.
func encode(data []byte) string {
	switch {
	case data == nil:
		return ""
	case len(data) == 0:
		return "="
	}
	return base64.StdEncoding.EncodeToString(data)
}

// decode is the inverse; it forgives line breaks, which servers fold long data
// with.
func decode(text string) ([]byte, error) {
	text = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, text)
	if text == "" || text == "=" {
		return []byte{}, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("not base64")
	}
	return data, nil
}
