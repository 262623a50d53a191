package acs

// This file names the knobs of Chaos.Wire and Chaos.Envelope.

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func wireKnobs() []Knob {
	return []Knob{
		{"chunked", "SIZE", "answers in chunks of so many bytes", func(o *Options, v string) (err error) { o.Chaos.Wire.Chunked, err = strconv.Atoi(v); return err }},
		{"coding", "gzip|deflate|raw-deflate", "answers compressed, asked for or not", func(o *Options, v string) error {
			return pick(&o.Chaos.Wire.Coding, v, map[string]string{"gzip": "gzip", "deflate": "deflate", "raw-deflate": "raw-deflate"})
		}},
		{"slow", "DURATION", "answers trickle: this long before each byte", func(o *Options, v string) (err error) { o.Chaos.Wire.Trickle, err = time.ParseDuration(v); return err }},
		{"half-close", "", "our direction is shut down after each answer", func(o *Options, _ string) error { o.Chaos.Wire.HalfClose = true; return nil }},
		{"close", "after|politely", "the connection is closed after each answer", func(o *Options, v string) error { return pick(&o.Chaos.Wire.Close, v, cuts) }},
		{"nothing", "200|202|204", "the status of an answer without an envelope", func(o *Options, v string) (err error) { o.Chaos.Wire.Empty, err = strconv.Atoi(v); return err }},
		{"blank", "", "and white space as its body", func(o *Options, _ string) error {
			o.Chaos.Wire.Blank = " \r\n\t\n"
			if o.Chaos.Wire.Empty == 0 {
				o.Chaos.Wire.Empty = 200
			}
			return nil
		}},
	}
}

func envelopeKnobs() []Knob {
	flag := func(at func(*Envelope) *bool) func(*Options, string) error {
		return func(o *Options, _ string) error { *at(&o.Chaos.Envelope) = true; return nil }
	}
	return []Knob{
		{"prefix", "PREFIX|none", "the prefix of the SOAP namespace", func(o *Options, v string) error { o.Chaos.Envelope.Prefix = v; return nil }},
		{"no-id", "", "envelopes without cwmp:ID", flag(func(e *Envelope) *bool { return &e.NoID })},
		{"no-header", "", "envelopes without a Header", flag(func(e *Envelope) *bool { return &e.NoHeader })},
		{"no-types", "", "arrays without arrayType", flag(func(e *Envelope) *bool { return &e.NoTypes })},
		{"bom", "", "a byte order mark", flag(func(e *Envelope) *bool { return &e.BOM })},
		{"space", "", "white space before and after", flag(func(e *Envelope) *bool { return &e.Space })},
		{"cdata", "", "texts in CDATA", flag(func(e *Envelope) *bool { return &e.CDATA })},
		{"comments", "", "comments everywhere", flag(func(e *Envelope) *bool { return &e.Comments })},
		{"indent", "", "white space between elements and around names", flag(func(e *Envelope) *bool { return &e.Indent })},
		{"declaration", "long|none", "an XML declaration over several lines, or none", func(o *Options, v string) error {
			return pick(&o.Chaos.Envelope.Declaration, v, map[string]string{"long": LongDeclaration, "none": "none"})
		}},
		{"nul", "", "a NUL byte at the end", flag(func(e *Envelope) *bool { return &e.NUL })},
		{"broken-fault", "", "faults that are not XML: <soap-env:Body:Fault>, as GenieACS", flag(func(e *Envelope) *bool { return &e.BrokenFault })},
	}
}

// oneOf lists the keys of a table for help.
func oneOf[V any](table map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), "|")
}
