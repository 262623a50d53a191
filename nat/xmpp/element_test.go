package xmpp

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	lab "gatehouse/lab/xmpp"
)

// from reads from a text, a few bytes at a time.
func from(s string) *reader {
	src := strings.NewReader(s)
	return &reader{fill: func(p []byte) (int, error) { return src.Read(p[:min(len(p), 7)]) }}
}

func TestStream(t *testing.T) {
	const head = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>`
	tests := []struct {
		name, in string
		n        int // children before the end
		err      error
	}{
		{"two and the end", head + `<iq/> <message><a>x</a>y<b/></message></stream:stream>`, 2, errClosed},
		{"cut between", head + `<iq/>`, 1, io.EOF},
		{"cut within", head + `<iq/><mess`, 1, io.EOF},
		{"large", head + lab.Attack("large") + "<after/>", 0, errTooLarge},
		{"a large attribute", head + lab.Attack("attribute") + "<after/>", 0, errTooLarge},
		{"deep", head + lab.Attack("deep") + "<after/>", 0, errTooDeep},
		{"wide", head + lab.Attack("wide") + "<after/>", 0, errTooMany},
		{"attributes", head + lab.Attack("attributes") + "<after/>", 0, errTooMany},
		{"a document type", head + lab.Attack("doctype"), 0, errForbid},
		{"a comment", head + lab.Attack("comment"), 0, errForbid},
		{"a comment within", head + `<iq><!-- x --></iq>`, 0, errForbid},
		{"an instruction", head + lab.Attack("instruction"), 0, errForbid},
		{"an instruction within", head + `<iq><?x y?></iq>`, 0, errForbid},
		{"text", head + "hello<iq/>", 0, errText},
		{"endless", head + "<a>" + strings.Repeat("x", maxSkipped), 0, errEndless},
		{"endless in a tag", head + "<a b='" + strings.Repeat(">", maxSkipped), 0, errEndless},
		{"marks in values and in CDATA", head + `<a b="&lt;/a>'" c='/>"'><![CDATA[</a>]]]]><d/></a><a/>`, 2, io.EOF},
		{"an end tag too many", head + `<a/></b>`, 1, nil},
		{"names that do not match", head + `<a></b></a>`, 0, nil},
		{"as deep as can be", head + strings.Repeat("<a>", maxDepth) + strings.Repeat("</a>", maxDepth), 1, io.EOF},
		{"one deeper", head + strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1) + "<after/>", 0, errTooDeep},
		{"large ones, one after the other", head + strings.Repeat(`<iq id="`+strings.Repeat("x", maxStanza/2)+`"/>`, 10), 10, io.EOF},
	}
	for _, test := range tests {
		s := newStream(from(test.in))
		if h, err := s.header(); err != nil || !h.is(nsStream, "stream") || h.attr("id") != "1" || h.attr("xmlns") != nsClient {
			t.Errorf("%s: header %+v, %v", test.name, h, err)
			continue
		}
		n := 0
		_, err := s.next()
		for ; err == nil; _, err = s.next() {
			n++
		}
		if skipped(err) { // and the one after it is read
			if e, err := s.next(); err != nil || !e.is(nsClient, "after") {
				t.Errorf("%s: then %+v, %v", test.name, e, err)
			}
		}
		if n != test.n || test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %d children, then %v; want %d, %v", test.name, n, err, test.n, test.err)
		}
	}
}

func TestHeaderForms(t *testing.T) {
	for in, good := range map[string]bool{
		`<s/>`:                       true,
		"\n<?xml version='1.0'?><s>": true,
		`<?xml version="1.0" encoding="utf-8"?><s>`:  true,
		`<?xml version="1.0" encoding="latin1"?><s>`: false,
		`<!DOCTYPE s><s>`:          false,
		`<?php ?><s>`:              false,
		`hello <s>`:                false,
		`HTTP/1.1 400 Bad Request`: false,
		``:                         false,
	} {
		if _, err := newStream(from(in)).header(); (err == nil) != good {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, s := range []string{"", "plain", `<>&"'`, "a\r\n\tb", "\x00", "\xff", "é€😀"} {
		e, _ := parse(t, `<a b="`+escape(s)+`"><c/></a>`)
		want := strings.NewReplacer("\x00", "�", "\xff", "�").Replace(s)
		if got := e.attr("b"); got != want {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// FuzzStream: no input makes the reader panic, loop, or keep more than a stanza.
func FuzzStream(f *testing.F) {
	const head = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>`
	f.Add(head + request("1", acsJID, "u", "p"))
	f.Add(head + `<stream:features><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms></stream:features>`)
	f.Add(head + `<stream:error><see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">a:1</see-other-host></stream:error></stream:stream>`)
	for _, a := range []string{"doctype", "entity", "instruction", "comment", "text", "unbalanced", "binary"} {
		f.Add(head + lab.Attack(a))
	}
	f.Fuzz(func(t *testing.T, in string) {
		s := newStream(from(in))
		if _, err := s.header(); err != nil {
			return
		}
		r := &responder{
			jid: JID{"cpe1", domain, "cwmp"}, guard: admit(func() {}),
			allowed: func() []string { return nil }, credentials: func() (string, string) { return "u", "p" },
		}
		for {
			e, err := s.next()
			if err != nil {
				return
			}
			if size(e) > maxStanza {
				t.Fatalf("an element of %d bytes", size(e))
			}
			_ = streamError(e)
			_ = mechanisms(e)
			if a := r.handle(e); a.xml != "" && xml.Unmarshal([]byte(a.xml), new(struct{})) != nil {
				t.Fatalf("the answer %q is not well-formed", a.xml)
			}
		}
	})
}

// size is what an element holds.
func size(e *element) int {
	n := len(e.text) + len(e.Local)
	for _, a := range e.attrs {
		n += len(a.Value) + len(a.Name.Local)
	}
	for _, c := range e.children {
		n += size(c)
	}
	return n
}

// FuzzSASL: no challenge makes a mechanism panic or work for long.
func FuzzSASL(f *testing.F) {
	f.Add([]byte(`realm="a",nonce="b",qop="auth",algorithm=md5-sess`), []byte("rspauth=0"))
	f.Add([]byte("r=abcdef,s=c2FsdA==,i=4096"), []byte("v=AAAA"))
	f.Fuzz(func(_ *testing.T, first, second []byte) {
		d := newDigest("u", "p", domain)
		if _, err := d.step(first); err == nil {
			_, _ = d.step(second)
		}
		if checkServerFirst(first, []byte("abc")) != nil || !regexp.MustCompile(`,i=\d{1,4}(,|$)`).Match(first) {
			return // refused, or slow
		}
		m := withNonce(begin(scram1, Params{Username: "u", Password: "p"}, nil, nil), "abc")
		_, _ = m.start()
		if _, err := m.step(first); err == nil {
			_, _ = m.step(second)
		}
	})
}
