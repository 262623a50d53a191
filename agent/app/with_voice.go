//go:build !no_rue

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/agent/settings"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/store"
	"gatehouse/platform"
	"gatehouse/rueconfig"
)

// voice is the telephony of the provider's configuration: shown in the data
// model, and what counts there handed to a voice stack. That is the platform's,
// or whoever reads our file (docs/voice.md).
type voice struct {
	agent  *Agent
	rue    *rue
	chore  *chore
	failed atomic.Bool // a voice stack could not be told
	wrote  string      // our file, when there is one; run owns it
}

// voiceAgain is how long to wait when a voice stack could not be told.
const voiceAgain = 10 * time.Minute

// run tells a voice stack when what counts may have changed.
func (v *voice) run(ctx context.Context) (again time.Duration, err error) {
	failed := v.tell(ctx, v.agent.model.VoiceSections(ctx))
	if failed != nil && ctx.Err() == nil {
		again = voiceAgain
		v.agent.log.Warn("the voice stack does not have the provider's configuration", "err", failed, "again", again)
	}
	if v.failed.Swap(failed != nil) != (failed != nil) {
		v.agent.hint(tr181.ProviderChanged)
	}
	return again, nil
}

// tell makes a voice stack's configuration be these sections.
func (v *voice) tell(ctx context.Context, sections []platform.VoiceSection) error {
	changed, where := false, "the system's"
	err := platform.ErrNoVoice
	if stack := v.agent.cfg.Platform.Voice; stack != nil {
		changed, err = stack.Put(ctx, sections)
	}
	if errors.Is(err, platform.ErrNoVoice) {
		where = v.agent.settings.Get(settings.RUEVoiceFile)
		if where == "" {
			where = filepath.Join(v.agent.cfg.Run, "voice.json")
		}
		changed, err = v.write(where, sections)
	}
	if changed {
		v.agent.log.Info("the voice stack has another configuration", "where", where, "sections", len(sections))
	}
	return err
}

// maxVoice bounds what is read of our file, to compare.
const maxVoice = 1 << 20

// write makes our file hold the sections; without any there is no file.
func (v *voice) write(path string, sections []platform.VoiceSection) (changed bool, err error) {
	var fsys store.FS = store.OS{}
	if v.agent.cfg.RunFS != nil {
		fsys = v.agent.cfg.RunFS
	}
	if v.wrote != "" && v.wrote != path { // it holds passwords
		if err := remove(fsys, v.wrote); err != nil {
			return false, err
		}
		v.wrote = ""
	}
	have, err := fsys.ReadFile(path, maxVoice)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return false, err
	}
	if len(sections) == 0 {
		if missing {
			return false, nil
		}
		return true, remove(fsys, path)
	}
	text, err := voiceJSON(sections)
	if err != nil {
		return false, err
	}
	if v.wrote = path; bytes.Equal(text, have) {
		return false, nil
	}
	return true, store.Replace(fsys, path, text)
}

