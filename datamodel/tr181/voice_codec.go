// Device.Services.VoiceService.{i}.Capabilities.Codec.{i}. and CodecProfile.{i}.:
// the codecs that the provider names. Those are all that is known: what the
// voice stack has beyond them it does not say.

package tr181

import (
	"context"
	"slices"
	"strings"

	"gatehouse/datamodel"
)

// codecNames are the codecs that have a name in TR-104, that of a file format
// or RTP encoding by which voice stacks know them, and how providers spell them.
var codecNames = [...]struct{ name, format, spelled string }{
	{"G.711MuLaw", "ulaw", " g711 g711mulaw g711u pcmu ulaw "},
	{"G.711ALaw", "alaw", " g711 g711alaw g711a pcma alaw "},
	{"G.722", "g722", " g722 "},
	{"G.722.1", "siren7", " g7221 "},
	{"G.722.2", "amrwb", " g7222 amrwb "},
	{"G.723.1", "g723", " g723 g7231 "},
	{"G.726", "g726", " g726 g72632 "},
	{"G.729", "g729", " g729 g729a "},
	{"GSM-FR", "gsm", " gsm gsmfr "},
	{"iLBC", "ilbc", " ilbc "},
	{"Speex", "speex", " speex "},
	{"AMR", "amr", " amr "},
}

// spelling is how codecs are compared: letters and digits.
func spelling(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'A' <= c && c <= 'Z':
			return c | 0x20
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		}
		return -1
	}, name)
}

// codecs names the provider's codecs as TR-104 does, best first. G.711 is two;
// one that TR-104 does not know, of video above all, is an X_GATEHOUSE_ one.
func codecs(s *VoiceSettings) []string {
	var all []string
	add := func(name string) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, said := range s.Codecs {
		known, word := false, spelling(said)
		if word == "" {
			continue
		}
		for _, c := range codecNames {
			if strings.Contains(c.spelled, " "+word+" ") {
				add(c.name)
				known = true
			}
		}
		if !known {
			add(ours + said)
		}
	}
	return all
}

// format is what a voice stack calls a codec.
func format(name string) string {
	for _, c := range codecNames {
		if c.name == name {
			return c.format
		}
	}
	return spelling(strings.TrimPrefix(name, ours)) // h264, vp8, opus
}

const voiceCodecPath = voiceServicePath + "Capabilities.Codec.{i}."

type voiceCodec struct {
	alias datamodel.Alias
	codec string
}

var voiceCodecParams = []datamodel.Param[voiceCodec]{
	{Name: "Alias", At: func(c *voiceCodec) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Codec", At: func(c *voiceCodec) any { return &c.codec }},
}

func (m *Model) voiceCodec() datamodel.Object {
	return datamodel.Define(voiceCodecPath, voiceCodecParams, datamodel.Source[voiceCodec]{
		Topics: voiceTopics,
		Rows: voiceRows(m, func(_ context.Context, s *VoiceSettings, yield func(datamodel.Row[voiceCodec]) bool) {
			for _, name := range codecs(s) {
				if !yield(datamodel.Row[voiceCodec]{Key: name, Value: voiceCodec{codec: name}}) {
					return
				}
			}
		}),
	})
}

type codecProfile struct {
	enable bool
	alias  datamodel.Alias
	codec  datamodel.Ref
}

var codecProfileParams = []datamodel.Param[codecProfile]{
	{Name: "Enable", At: func(c *codecProfile) any { return &c.enable }, Access: datamodel.ReadWrite},
	{Name: "Alias", At: func(c *codecProfile) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Codec", At: func(c *codecProfile) any { return &c.codec }, Refs: []string{voiceCodecPath}},
}

func (m *Model) codecProfile() datamodel.Object {
	return datamodel.Define(voiceServicePath+"CodecProfile.{i}.", codecProfileParams, datamodel.Source[codecProfile]{
		Topics: voiceTopics,
		Rows: voiceRows(m, func(ctx context.Context, s *VoiceSettings, yield func(datamodel.Row[codecProfile]) bool) {
			for _, name := range codecs(s) {
				if !yield(datamodel.Row[codecProfile]{Key: name, Value: m.profile(ctx, name)}) {
					return
				}
			}
		}),
		Stage: stageOverrides(m, "codec", codecProfileParams),
	})
}

// profile is a codec as it counts: what the provider names is allowed.
func (m *Model) profile(ctx context.Context, name string) codecProfile {
	p := codecProfile{enable: true, codec: datamodel.Ref{Table: voiceCodecPath, At: []datamodel.Key{voiceServiceKey, name}}}
	overlay(ctx, m, codecProfileParams, &p, "codec", name)
	return p
}
