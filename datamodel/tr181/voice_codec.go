// Device.Services.VoiceService.{i}.Capabilities.Codec.{i}. and CodecProfile.{i}.:
// the codecs that the provider names. Those are all that is known: what the
// voice stack has beyond them it does not say.

package tr181

import (
	"context"
	"iter"
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

// saidCodecs names the provider's codecs as TR-104 does, best first. G.711 is two;
// one that TR-104 does not know, of video above all, is an X_GATEHOUSE_ one.
func saidCodecs(s *VoiceSettings) []string {
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

// codecFormat is what a voice stack calls a codec.
func codecFormat(name string) string {
	for _, c := range codecNames {
		if c.name == name {
			return c.format
		}
	}
	return spelling(strings.TrimPrefix(name, ours)) // h264, vp8, opus
}

const voiceCodecPath = voiceServicePath + "Capabilities.Codec.{i}."

var voiceCodecParams = []voiceParam{
	{Name: "Alias", At: func(r *voiceRow) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Codec", At: func(r *voiceRow) any { return &r.codec }},
}

func (m *Model) voiceCodec() datamodel.Object {
	return m.voiceTable(voiceCodecPath, "", voiceCodecParams, m.codecs)
}

var codecProfileParams = []voiceParam{
	{Name: "Enable", At: func(r *voiceRow) any { return &r.enable }, Access: datamodel.ReadWrite},
	{Name: "Alias", At: func(r *voiceRow) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Codec", At: func(r *voiceRow) any { return &r.ref }, Refs: []string{voiceCodecPath}},
}

func (m *Model) codecProfile() datamodel.Object {
	return m.voiceTable(voiceServicePath+"CodecProfile.{i}.", "codec", codecProfileParams, m.codecs)
}

// codecs are the codecs as they count, both what they are and their profiles:
// what the provider names is allowed.
func (m *Model) codecs(ctx context.Context, s *VoiceSettings) iter.Seq2[datamodel.Key, voiceRow] {
	return func(yield func(datamodel.Key, voiceRow) bool) {
		for _, name := range saidCodecs(s) {
			r := voiceRow{codec: name, enable: true, ref: datamodel.Ref{Table: voiceCodecPath, At: []datamodel.Key{voiceServiceKey, name}}}
			m.overlay(ctx, codecProfileParams, &r, "codec", name)
			if !yield(name, r) {
				return
			}
		}
	}
}
