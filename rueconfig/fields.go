// The keys that are understood, each one line: those of RFC 9248, of the
// drafts before it, and of the first deployed form (2015), in plain spelling.

package rueconfig

import (
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// A field is a known key: where its value goes, and what it may be. What at
// returns decides how it is read.
type field struct {
	key    string
	at     func(*Document) any // *string *Secret *int64 *bool *Switch *[]string *[]Contact
	lo, hi int64               // of a number
	uri    string              // the schemes that a URI may have
	read   func(d *Document, v value, where string) error
	secret bool // it, or some of it
}

var fields = [...]field{
	{key: "version", at: func(d *Document) any { return &d.Version }, hi: math.MaxInt32},
	{key: "lifetime", read: lifetime},
	{key: "expirationtime", read: lifetime},

	{key: "displayname", at: func(d *Document) any { return &d.DisplayName }},
	{key: "phonenumber", read: phone},
	{key: "username", at: func(d *Document) any { return &d.UserName }},
	{key: "providerdomain", read: domain},
	{key: "mwi", at: func(d *Document) any { return &d.MWI }, uri: "sip sips"},
	{key: "sipmwiuri", at: func(d *Document) any { return &d.MWI }, uri: "sip sips"},
	{key: "videomail", at: func(d *Document) any { return &d.Videomail }, uri: "sip sips"},
	{key: "sipvideomailuri", at: func(d *Document) any { return &d.Videomail }, uri: "sip sips"},
	{key: "contacts", at: func(d *Document) any { return &d.Contacts }, uri: "https"},
	{key: "carddav", at: func(d *Document) any { return &d.CardDAV }},
	{key: "rttserver", at: func(d *Document) any { return &d.RTTServer }},
	{key: "logging", at: func(d *Document) any { return &d.Logging }},
	{key: "sendlocationwithregistration", at: func(d *Document) any { return &d.SendLocation }},

	{key: "outboundproxies", at: func(d *Document) any { return &d.SIP.OutboundProxies }, uri: "sip sips"},
	{key: "sipregisterdomain", at: func(d *Document) any { return &d.SIP.Domain }},
	{key: "sipport", at: func(d *Document) any { return &d.SIP.Port }, hi: math.MaxUint16},
	{key: "sipregisterport", at: func(d *Document) any { return &d.SIP.Port }, hi: math.MaxUint16},
	{key: "sipregistertransport", read: transport},
	{key: "sipregisterusernames", at: func(d *Document) any { return &d.SIP.UserNames }},
	{key: "sipauthusername", at: func(d *Document) any { return &d.SIP.AuthUserName }},
	{key: "sippassword", at: func(d *Document) any { return &d.SIP.Password }, secret: true},
	{key: "sipauthpassword", at: func(d *Document) any { return &d.SIP.Password }, secret: true},
	{key: "sipregistrationmaximumthreshold", at: func(d *Document) any { return &d.SIP.MaximumInterval }, hi: math.MaxInt32},
	{key: "credentials", read: readCredentials},
	{key: "configurationauthpassword", at: func(d *Document) any { return &d.ConfigPassword }, secret: true},
	{key: "configurationauthexpiration", at: func(d *Document) any { return &d.ConfigPasswordExpires }, lo: -1, hi: math.MaxInt32},

	{key: "iceservers", read: iceServers},
	{key: "turnservers", read: iceServers},
	{key: "stunserver", read: stunServer},

	{key: "enabledcodecs", at: func(d *Document) any { return &d.Media.Codecs }},
	{key: "enableechocancellation", at: func(d *Document) any { return &d.Media.EchoCancellation }},
	{key: "enablevideo", at: func(d *Document) any { return &d.Media.Video }},
	{key: "enablertt", at: func(d *Document) any { return &d.Media.RealTimeText }},
	{key: "enableadaptiverate", at: func(d *Document) any { return &d.Media.AdaptiveRate }},
	{key: "enablestun", at: func(d *Document) any { return &d.Media.UseSTUN }},
	{key: "enableice", at: func(d *Document) any { return &d.Media.ICE }},
	{key: "bwlimit", at: func(d *Document) any { return &d.Media.Bandwidth }, hi: math.MaxInt32},
	{key: "uploadbandwidth", at: func(d *Document) any { return &d.Media.Upload }, hi: math.MaxInt32},
	{key: "downloadbandwidth", at: func(d *Document) any { return &d.Media.Download }, hi: math.MaxInt32},
	{key: "videopreferredframespersecond", at: func(d *Document) any { return &d.Media.FramesPerSecond }, hi: 1000},
	{key: "videoresolutionmaximum", at: func(d *Document) any { return &d.Media.Resolution }},

	{key: "signup", at: func(d *Document) any { return &d.SignUp }, uri: "sip sips tel https"},
	{key: "helpdesk", at: func(d *Document) any { return &d.HelpDesk }, uri: "sip sips tel https"},
	{key: "dialaround", at: func(d *Document) any { return &d.DialAround }, uri: "sip sips tel https"},

	{key: "cwmp", read: agent},
}

// fieldOf finds a known key by its plain spelling.
func fieldOf(plain string) *field {
	for i := range fields {
		if fields[i].key == plain {
			return &fields[i]
		}
	}
	return nil
}

// put reads v into d.
func (f *field) put(d *Document, v value, where string) (err error) {
	if f.read != nil {
		return f.read(d, v, where)
	}
	switch to := f.at(d).(type) {
	case *string:
		*to, err = f.line(v, where)
	case *Secret:
		var s string
		s, err = v.string(where)
		*to = Secret(s)
	case *int64:
		if *to, err = v.integer(where); err == nil && (*to < f.lo || *to > f.hi) {
			err = wrong(where, "%d is not between %d and %d", *to, f.lo, f.hi)
		}
	case *bool:
		*to, err = v.bool(where)
	case *Switch:
		var on bool
		on, err = v.bool(where)
		if *to = Off; on {
			*to = On
		}
	case *[]string:
		*to = nil
		for i, item := range v.list() {
			s, err := f.line(item, index(where, i))
			if err != nil {
				return err
			}
			*to = append(*to, s)
		}
	case *[]Contact:
		*to, err = f.people(v, where)
	}
	return err
}

// line is one text, or one URI.
func (f *field) line(v value, where string) (string, error) {
	if f.uri == "" {
		return v.string(where)
	}
	return v.uri(where, strings.Fields(f.uri)...)
}

func index(where string, i int) string { return where + "[" + strconv.Itoa(i) + "]" }

// lifetime is in seconds; one client of 2015 took it for days.
func lifetime(d *Document, v value, where string) error {
	n, err := v.integer(where)
	if err == nil && (n < 0 || n > math.MaxInt32) {
		err = wrong(where, "%d seconds is no time to keep anything", n)
	}
	d.Lifetime = time.Duration(n) * time.Second
	return err
}

// phone is a number as E.164 has it: "+" and up to 15 digits. Some providers
// leave the plus away.
func phone(d *Document, v value, where string) error {
	s, err := v.string(where)
	digits := strings.TrimPrefix(s, "+")
	if err == nil && (digits == "" || len(digits) > 15 || strings.Trim(digits, "0123456789") != "") {
		err = wrong(where, "not a telephone number (E.164)")
	}
	d.PhoneNumber = s
	return err
}

func domain(d *Document, v value, where string) error {
	s, err := v.string(where)
	if err == nil && !IsDomain(s) {
		err = wrong(where, "not a domain name")
	}
	d.ProviderDomain = s
	return err
}

// IsDomain says whether s can be a domain name: letters, digits and hyphens
// (RFC 1123 2.1), no address and no port.
func IsDomain(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 || net.ParseIP(s) != nil {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return true
}

func transport(d *Document, v value, where string) error {
	s, err := v.string(where)
	switch s = strings.ToUpper(s); {
	case err != nil:
	case s != "UDP" && s != "TCP" && s != "TLS":
		err = wrong(where, "not a transport of SIP (udp, tcp, tls)")
	}
	d.SIP.Transport = s
	return err
}

func readCredentials(d *Document, v value, where string) error {
	for i, item := range v.list() {
		at := index(where, i)
		if item.kind != object {
			return wrong(at, "an object was expected, not %s", item.kind)
		}
		var c Credential
		for _, f := range [...]struct {
			name string
			to   func(string)
		}{
			{"realm", func(s string) { c.Realm = s }},
			{"username", func(s string) { c.UserName = s }},
			{"password", func(s string) { c.Password = Secret(s) }},
		} {
			m, name, ok := item.member(f.name)
			if !ok {
				return wrong(join(at, f.name), "missing")
			}
			s, err := m.string(join(at, name))
			if err != nil {
				return err
			}
			f.to(s)
		}
		d.Credentials = append(d.Credentials, c)
	}
	return nil
}

// iceServers are texts ("stun:host"), objects with a scheme for a name
// ({"turn": "host:port"}), or objects with a uri.
func iceServers(d *Document, v value, where string) error {
	for i, item := range v.list() {
		at := index(where, i)
		if item.kind != object {
			s, err := item.string(at)
			if err != nil {
				return err
			}
			if err := d.iceServer(at, s); err != nil {
				return err
			}
			continue
		}
		for _, m := range item.members {
			s, err := m.value.string(join(at, m.name))
			if err != nil {
				return err
			}
			switch p := plain(m.name); p {
			case "stun", "stuns", "turn", "turns":
				s = p + ":" + strings.TrimPrefix(s, p+":")
			case "uri", "url", "urls":
			default:
				continue // credentials of a TURN server
			}
			if err := d.iceServer(join(at, m.name), s); err != nil {
				return err
			}
		}
	}
	return nil
}

func stunServer(d *Document, v value, where string) error {
	s, err := v.string(where)
	if err != nil || s == "" {
		return err
	}
	return d.iceServer(where, "stun:"+strings.TrimPrefix(s, "stun:"))
}

// iceServer adds a server by its URI (RFC 7064, RFC 7065).
func (d *Document) iceServer(where, uri string) error {
	scheme, rest, _ := strings.Cut(uri, ":")
	switch scheme = strings.ToLower(scheme); scheme {
	case "stun", "stuns", "turn", "turns":
	default:
		return wrong(where, "not a STUN or TURN URI")
	}
	rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	if rest == "" || strings.ContainsAny(rest, "/@ ") {
		return wrong(where, "not a STUN or TURN URI")
	}
	d.ICEServers = append(d.ICEServers, ICEServer{scheme, rest})
	return nil
}

// people reads [{language, uri}], with whatever else they hold ignored.
func (f *field) people(v value, where string) (all []Contact, err error) {
	for i, item := range v.list() {
		w := index(where, i)
		if item.kind != object {
			return nil, wrong(w, "an object was expected, not %s", item.kind)
		}
		var c Contact
		for _, m := range item.members {
			switch plain(m.name) {
			case "language":
				c.Language, err = m.value.string(join(w, m.name))
			case "uri", "frontdoor":
				c.URI, err = f.line(m.value, join(w, m.name))
			}
			if err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// agentSettings are the keys of the section "cwmp" in plain spelling, and what
// TR-181 calls them below ManagementServer.
var agentSettings = [...]struct {
	key, name string
	secret    bool
}{
	{"acsurl", "URL", false},
	{"username", "Username", false},
	{"password", "Password", true},
	{"periodicinformenable", "PeriodicInformEnable", false},
	{"periodicinforminterval", "PeriodicInformInterval", false},
	{"connectionrequestusername", "ConnectionRequestUsername", false},
	{"connectionrequestpassword", "ConnectionRequestPassword", true},
	{"stun.enable", "STUNEnable", false},
	{"stun.server", "STUNServerAddress", false},
	{"stun.port", "STUNServerPort", false},
	{"stun.username", "STUNUsername", false},
	{"stun.password", "STUNPassword", true},
	{"stun.minimumkeepaliveperiod", "STUNMinimumKeepAlivePeriod", false},
	{"stun.maximumkeepaliveperiod", "STUNMaximumKeepAlivePeriod", false},
}

// agentSetting finds a setting of the agent.
func agentSetting(key string) (Setting, bool) {
	for _, s := range agentSettings {
		if s.key == key {
			return Setting{Name: "ManagementServer." + s.name, Secret: s.secret}, true
		}
	}
	return Setting{}, false
}

// agent reads the section that concerns the agent itself. A key that it does
// not know is an error here: it is our own section, and a typing error in it
// would cost the way to the ACS.
func agent(d *Document, v value, where string) error {
	if v.kind != object {
		return wrong(where, "an object was expected, not %s", v.kind)
	}
	return d.Agent.read("", v, where)
}

func (a *Agent) read(prefix string, v value, where string) error {
	if err := spelledOnce(v); err != nil {
		return err
	}
	for _, m := range v.members {
		at, name := join(where, m.name), prefix+plain(m.name)
		var err error
		switch s, ok := agentSetting(name); {
		case m.value.kind == null:
		case ok:
			s.Value, err = m.value.plainText(at)
			a.Settings = append(a.Settings, s)
		case name == "stun" && m.value.kind == object:
			err = a.read("stun.", m.value, at)
		case name == "xmpp" && m.value.kind == object:
			err = a.XMPP.read(m.value, at)
		default:
			err = wrong(at, "not a setting of the agent")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *XMPP) read(v value, where string) error {
	if err := spelledOnce(v); err != nil {
		return err
	}
	for _, m := range v.members {
		at := join(where, m.name)
		s, err := Secret(""), error(nil)
		if m.value.kind != array {
			s, err = m.value.plainText(at)
		}
		switch plain(m.name) {
		case "domain":
			if x.Domain = string(s); err == nil && !IsDomain(x.Domain) {
				err = wrong(at, "not a domain name")
			}
		case "username":
			x.UserName = string(s)
		case "password":
			x.Password = s
		case "resource":
			x.Resource = string(s)
		case "allowedjabberids":
			for i, item := range m.value.list() {
				id, err := item.string(index(at, i))
				if err != nil {
					return err
				}
				x.AllowedJabberIDs = append(x.AllowedJabberIDs, id)
			}
		default:
			err = wrong(at, "not a setting of an XMPP connection")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// plainText is a text, number or boolean as a setting has it.
func (v value) plainText(where string) (Secret, error) {
	switch v.kind {
	case text:
		s, err := v.string(where)
		return Secret(s), err
	case number, boolean:
		return Secret(v.text), nil
	}
	return "", wrong(where, "a text, number or boolean was expected, not %s", v.kind)
}
