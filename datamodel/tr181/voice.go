// Device.Services.VoiceService.{i}. (TR-104 2.0): the telephony that the
// provider's configuration offers. Its rows are what the provider says, and
// over it, parameter by parameter, what was written here: a parameter that
// nobody wrote follows the provider. Where the provider offers nothing there is
// nothing to write to, and what was written waits until it does.

package tr181

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Voice says what the provider offers.
type Voice interface {
	// VoiceSettings are nil when it offers no telephony.
	VoiceSettings() *VoiceSettings
}

// VoiceSettings are what a provider says of its telephony.
type VoiceSettings struct {
	Clients []VoiceClient
	Network VoiceNetwork
	Codecs  []string // as the provider calls them, best first
	Media   VoiceMedia
	// Credentials are for other realms than that of the clients: proxies.
	Credentials []VoiceCredential
	// Failed says that a voice stack could not be told.
	Failed bool
}

// VoiceMedia is what calls may use, beyond codecs. TR-104 has no place for it.
// A switch is "Enabled", "Disabled", or "" when nobody has said; a number is 0
// then.
type VoiceMedia struct {
	EchoCancellation, Video, RealTimeText, AdaptiveRate, ICE string
	Bandwidth, Upload, Download, FramesPerSecond             uint32 // as the provider counts
	Resolution                                               string
}

// A VoiceCredential is for one realm, and never sent elsewhere.
type VoiceCredential struct{ Realm, UserName, Password string }

// There is one voice service, with one network, whose keys these are.
const (
	voiceServicePath = "Device.Services.VoiceService.{i}."
	voiceServiceKey  = "provider"
	sipNetworkKey    = "provider"
)

// ours begins values and names that are not TR-104's.
const ours = "X_GATEHOUSE_"

type voiceService struct {
	alias   datamodel.Alias
	schemes []string
	VoiceMedia
}

var voiceSwitch = datamodel.Enum{"", "Enabled", "Disabled"}

var voiceServiceParams = []datamodel.Param[voiceService]{
	{Name: "Alias", At: func(v *voiceService) any { return &v.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Capabilities.SIP.Client.URISchemes", At: func(v *voiceService) any { return &v.schemes }},
	{Name: ours + "Media.EchoCancellation", At: func(v *voiceService) any { return &v.EchoCancellation }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.Video", At: func(v *voiceService) any { return &v.Video }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.RealTimeText", At: func(v *voiceService) any { return &v.RealTimeText }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.AdaptiveRate", At: func(v *voiceService) any { return &v.AdaptiveRate }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.ICE", At: func(v *voiceService) any { return &v.ICE }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.Bandwidth", At: func(v *voiceService) any { return &v.Bandwidth }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.Upload", At: func(v *voiceService) any { return &v.Upload }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.Download", At: func(v *voiceService) any { return &v.Download }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.FramesPerSecond", At: func(v *voiceService) any { return &v.FramesPerSecond }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.Resolution", At: func(v *voiceService) any { return &v.Resolution }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
}

// voiceTopics are hints of other values: from the provider, and none is needed
// of what was written here.
var voiceTopics = []datamodel.Topic{ProviderChanged}

func (m *Model) voiceService() datamodel.Object {
	m.voice = keep(m, "voice", overrideParams, override{})
	return datamodel.Define(voiceServicePath, voiceServiceParams, datamodel.Source[voiceService]{
		Topics: voiceTopics,
		Rows: voiceRows(m, func(ctx context.Context, s *VoiceSettings, yield func(datamodel.Row[voiceService]) bool) {
			yield(datamodel.Row[voiceService]{Key: voiceServiceKey, Value: m.voiceMedia(ctx, s)})
		}),
		Stage: stageOverrides(m, "service", voiceServiceParams),
	})
}

func (m *Model) voiceMedia(ctx context.Context, s *VoiceSettings) voiceService {
	v := voiceService{VoiceMedia: s.Media, schemes: []string{"sip", "sips"}}
	overlay(ctx, m, voiceServiceParams, &v, "service", voiceServiceKey)
	return v
}

// voiceRows makes Source.Rows of a function that is only called while the
// provider offers telephony.
func voiceRows[T any](m *Model, each func(context.Context, *VoiceSettings, func(datamodel.Row[T]) bool)) func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[T], error] {
	return func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[T], error] {
		return func(yield func(datamodel.Row[T], error) bool) {
			if s := m.a.Voice.VoiceSettings(); s != nil {
				each(ctx, s, func(r datamodel.Row[T]) bool { return yield(r, nil) })
			}
		}
	}
}

// An override is what was written to one parameter. Its keys are the table, the
// key of the row in it, and the name of the parameter.
type override struct{ value string }

var overrideParams = []datamodel.Param[override]{
	{Name: "Value", At: func(o *override) any { return &o.value }, Access: datamodel.ReadWrite},
}

// overlay puts what was written over what the provider says.
func overlay[T any](ctx context.Context, m *Model, params []datamodel.Param[T], row *T, at ...datamodel.Key) {
	written := m.overrides(ctx, at)
	if written == nil {
		return
	}
	// What is out of its limits by now is left alone: the provider's value counts.
	_ = datamodel.Fill(params, row, func(name string) (string, bool) { v, ok := written[name]; return v, ok })
}

func (m *Model) overrides(ctx context.Context, at []datamodel.Key) (written map[string]string) {
	for r, err := range m.voice.Rows(ctx, at) {
		if err != nil {
			break // the disk does not answer: what the provider says has to do
		}
		if written == nil {
			written = map[string]string{}
		}
		written[r.Key] = r.Value.value
	}
	return written
}

// stageOverrides makes Source.Stage of a table: what was assigned, be it what
// the provider says as well, counts from now on.
func stageOverrides[T any](m *Model, table string, params []datamodel.Param[T]) func(context.Context, *datamodel.Tx, []datamodel.Key, datamodel.Change[T]) error {
	return func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[T]) error {
		for i := range params {
			p := &params[i]
			if p.Access != datamodel.ReadWrite || p.Name == "Alias" || !c.Set(p.Name) {
				continue
			}
			key := []datamodel.Key{table, at[len(at)-1], p.Name}
			if err := m.voice.Stage(ctx, tx, key, datamodel.Change[override]{New: &override{datamodel.Text(params, c.New, p.Name)}}); err != nil {
				return err
			}
		}
		return nil
	}
}

