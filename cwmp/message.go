package cwmp

// This file puts an envelope around what a method has to say.

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// A dialect is what an envelope needs to know of the version of CWMP.
type dialect struct {
	minor int // 0 to 4 of CWMP 1.x
}

// parseVersion reads "1.0" to "1.4"; "" is "1.4".
func parseVersion(s string) (dialect, error) {
	if s == "" {
		return dialect{minor: 4}, nil
	}
	if len(s) == 3 && s[:2] == "1." && s[2] >= '0' && s[2] <= '4' {
		return dialect{minor: int(s[2] - '0')}, nil
	}
	return dialect{}, fmt.Errorf("no CWMP version %q: it is 1.0 to 1.4", s)
}

func (d dialect) String() string { return "1." + strconv.Itoa(d.minor) }

// namespace of the version: 1.2, 1.3 and 1.4 share one.
func (d dialect) namespace() string { return nsCWMP + strconv.Itoa(min(d.minor, 2)) }

// A header is what stands in the SOAP header of an envelope of ours.
type header struct {
	id             string // "" leaves ID out
	sessionTimeout time.Duration
	versions       bool // offer SupportedCWMPVersions
}

// begin writes the envelope up to the body.
func (w *writer) begin(d dialect, h header) {
	w.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<soap-env:Envelope xmlns:soap-env="` + nsEnvelope + `" xmlns:soap-enc="` + nsEncoding +
		`" xmlns:xsd="` + nsSchema + `" xmlns:xsi="` + nsInstance + `" xmlns:cwmp="`)
	w.raw(d.namespace() + "\">\n<soap-env:Header>")
	if h.id != "" {
		w.raw(`<cwmp:ID soap-env:mustUnderstand="1">`)
		w.b = appendEscaped(w.b, h.id)
		w.raw("</cwmp:ID>")
	}
	if h.sessionTimeout > 0 && d.minor >= 3 {
		w.raw(`<cwmp:SessionTimeout soap-env:mustUnderstand="0">`)
		w.b = strconv.AppendInt(w.b, int64(h.sessionTimeout/time.Second), 10)
		w.raw("</cwmp:SessionTimeout>")
	}
	if h.versions && d.minor >= 4 {
		w.raw(`<cwmp:SupportedCWMPVersions soap-env:mustUnderstand="0">1.0,1.1,1.2,1.3,1.4</cwmp:SupportedCWMPVersions>`)
	}
	w.raw("</soap-env:Header>\n<soap-env:Body>")
}

// body ends the envelope and hands it over.
func (w *writer) body() *Body {
	w.raw("</soap-env:Body>\n</soap-env:Envelope>\n")
	if w.list == nil {
		return &Body{head: w.b}
	}
	return &Body{head: w.b[:w.split:w.split], tail: w.b[w.split:], list: w.list}
}

// A message is a Call or a Response.
type message interface {
	Method() string
	write(ctx context.Context, w *writer) error
}

// encode makes the envelope of a message; errors are those of its lists.
func encode(ctx context.Context, d dialect, h header, m message, limit int) (*Body, error) {
	w := &writer{limit: limit, minor: d.minor}
	w.begin(d, h)
	w.open("cwmp:" + m.Method())
	if err := m.write(ctx, w); err != nil {
		return nil, err
	}
	w.close("cwmp:" + m.Method())
	return w.body(), nil
}

// encodeFault makes the envelope of a fault of ours (TR-069 3.5).
func encodeFault(d dialect, id string, f *Fault) *Body {
	w := &writer{}
	w.begin(d, header{id: id})
	faultcode := "Server"
	if f.client() {
		faultcode = "Client"
	}
	w.raw("<soap-env:Fault>")
	w.text("faultcode", faultcode)
	w.text("faultstring", "CWMP fault")
	w.raw("<detail><cwmp:Fault>")
	w.int("FaultCode", int64(f.Code))
	w.text("FaultString", f.text())
	for _, p := range f.Parameters {
		w.open("SetParameterValuesFault")
		w.text("ParameterName", p.Name)
		w.int("FaultCode", int64(p.Code))
		text := p.Message
		if text == "" {
			text = FaultText(p.Code)
		}
		w.text("FaultString", text)
		w.close("SetParameterValuesFault")
	}
	w.raw("</cwmp:Fault></detail></soap-env:Fault>")
	return w.body()
}

// encodeMustUnderstand refuses a header element that we do not know but must
// understand (SOAP 1.1, 4.2.3 and 4.4.1).
func encodeMustUnderstand(d dialect, id, name string) *Body {
	w := &writer{}
	w.begin(d, header{id: id})
	w.raw("<soap-env:Fault>")
	w.text("faultcode", "soap-env:MustUnderstand")
	w.text("faultstring", "header element "+name+" is not understood")
	w.raw("</soap-env:Fault>")
	return w.body()
}
