package acs

import (
	"html"
	"regexp"
	"strings"
)

// Envelope is how our envelopes are written: each of these was seen in the
// field, and each is legal XML or close enough that a CPE must cope. The zero
// value is GenieACS's style. Texts of a script's own making (Raw) and
// Trouble.Body are sent as they are.
type Envelope struct {
	Prefix      string // instead of soap-env: "SOAP-ENV", "soapenv", "S"; "none" makes it the default namespace
	NoID        bool   // without cwmp:ID
	NoHeader    bool   // without a Header at all
	BOM         bool   // begins with a byte order mark
	Space       bool   // white space before the declaration and after the end
	CDATA       bool   // every text in CDATA
	Comments    bool   // comments between elements and within texts
	Indent      bool   // each element on a line of its own, names with blanks around them
	Declaration string // instead of the XML declaration; "none" leaves it out
	NUL         bool   // ends with a NUL byte
	BrokenFault bool   // faults as GenieACS writes them: <soap-env:Body:Fault>
	NoTypes     bool   // arrays without soap-enc:arrayType
}

// LongDeclaration is an XML declaration over several lines, as a 2007 vintage
// ACS sends it.
const LongDeclaration = "<?xml\n\tversion='1.0'\n\tencoding='utf-8'\n\tstandalone='yes'\n?>\n"

var (
	headerPart = regexp.MustCompile(`(?s)<soap-env:Header>.*?</soap-env:Header>`)
	idPart     = regexp.MustCompile(`<cwmp:ID [^>]*>[^<]*</cwmp:ID>`)
	typePart   = regexp.MustCompile(` soap-enc:arrayType="[^"]*"`)
	textPart   = regexp.MustCompile(`>([^<>\n]+)</`)
	// Between two tags, of which not both belong to the same element.
	betweenPart = regexp.MustCompile(`(</[^>]*>)(<)|(>)(<[^/])`)
	namePart    = regexp.MustCompile(`<(Name|string|ParameterPath|ObjectName)>([^<]+)</`)
)

// declaration is how envelope begins.
const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// dress rewrites an envelope that envelope has made.
func (e Envelope) dress(text string) string {
	if e == (Envelope{}) {
		return text
	}
	switch {
	case e.NoHeader:
		text = headerPart.ReplaceAllLiteralString(text, "")
	case e.NoID:
		text = idPart.ReplaceAllLiteralString(text, "")
	}
	if e.NoTypes {
		text = typePart.ReplaceAllLiteralString(text, "")
	}
	if e.BrokenFault {
		text = strings.NewReplacer("<soap-env:Fault>", "<soap-env:Body:Fault>", "</soap-env:Fault>", "</soap-env:Body:Fault>").Replace(text)
	}
	if e.Indent { // but not within an empty element: that would be its value
		text = betweenPart.ReplaceAllString(text, "$1$3\r\n\t$2$4")
		text = betweenPart.ReplaceAllString(text, "$1$3\r\n\t$2$4") // those that shared a mark with the one before
		text = namePart.ReplaceAllString(text, "<$1>\r\n\t\t$2\r\n\t</")
	}
	text = e.dressText(text)
	text = e.dressPrefix(text)
	return e.dressEnds(text)
}

// dressText wraps the texts of elements, or puts comments around and into them.
func (e Envelope) dressText(text string) string {
	if e.Comments {
		text = strings.ReplaceAll(text, "><", "><!-- a > b & <c> -->< ")
		text = strings.ReplaceAll(text, "< ", "<")
		text = textPart.ReplaceAllStringFunc(text, func(m string) string {
			inner := m[1 : len(m)-2]
			cut := strings.IndexAny(inner, "abcdefghijklmnopqrstuvwxyz") + 1
			if i := strings.IndexByte(inner, '&'); i >= 0 && i < cut {
				cut = 0 // not into a reference
			}
			return ">" + inner[:cut] + "<!-- here -->" + inner[cut:] + "</"
		})
	}
	if e.CDATA {
		text = textPart.ReplaceAllStringFunc(text, func(m string) string {
			inner := html.UnescapeString(m[1 : len(m)-2])
			return "><![CDATA[" + strings.ReplaceAll(inner, "]]>", "]]]]><![CDATA[>") + "]]></"
		})
	}
	return text
}

// dressPrefix gives the SOAP namespace another prefix.
func (e Envelope) dressPrefix(text string) string {
	switch e.Prefix {
	case "":
		return text
	case "none":
		// What is inside the body has no namespace (elementFormDefault is
		// unqualified), so it has to leave the default one again.
		text = strings.NewReplacer("<soap-env:", "<", "</soap-env:", "</", `soap-env:mustUnderstand="1"`, "",
			"xmlns:soap-env=", "xmlns=").Replace(text)
		return regexp.MustCompile(`<(cwmp:[A-Za-z]+)`).ReplaceAllString(text, `<$1 xmlns=""`)
	}
	return strings.NewReplacer("soap-env:", e.Prefix+":", "xmlns:soap-env=", "xmlns:"+e.Prefix+"=").Replace(text)
}

// dressEnds changes what stands before and after the document element.
func (e Envelope) dressEnds(text string) string {
	if e.Declaration != "" {
		text = strings.TrimPrefix(text, declaration)
		if e.Declaration != "none" {
			text = e.Declaration + text
		}
	}
	if e.Space {
		text = "\r\n \t" + text + "\r\n\r\n"
	}
	if e.BOM {
		text = "\ufeff" + text
	}
	if e.NUL {
		text += "\x00"
	}
	return text
}
