// Package rueconfig finds, fetches and keeps the configuration that a provider
// has for a subscriber: one JSON document, from a server that DNS names, by
// HTTPS and HTTP Digest (RFC 9248 and the drafts before it).
package rueconfig

import (
	"encoding/json"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A Document is the configuration of one subscriber. Fields that the provider
// does not send are zero.
type Document struct {
	Version  int64         // of the format
	Lifetime time.Duration // how long it may be kept; 0: not said

	DisplayName    string
	PhoneNumber    string // E.164: the user part of the SIP URI
	UserName       string
	ProviderDomain string

	SIP         SIP
	Media       Media
	Credentials []Credential
	ICEServers  []ICEServer

	MWI, Videomail, Contacts, CardDAV, RTTServer, Logging string
	SendLocation                                          bool // with each registration

	SignUp, HelpDesk, DialAround []Contact // of the provider

	// ConfigPassword replaces the password of the next fetch; it expires after
	// so many seconds, -1: never.
	ConfigPassword        Secret
	ConfigPasswordExpires int64

	// Agent is what the document says to the management agent itself.
	Agent Agent

	// Keys are all the keys of the document, in its order.
	Keys []Key
}

// SIP is how to register.
type SIP struct {
	OutboundProxies []string // SIP URIs, best first
	Domain          string
	Port            int64 // 0: as the URI or DNS says
	Transport       string
	UserNames       []string
	AuthUserName    string
	Password        Secret // "": that of the configuration
	MaximumInterval int64  // seconds between registrations; 0: not said
}

// Media is what calls may use.
type Media struct {
	Codecs                                                            []string
	EchoCancellation, Video, RealTimeText, AdaptiveRate, UseSTUN, ICE Switch
	Bandwidth, Upload, Download, FramesPerSecond                      int64 // as the provider counts; 0: not said
	Resolution                                                        string
}

// A Switch is on, off or not said.
type Switch uint8

// Switches.
const (
	NotSaid Switch = iota
	Off
	On
)

// A Credential is for one realm, and never sent elsewhere.
type Credential struct {
	Realm, UserName string
	Password        Secret
}

// An ICEServer helps through NAT.
type ICEServer struct{ Scheme, Address string } // stun, stuns, turn, turns; host:port

// A Contact is how to reach the provider, in one language.
type Contact struct{ Language, URI string }

// Agent is the section that concerns the management agent.
type Agent struct {
	Settings []Setting
	XMPP     XMPP
}

// A Setting of the agent, by its TR-181 name without "Device.".
type Setting struct {
	Name   string
	Value  Secret
	Secret bool
}

// XMPP is a connection over which the ACS can reach the agent (TR-069 Annex K).
type XMPP struct {
	Domain, UserName, Resource string
	Password                   Secret
	AllowedJabberIDs           []string
}

// A Key is one key of a document as it came.
type Key struct {
	Name   string
	Value  string // as JSON; "***" where it holds secrets
	Origin Origin
	Known  bool
}

// Origin says which of the provider's settings a key is from.
type Origin uint8

// Origins.
const (
	Subscriber Origin = iota // or one document that the server has merged
	Provider
)

func (o Origin) String() string {
	if o == Provider {
		return "provider"
	}
	return "subscriber"
}

// Parse reads the documents of a subscriber and of the provider as a whole;
// either may be nil. A key of the subscriber replaces that of the provider,
// and null takes it out. A known key of a wrong type refuses both.
func Parse(provider, subscriber []byte) (*Document, error) {
	var keys []key
	for o, data := range [...][]byte{Subscriber: subscriber, Provider: provider} {
		if data == nil {
			continue
		}
		v, err := parse(data)
		if err != nil {
			return nil, err
		}
		if err := spelledOnce(v); err != nil {
			return nil, err
		}
		keys = slices.Grow(keys, len(v.members))
		for _, m := range v.members {
			keys = append(keys, key{m, plain(m.name), Origin(o)})
		}
	}
	keys = merge(keys)
	d := &Document{Keys: make([]Key, 0, len(keys))}
	for i, k := range keys {
		if err := d.take(k); err != nil {
			return nil, err
		}
		keys[i] = key{} // a large document is not kept twice: as it came, and as it is shown
	}
	return d, nil
}

// key is a member of a document on its way into a merged one.
type key struct {
	member
	plain  string
	origin Origin
}

// merge has what the subscriber says go before what the provider says of all.
func merge(keys []key) []key {
	own := map[string]bool{}
	for _, k := range keys {
		if k.origin == Subscriber {
			own[k.plain] = true
		}
	}
	keys = slices.DeleteFunc(keys, func(k key) bool {
		return k.origin == Provider && own[k.plain] || k.value.kind == null
	})
	sort.SliceStable(keys, func(i, j int) bool { return keys[i].origin > keys[j].origin })
	return keys
}

// plain is the name of a key without what spellings differ in: display-name,
// displayName and display_name are one key.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// spelledOnce refuses two spellings of one key.
func spelledOnce(v value) error {
	seen := map[string]string{}
	for _, m := range v.members {
		if was, ok := seen[plain(m.name)]; ok {
			return wrong(join("", m.name), "stands there as %s, too", join("", was))
		}
		seen[plain(m.name)] = m.name
	}
	return nil
}

// take puts one key into the document.
func (d *Document) take(k key) error {
	f := fieldOf(k.plain)
	shown := Key{Name: k.name, Value: stars, Origin: k.origin, Known: f != nil}
	if f == nil || !f.secret {
		shown.Value = string(k.value.print(nil, secretName(k.plain)))
	}
	d.Keys = append(d.Keys, shown)
	if f == nil {
		return nil
	}
	return f.put(d, k.value, k.name)
}

// secretName says whether a key is called like a secret.
func secretName(plain string) bool {
	return strings.Contains(plain, "password") || strings.Contains(plain, "secret") ||
		strings.HasSuffix(plain, "token") || strings.HasSuffix(plain, "key")
}

// print writes v as JSON, with what is called like a secret, at any depth,
// masked.
func (v value) print(b []byte, secret bool) []byte {
	switch {
	case v.kind == null:
		return append(b, "null"...)
	case v.kind < array && secret:
		return append(b, `"`+stars+`"`...)
	case v.kind == text:
		return quote(b, v.text)
	case v.kind < array:
		return append(b, v.text...)
	case v.kind == array:
		b = append(b, '[')
		for i, item := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.print(b, secret)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i, m := range v.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(quote(b, m.name), ':')
		b = m.value.print(b, secret || secretName(plain(m.name)))
	}
	return append(b, '}')
}

// quote writes a JSON text.
func quote(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // cannot be: a text has JSON
		return append(b, `""`...)
	}
	return append(b, q...)
}