func remove(fsys store.FS, path string) error {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// voiceJSON is one object: a list for each type of section, in their order.
func voiceJSON(sections []platform.VoiceSection) ([]byte, error) {
	all := map[string]any{"version": 1}
	for _, s := range sections {
		one := map[string]any{"name": s.Name}
		for _, o := range s.Options {
			one[o.Name] = o.Value
		}
		list, _ := all[s.Type].([]any)
		all[s.Type] = append(list, one)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	return append(text, '\n'), err
}

// VoiceSettings implements tr181.Voice.
func (v *voice) VoiceSettings() *tr181.VoiceSettings {
	c, err := v.rue.present()
	if err != nil {
		return nil
	}
	d := c.State().Document
	if d == nil {
		return nil
	}
	s := v.agent.settings
	offer := telephony(d, s.Get(settings.RUEDomain), s.Get(settings.RUEPassword))
	if offer != nil {
		offer.Failed = v.failed.Load()
	}
	return offer
}

// telephony is what a document offers; nil when that is none. The domain and
// the password are those of the configuration, for a document that has none
// (RFC 9248 9.2.2).
func telephony(d *rueconfig.Document, domain, password string) *tr181.VoiceSettings {
	users := d.SIP.UserNames
	for _, u := range [...]string{d.PhoneNumber, d.UserName} {
		if len(users) == 0 && u != "" {
			users = []string{u}
		}
	}
	if len(users)+len(d.Media.Codecs)+len(d.SIP.OutboundProxies) == 0 && d.SIP.Domain == "" {
		return nil
	}
	for _, said := range [...]string{d.ProviderDomain, d.SIP.Domain} {
		if said != "" {
			domain = said
		}
	}
	s := &tr181.VoiceSettings{Network: sipNetwork(d, domain), Media: media(d.Media), Codecs: d.Media.Codecs}
	used := map[int]bool{}
	for _, user := range users {
		c, credential := sipClient(d, user, domain, password)
		if slices.ContainsFunc(s.Clients, func(o tr181.VoiceClient) bool { return o.Key == c.Key }) {
			continue
		}
		if used[credential] = true; credential >= 0 {
			s.Network.Realm = d.Credentials[credential].Realm
		}
		s.Clients = append(s.Clients, c)
	}
	for i, c := range d.Credentials {
		if !used[i] {
			s.Credentials = append(s.Credentials, tr181.VoiceCredential{Realm: c.Realm, UserName: c.UserName, Password: string(c.Password)})
		}
	}
	return s
}

// sipClient is the account of a user, and which of the credentials it uses; -1:
// none.
func sipClient(d *rueconfig.Document, user, domain, password string) (c tr181.VoiceClient, credential int) {
	uri := user
	if !strings.Contains(uri, "@") {
		uri += "@" + domain
	}
	if !strings.Contains(uri, ":") {
		uri = "sip:" + uri
	}
	_, user, _ = strings.Cut(uri, ":")
	user, _, _ = strings.Cut(user, "@")
	c = tr181.VoiceClient{Key: user, Enable: true, RegisterURI: uri, DisplayName: d.DisplayName, MWI: d.MWI, Videomail: d.Videomail}

	credential = -1
	for i, have := range d.Credentials {
		// Of several for the realm the one in the user's name is meant.
		if strings.EqualFold(have.Realm, domain) && (credential < 0 || have.UserName == user) {
			credential = i
		}
	}
	names := []string{d.SIP.AuthUserName, "", d.UserName, user}
	passwords := []string{string(d.SIP.Password), "", password}
	if credential >= 0 {
		names[1], passwords[1] = d.Credentials[credential].UserName, string(d.Credentials[credential].Password)
	}
	c.AuthUserName, c.AuthPassword = first(names), first(passwords)
	return c, credential
}

func first(texts []string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// sipNetwork is where the servers are. A port and a transport that nobody has
// said are left to DNS.
func sipNetwork(d *rueconfig.Document, domain string) tr181.VoiceNetwork {
	n := tr181.VoiceNetwork{
		Enable: true, ProxyServer: domain, RegistrarServer: domain, UserAgentDomain: domain,
		ProxyServerPort: uint32(d.SIP.Port), RegistrarServerPort: uint32(d.SIP.Port),
		RegistrationPeriod: uint32(d.SIP.MaximumInterval), SendLocation: d.SendLocation,
	}
	transport := ""
	if proxies := d.SIP.OutboundProxies; len(proxies) > 0 {
		n.OutboundProxy, n.OutboundProxyPort, transport = sipURI(proxies[0])
		n.MoreOutboundProxies = proxies[1:]
	}
	if d.SIP.Transport != "" {
		transport = d.SIP.Transport
	}
	n.ProxyServerTransport, n.RegistrarServerTransport = transport, transport
	for _, s := range d.ICEServers {
		n.ICEServers = append(n.ICEServers, s.Scheme+":"+s.Address)
		if strings.HasPrefix(s.Scheme, "stun") && n.STUNServer == "" {
			n.STUNServer = s.Address
		}
	}
	n.STUNEnable = d.Media.UseSTUN == rueconfig.On || d.Media.UseSTUN == rueconfig.NotSaid && n.STUNServer != ""
	return n
}

// sipURI is the server that a URI names (RFC 3261 19.1).
func sipURI(uri string) (host string, port uint32, transport string) {
	scheme, rest, _ := strings.Cut(uri, ":")
	rest, _, _ = strings.Cut(rest, "?")
	rest, params, _ := strings.Cut(rest, ";")
	host = strings.TrimPrefix(rest[strings.LastIndexByte(rest, '@')+1:], "//")
	if h, p, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			host, port = h, uint32(n)
		}
	}
	if strings.EqualFold(scheme, "sips") {
		transport = "TLS"
	}
	for p := range strings.SplitSeq(params, ";") {
		name, v, _ := strings.Cut(p, "=")
		if v = strings.ToUpper(v); strings.EqualFold(name, "transport") && slices.Contains([]string{"UDP", "TCP", "TLS", "SCTP"}, v) && transport == "" {
			transport = v
		}
	}
	return strings.Trim(host, "[]"), port, transport
}

func media(m rueconfig.Media) tr181.VoiceMedia {
	on := func(s rueconfig.Switch) string { return [...]string{"", "Disabled", "Enabled"}[s] }
	return tr181.VoiceMedia{
		EchoCancellation: on(m.EchoCancellation), Video: on(m.Video), RealTimeText: on(m.RealTimeText),
		AdaptiveRate: on(m.AdaptiveRate), ICE: on(m.ICE), Resolution: m.Resolution,
		Bandwidth: uint32(m.Bandwidth), Upload: uint32(m.Upload), Download: uint32(m.Download), FramesPerSecond: uint32(m.FramesPerSecond),
	}
}
