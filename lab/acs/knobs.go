package acs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Knob is one way to misbehave that has a name: `NAME` or `NAME=VALUE` for
// Options.Apply and for a command line.
type Knob struct {
	Name  string
	Value string // what may stand behind the =, for help; "" when nothing may
	About string
	turn  func(o *Options, value string) error
}

// phases are the parts of a session that a Trouble may belong to.
var phases = []string{"inform", "call", "empty", "answer"}

// Knobs are all of them, in the order of the help. Those of a Trouble come
// without their phase: `status` is `inform.status`, and there are
// `call.status`, `empty.status` and `answer.status`.
func Knobs() []Knob {
	var all []Knob
	for _, list := range [][]Knob{troubleKnobs(), cookieKnobs(), authKnobs(), wireKnobs(), envelopeKnobs()} {
		all = append(all, list...)
	}
	return all
}

// Apply turns the knobs of a list as `slow=10ms,inform.status=503,retry-after=60`.
// A redirect may name a URL; commas within values are not possible.
func (o *Options) Apply(list string) error {
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		if err := o.apply(word); err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

func (o *Options) apply(word string) error {
	name, value, _ := strings.Cut(word, "=")
	ph, bare, phased := strings.Cut(name, ".")
	if !phased {
		ph, bare = phases[0], name
	}
	for _, k := range troubleKnobs() {
		if k.Name != bare {
			continue
		}
		var t Options // the knob writes to the Inform's trouble of this one
		at := map[string]*Trouble{"inform": &o.Chaos.Inform, "call": &o.Chaos.Call, "empty": &o.Chaos.Empty, "answer": &o.Chaos.Answer}[ph]
		if at == nil {
			return fmt.Errorf("there is no phase %q; there are %s", ph, strings.Join(phases, ", "))
		}
		t.Chaos.Inform = *at
		err := k.turn(&t, value)
		*at = t.Chaos.Inform
		return err
	}
	for _, k := range Knobs() {
		if k.Name == name {
			return k.turn(o, value)
		}
	}
	return errors.New("there is no such knob; help lists them")
}

func troubleKnobs() []Knob {
	text := func(at func(*Trouble) *string) func(*Options, string) error {
		return func(o *Options, v string) error { *at(&o.Chaos.Inform) = v; return nil }
	}
	count := func(at func(*Trouble) *int) func(*Options, string) error {
		return func(o *Options, v string) (err error) { *at(&o.Chaos.Inform), err = strconv.Atoi(v); return err }
	}
	return []Knob{
		{"delay", "DURATION", "wait before answering", func(o *Options, v string) (err error) { o.Chaos.Inform.Delay, err = time.ParseDuration(v); return err }},
		{"hang", "", "never answer", func(o *Options, _ string) error { o.Chaos.Inform.Hang = true; return nil }},
		{"cut", "before|header|body|after|politely", "cut the connection there", func(o *Options, v string) error { return pick(&o.Chaos.Inform.Cut, v, cuts) }},
		{"redirect", "URL", "answer 302 to this URL; {n} counts", text(func(t *Trouble) *string { return &t.Redirect })},
		{"status", "CODE", "answer with this status", count(func(t *Trouble) *int { return &t.Status })},
		{"retry-after", "SECONDS|DATE", "with this Retry-After (together with status)", text(func(t *Trouble) *string { return &t.RetryAfter })},
		{"busy", "", "503 with Retry-After: 60, as GenieACS under load", busy},
		{"already", "", "400 and the words of an ACS that has a session with this device already", already},
		{"fault", "CODE", "answer with this fault: 8005 asks for a retry", count(func(t *Trouble) *int { return &t.Fault })},
		{"body", "TEXT", "answer 200 with this text", text(func(t *Trouble) *string { return &t.Body })},
		{"say", "ELEMENT", "answer with this element, out of order or unasked for", text(func(t *Trouble) *string { return &t.Say })},
		{"early", "", "before asking for credentials", func(o *Options, _ string) error { o.Chaos.Inform.BeforeAuth = true; return nil }},
		{"skip", "N", "leave the first N in peace", count(func(t *Trouble) *int { return &t.Skip })},
		{"times", "N", "only N times", count(func(t *Trouble) *int { return &t.Times })},
	}
}

func busy(o *Options, _ string) error {
	o.Chaos.Inform.Status, o.Chaos.Inform.RetryAfter = 503, "60"
	return nil
}

func already(o *Options, _ string) error {
	o.Chaos.Inform.Status, o.Chaos.Inform.Body = 400, "CPE already in session"
	return nil
}

var cuts = map[string]Cut{"before": CutBefore, "header": CutHeader, "body": CutBody, "after": CutAfter, "politely": CutPolitely}

func pick[V any](at *V, word string, table map[string]V) error {
	v, ok := table[word]
	if !ok {
		return fmt.Errorf("%q is not possible", word)
	}
	*at = v
	return nil
}

// CookieShapes are the Set-Cookie headers of the knob `cookie`, by name.
var CookieShapes = map[string][]string{
	"none":        {},
	"no-path":     {"session={id}"},
	"root":        {"session={id}; Path=/"},
	"acs":         {"session={id}; Path=/acs"},
	"elsewhere":   {"session={id}; Path=/other/place"},
	"two":         {"session={id}; Path=/", "lb=node-7"},
	"odd-case":    {"SESSION={id};PATH=/;httponly;  MAX-age=3600 ;sAmEsItE=lax"},
	"long":        {"session={id}; Path=/", "state=" + strings.Repeat("0123456789abcdef", 40)},
	"quoted":      {`session="{id}"; Version="1"; Path="/"`},
	"odd-bytes":   {"session={id}; path=/; comment=a=b", "odd=a=b==/+:{}[]"},
	"domain":      {"session={id}; Domain=.example.net; Path=/"},
	"date":        {"session={id}; Path=/; expires=Thu, 31-Dec-2037 23:55:55 GMT"},
	"twenty":      twenty(),
	"with-spaces": {"  session = {id} ; Path = / "},
}

// twenty cookies are what RFC 2109 6.3 asks a client to keep per host.
func twenty() []string {
	all := []string{"session={id}; Path=/"}
	for i := range 19 {
		all = append(all, fmt.Sprintf("c%d=v%d; Path=/", i, i))
	}
	return all
}

func cookieKnobs() []Knob {
	return []Knob{
		{"cookie", oneOf(CookieShapes), "the shape of our session cookies", func(o *Options, v string) error { return pick(&o.SetCookie, v, CookieShapes) }},
		{"cookie-early", "", "set them with the first 401 already", func(o *Options, _ string) error { o.CookieEarly = true; return nil }},
		{"hold", "", "HoldRequests in the InformResponse", func(o *Options, _ string) error { o.HoldRequests = true; return nil }},
		{"namespace", "URN", "the cwmp namespace of our envelopes", func(o *Options, v string) error { o.Namespace = v; return nil }},
	}
}

// ChallengeShapes are the values of the knob `challenge`: those that a CPE can
// answer, and those that it cannot and must give up on.
var ChallengeShapes = map[string]string{
	"double":        "Basic realm={realm}\nDigest realm={realm}, nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5",
	"one-line":      `Basic realm={realm}, Digest realm={realm}, nonce="{nonce}", qop="auth", algorithm=MD5`,
	"unknown-too":   "Negotiate\nDigest realm={realm}, nonce=\"{nonce}\", qop=\"auth\"\nBearer realm=\"x\"",
	"unknown-first": "Digest realm={realm}, nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA3-256\nDigest realm={realm}, nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5",
	"bare":          `Digest realm={realm},nonce={nonce},qop=auth,algorithm="MD5"`,
	"two-qops":      `Digest realm={realm}, nonce="{nonce}", qop="auth,auth-int"`,
	"odd-case":      `DIGEST Realm={realm},  NONCE="{nonce}" ,QOP="AUTH",Algorithm=md5,`,
	"no-qop":        `Digest realm={realm}, nonce="{nonce}"`,
	"empty":         ``,
	"no-nonce":      `Digest realm={realm}, qop="auth"`,
	"unterminated":  `Digest realm={realm}, nonce="{nonce}", qop="auth`,
	"qop-unknown":   `Digest realm={realm}, nonce="{nonce}", qop="auth-conf"`,
	"algorithm":     `Digest realm={realm}, nonce="{nonce}", qop="auth", algorithm=MD6`,
	"bytes":         "Digest realm=\"\x80\xff\", nonce=\"{nonce}\", qop=\"auth\", algorithm=MD)",
}

func authKnobs() []Knob {
	return []Knob{
		{"nonce", "socket|free", "whether nonces are bound to their connection", func(o *Options, v string) error {
			return pick(&o.Digest.FreeNonce, v, map[string]bool{"socket": false, "free": true})
		}},
		{"nonce-uses", "N", "a nonce is stale after N uses", func(o *Options, v string) (err error) { o.Digest.NonceUses, err = strconv.Atoi(v); return err }},
		{"next-nonce", "", "every answer brings the next nonce", func(o *Options, _ string) error { o.Digest.NextNonce = true; return nil }},
		{"opaque", "TEXT", "an opaque that must come back", func(o *Options, v string) error { o.Digest.Opaque = v; return nil }},
		{"realm", "TEXT", "the realm", func(o *Options, v string) error { o.Digest.Realm = v; return nil }},
		{"algorithm", "MD5|MD5-sess|SHA-256|SHA-256-sess|both", "the digest algorithm", algorithm},
		{"challenge", oneOf(ChallengeShapes), "the shape of our challenge", challengeShape},
	}
}

func algorithm(o *Options, v string) error {
	o.Digest.Algorithms = []string{v}
	if v == "both" {
		o.Digest.Algorithms = []string{"SHA-256", "MD5"}
	}
	return nil
}

func challengeShape(o *Options, v string) error {
	if err := pick(&o.Digest.Challenge, v, ChallengeShapes); err != nil {
		return err
	}
	switch v {
	case "empty":
		o.Digest.Challenge = "\n"
	case "no-qop":
		o.Digest.RFC2069 = true
	case "two-qops":
		o.Digest.QOP = "auth,auth-int"
	}
	return nil
}