// uri wants an absolute URI of one of the schemes, and returns it.
func (v value) uri(where string, schemes ...string) (string, error) {
	s, err := v.string(where)
	if err != nil || s == "" {
		return "", err
	}
	u, err := url.Parse(s)
	if err != nil || !slices.Contains(schemes, strings.ToLower(u.Scheme)) || u.Host == "" && u.Opaque == "" {
		return "", wrong(where, "a URI was expected (%s)", strings.Join(schemes, ", "))
	}
	return s, nil
}

// string wants a text of one line.
func (v value) string(where string) (string, error) {
	if v.kind != text {
		return "", wrong(where, "a text was expected, not %s", v.kind)
	}
	if strings.ContainsFunc(v.text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", wrong(where, "a control character")
	}
	return v.text, nil
}

// integer wants a whole number, and takes one in quotes: the oldest servers
// send these.
func (v value) integer(where string) (int64, error) {
	if v.kind != number && v.kind != text {
		return 0, wrong(where, "a number was expected, not %s", v.kind)
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil {
		return 0, wrong(where, "a whole number was expected")
	}
	return n, nil
}

// bool wants true or false, and takes them in quotes likewise.
func (v value) bool(where string) (bool, error) {
	if v.kind != boolean && v.kind != text || v.text != "true" && v.text != "false" {
		return false, wrong(where, "true or false was expected")
	}
	return v.text == "true", nil
}

// list wants an array, and takes a single value for one.
func (v value) list() []value {
	if v.kind != array {
		return []value{v}
	}
	return v.items
}

// member returns a member of an object by any of its spellings.
func (v value) member(name string) (value, string, bool) {
	for _, m := range v.members {
		if plain(m.name) == name {
			return m.value, m.name, m.value.kind != null
		}
	}
	return value{}, name, false
}
