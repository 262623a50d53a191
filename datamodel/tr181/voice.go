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

// A voiceRow is a row of any of the tables of telephony, of which it fills the
// part that is that table's: each row type of its own would cost flash.
type voiceRow struct {
	alias          datamodel.Alias
	status, origin string
	ref            datamodel.Ref // of a client its network, of a profile its codec
	enable         bool          // of a profile
	schemes        []string      // of the service
	codec          string
	client         VoiceClient
	network        VoiceNetwork
	media          VoiceMedia
}

type voiceParam = datamodel.Param[voiceRow]

// voiceTable binds one of the tables. rows is only called while the provider offers
// telephony; table is what its rows are kept under, when they can be written.
func (m *Model) voiceTable(path, table string, params []voiceParam, rows func(context.Context, *VoiceSettings) iter.Seq2[datamodel.Key, voiceRow]) datamodel.Object {
	src := datamodel.Source[voiceRow]{
		Topics: []datamodel.Topic{ProviderChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[voiceRow], error] {
			return func(yield func(datamodel.Row[voiceRow], error) bool) {
				s := m.a.Voice.VoiceSettings()
				if s == nil {
					return
				}
				for key, r := range rows(ctx, s) {
					if !yield(datamodel.Row[voiceRow]{Key: key, Value: &r}, nil) {
						return
					}
				}
			}
		},
	}
	if table != "" {
		src.Stage = m.stageOverrides(table, params)
	}
	return datamodel.Define(path, params, src)
}

// oneVoiceRow are the rows of a table with one.
func oneVoiceRow(key datamodel.Key, row func(context.Context, *VoiceSettings) voiceRow) func(context.Context, *VoiceSettings) iter.Seq2[datamodel.Key, voiceRow] {
	return func(ctx context.Context, s *VoiceSettings) iter.Seq2[datamodel.Key, voiceRow] {
		return func(yield func(datamodel.Key, voiceRow) bool) { yield(key, row(ctx, s)) }
	}
}

var voiceSwitch = datamodel.Enum{"", "Enabled", "Disabled"}

var voiceServiceParams = []voiceParam{
	{Name: "Alias", At: func(v *voiceRow) any { return &v.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Capabilities.SIP.Client.URISchemes", At: func(v *voiceRow) any { return &v.schemes }},
	{Name: ours + "Media.EchoCancellation", At: func(v *voiceRow) any { return &v.media.EchoCancellation }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.Video", At: func(v *voiceRow) any { return &v.media.Video }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.RealTimeText", At: func(v *voiceRow) any { return &v.media.RealTimeText }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.AdaptiveRate", At: func(v *voiceRow) any { return &v.media.AdaptiveRate }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.ICE", At: func(v *voiceRow) any { return &v.media.ICE }, Access: datamodel.ReadWrite, Check: voiceSwitch},
	{Name: ours + "Media.Bandwidth", At: func(v *voiceRow) any { return &v.media.Bandwidth }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.Upload", At: func(v *voiceRow) any { return &v.media.Upload }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.Download", At: func(v *voiceRow) any { return &v.media.Download }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.FramesPerSecond", At: func(v *voiceRow) any { return &v.media.FramesPerSecond }, Access: datamodel.ReadWrite},
	{Name: ours + "Media.Resolution", At: func(v *voiceRow) any { return &v.media.Resolution }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
}

func (m *Model) voiceService() datamodel.Object {
	keep(m, &m.voice, "voice", overrideParams, nil)
	return m.voiceTable(voiceServicePath, "service", voiceServiceParams, oneVoiceRow(voiceServiceKey, m.voiceMedia))
}

func (m *Model) voiceMedia(ctx context.Context, s *VoiceSettings) voiceRow {
	v := voiceRow{media: s.Media, schemes: []string{"sip", "sips"}}
	m.overlay(ctx, voiceServiceParams, &v, "service", voiceServiceKey)
	return v
}

// An override is what was written to one parameter. Its keys are the table, the
// key of the row in it, and the name of the parameter.
type override struct{ value string }

var overrideParams = []datamodel.Param[override]{
	{Name: "Value", At: func(o *override) any { return &o.value }, Access: datamodel.ReadWrite},
}

// overlay puts what was written over what the provider says.
func (m *Model) overlay(ctx context.Context, params []voiceParam, row *voiceRow, at ...datamodel.Key) {
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
func (m *Model) stageOverrides(table string, params []voiceParam) func(context.Context, *datamodel.Tx, []datamodel.Key, datamodel.Change[voiceRow]) error {
	return func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[voiceRow]) error {
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
		voiceSection("sip_network", "network", sipNetworkParams, &n),
		voiceSection("media", "media", voiceServiceParams, &media),
	}
	for i, c := range s.Clients {
		r := m.client(ctx, s, c)
		one := voiceSection("sip_client", numbered("client", i), sipClientParams, &r)
		one.Options = append(one.Options, platform.VoiceOption{Name: "network", Value: all[0].Name})
		all = append(all, one)
	}
	i := 0
	for name, r := range m.codecs(ctx, s) {
		one := voiceSection("codec", numbered("codec", i), codecProfileParams, &r)
		one.Options = append(one.Options, platform.VoiceOption{Name: "codec", Value: strings.TrimPrefix(name, ours)},
			platform.VoiceOption{Name: "format", Value: codecFormat(name)})
		all = append(all, one)
		i++
	}
	for i, c := range s.Credentials {
		all = append(all, platform.VoiceSection{Type: "sip_credential", Name: "gatehouse_" + numbered("credential", i), Options: []platform.VoiceOption{
			{Name: "realm", Value: c.Realm}, {Name: "auth_user_name", Value: c.UserName}, {Name: "auth_password", Value: c.Password},
		}})
	}
	return all
}

func numbered(name string, i int) string { return name + "_" + strconv.Itoa(i+1) }

// voiceSection makes a section of what can be written of a row.
func voiceSection(typ, name string, params []voiceParam, row *voiceRow) platform.VoiceSection {
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