// VoiceSections are what counts, for a voice stack, with its passwords; none
// when the provider offers no telephony. Options are called as the parameters
// of TR-104, in small letters: RegisterURI is register_uri. docs/voice.md has
// the list.
func (m *Model) VoiceSections(ctx context.Context) []platform.VoiceSection {
	s := m.a.Voice.VoiceSettings()
	if s == nil || m.voice == nil {
		return nil
	}
	n, media := m.voiceNetwork(ctx, s), m.voiceMedia(ctx, s)
	all := []platform.VoiceSection{
		section("sip_network", "network", sipNetworkParams, &n),
		section("media", "media", voiceServiceParams, &media),
	}
	for i, c := range s.Clients {
		r := m.client(ctx, s, c)
		one := section("sip_client", numbered("client", i), sipClientParams, &r)
		one.Options = append(one.Options, platform.VoiceOption{Name: "network", Value: all[0].Name})
		all = append(all, one)
	}
	for i, name := range codecs(s) {
		p := m.profile(ctx, name)
		one := section("codec", numbered("codec", i), codecProfileParams, &p)
		one.Options = append(one.Options, platform.VoiceOption{Name: "codec", Value: strings.TrimPrefix(name, ours)},
			platform.VoiceOption{Name: "format", Value: format(name)})
		all = append(all, one)
	}
	for i, c := range s.Credentials {
		all = append(all, platform.VoiceSection{Type: "sip_credential", Name: "gatehouse_" + numbered("credential", i), Options: []platform.VoiceOption{
			{Name: "realm", Value: c.Realm}, {Name: "auth_user_name", Value: c.UserName}, {Name: "auth_password", Value: c.Password},
		}})
	}
	return all
}

func numbered(name string, i int) string { return name + "_" + strconv.Itoa(i+1) }

// section makes a section of what can be written of a row.
func section[T any](typ, name string, params []datamodel.Param[T], row *T) platform.VoiceSection {
	s := platform.VoiceSection{Type: typ, Name: "gatehouse_" + name}
	for i := range params {
		if params[i].Access == datamodel.ReadWrite {
			s.Options = addOption(s.Options, params[i].Name, params[i].At(row))
		}
	}
	return s
}

// addOption adds one value, unless nobody has said it.
func addOption(to []platform.VoiceOption, name string, p any) []platform.VoiceOption {
	var v any
	switch p := p.(type) {
	case *string:
		if *p != "" {
			v = strings.TrimPrefix(*p, ours)
		}
	case *uint32:
		if *p != 0 {
			v = *p
		}
	case *[]string:
		if len(*p) > 0 {
			v = slices.Clone(*p)
		}
	case *bool:
		v = *p
	}
	if v == nil { // an Alias, too
		return to
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, ours), "Media.")
	return append(to, platform.VoiceOption{Name: snake(name), Value: v})
}

// snake is a name in small letters: "RegisterURI" is "register_uri", and
// "STUNEnable" "stun_enable".
func snake(name string) string {
	upper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	var b []byte
	for i := range len(name) {
		c := name[i]
		if i > 0 && upper(c) && (!upper(name[i-1]) || i+1 < len(name) && !upper(name[i+1])) {
			b = append(b, '_')
		}
		if upper(c) {
			c |= 0x20
		}
		b = append(b, c)
	}
	return string(b)
}
