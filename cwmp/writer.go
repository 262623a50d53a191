package cwmp

// This file writes envelopes: a small encoder that appends to a buffer. What
// it writes is pure ASCII and well formed whatever texts it is given.

import (
	"context"
	"io"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"
)

// Namespaces of SOAP 1.1 and XML Schema (TR-069 3.5).
const (
	nsEnvelope = "http://schemas.xmlsoap.org/soap/envelope/"
	nsEncoding = "http://schemas.xmlsoap.org/soap/encoding/"
	nsSchema   = "http://www.w3.org/2001/XMLSchema"
	nsInstance = "http://www.w3.org/2001/XMLSchema-instance"
	nsCWMP     = "urn:dslforum-org:cwmp-1-" // and the version: 0, 1 or 2
)

// A writer collects the text of one envelope. One long list per envelope is
// kept apart in a spool; it belongs at offset split of b.
type writer struct {
	b     []byte
	list  *spool
	split int
	limit int // bytes the spool may take
	minor int // of the CWMP version
}

func (w *writer) raw(s string)     { w.b = append(w.b, s...) }
func (w *writer) open(name string) { w.b = append(append(append(w.b, '<'), name...), '>') }

func (w *writer) close(name string) {
	w.b = append(append(append(w.b, "</"...), name...), ">\n"...)
}

// text writes an element that holds s, escaped.
func (w *writer) text(name, s string) {
	w.open(name)
	w.b = appendEscaped(w.b, s)
	w.close(name)
}

func (w *writer) int(name string, n int64) {
	w.open(name)
	w.b = strconv.AppendInt(w.b, n, 10)
	w.close(name)
}

func (w *writer) bool(name string, v bool) {
	if v {
		w.int(name, 1)
	} else {
		w.int(name, 0)
	}
}

// time writes a dateTime with its zone, to the second; the zero time is the
// Unknown Time.
func (w *writer) time(name string, t time.Time) {
	w.open(name)
	w.b = t.AppendFormat(w.b, "2006-01-02T15:04:05Z07:00")
	w.close(name)
}

// array opens a SOAP array: its count must be exact (TR-069 3.5).
func (w *writer) array(name, typ string, count int) {
	w.b = append(append(w.b, '<'), name...)
	w.b = append(append(w.b, ` soap-enc:arrayType="`...), typ...)
	w.b = strconv.AppendInt(append(w.b, '['), int64(count), 10)
	w.raw(`]">`)
}

// strings writes an array of xsd:string.
func (w *writer) strings(name string, list []string) {
	w.array(name, "xsd:string", len(list))
	for _, s := range list {
		w.text("string", s)
	}
	w.close(name)
}

// faultStruct writes how a transfer or an operation ended; nil is success.
func (w *writer) faultStruct(name string, f *Fault) {
	w.open(name)
	if f == nil {
		w.raw("<FaultCode>0</FaultCode><FaultString></FaultString>")
	} else {
		w.int("FaultCode", int64(f.Code))
		w.text("FaultString", truncate(f.text(), 256))
	}
	w.close(name)
}

// transferFault is faultStruct with the codes that a TransferComplete may
// carry: few, and in CWMP 1.0 fewer (its schema; TR-069 A.3.3.2).
func (w *writer) transferFault(f *Fault) {
	if f != nil {
		c := *f
		switch code := f.Code; {
		case code >= 9010 && code <= 9012, code == FaultRequestDenied, code == FaultInternalError, code >= 9800 && code <= 9899:
		case code >= 9014 && code <= 9020 && w.minor > 0, code >= 9033 && code <= 9799:
		case code >= 9013 && code <= 9020:
			c.Code, c.Message = FaultTransfer, f.text()
		default:
			c.Code, c.Message = FaultInternalError, f.text()
		}
		f = &c
	}
	w.faultStruct("FaultStruct", f)
}

// truncate cuts s to n characters.
func truncate(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// values spools a list of parameters with their values.
func (w *writer) values(ctx context.Context, list iter.Seq2[ParameterValue, error]) error {
	return spoolList(ctx, w, "ParameterValueStruct", "</Value>", list, func(s *spool, p ParameterValue) error {
		t := append(s.scratch[:0], `</Name><Value xsi:type="`...)
		if p.Type == "" {
			t = append(t, "xsd:string"...)
		}
		s.scratch = append(appendEscaped(t, p.Type), `">`...)
		return s.add(p.Name, p.Value, s.scratch)
	})
}

// spoolList reads a whole list into the spool of w and writes the element
// around it. An error of the list, or of the context, is returned as it is.
func spoolList[T any](ctx context.Context, w *writer, element, end string, list iter.Seq2[T, error], add func(*spool, T) error) error {
	s := newSpool(element, end, w.limit)
	if list != nil {
		for item, err := range list {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = add(s, item)
			}
			if err != nil {
				return err
			}
		}
	}
	w.array("ParameterList", "cwmp:"+element, s.count)
	w.list, w.split = s, len(w.b)
	w.close("ParameterList")
	return nil
}

// appendEscaped appends s as XML text or attribute value: the five special
// characters escaped, all but printable ASCII, tab and line feed as numeric
// references (TR-069 3.4.1). What XML 1.0 cannot carry (control bytes, invalid
// UTF-8) becomes U+FFFD, so that the envelope stays well formed.
func appendEscaped(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '<' && c != '>' && c != '&' && c != '"' && c != '\'' || c == '\t' || c == '\n' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		r, size := utf8.DecodeRuneInString(s[i:])
		b = appendReference(b, r)
		i += size
		start = i
	}
	return append(b, s[start:]...)
}

func appendReference(b []byte, r rune) []byte {
	switch r {
	case '<':
		return append(b, "&lt;"...)
	case '>':
		return append(b, "&gt;"...)
	case '&':
		return append(b, "&amp;"...)
	case '"':
		return append(b, "&quot;"...)
	case '\'':
		return append(b, "&apos;"...)
	}
	if r < 0x20 && r != '\r' || r == 0xfffe || r == 0xffff {
		r = utf8.RuneError
	}
	b = strconv.AppendInt(append(b, "&#"...), int64(r), 10)
	return append(b, ';')
}

// A Body is an envelope ready to be sent, as often as needed.
type Body struct {
	head, tail []byte
	list       *spool
}

// Size is the exact length in bytes. A nil Body is the empty POST.
func (b *Body) Size() int64 {
	if b == nil {
		return 0
	}
	n := int64(len(b.head) + len(b.tail))
	if b.list != nil {
		n += b.list.size
	}
	return n
}

// Open returns a reader over the envelope from its first byte.
func (b *Body) Open() io.Reader {
	if b == nil {
		return eof{}
	}
	return &bodyReader{b: b}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// A bodyReader yields head, list and tail, one after the other.
type bodyReader struct {
	b    *Body
	part int
	off  int
	list *spoolReader
}

func (r *bodyReader) Read(p []byte) (int, error) {
	for {
		var n int
		switch r.part {
		case 0:
			n = copy(p, r.b.head[r.off:])
		case 1:
			if r.b.list == nil {
				break
			}
			if r.list == nil {
				r.list = r.b.list.open()
			}
			n = r.list.read(p)
		case 2:
			n = copy(p, r.b.tail[r.off:])
		default:
			return 0, io.EOF
		}
		if n > 0 || len(p) == 0 {
			r.off += n
			return n, nil
		}
		r.part, r.off = r.part+1, 0
	}
}
