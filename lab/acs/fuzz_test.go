package acs

import "testing"

// Nothing that a CPE can send makes the parser or the checks panic.
func FuzzMessage(f *testing.F) {
	f.Add(goodInform().String())
	f.Add(soap("1", soapFault("Client", "9003", "Device.A.B")))
	f.Add(soap("1", gpn("Device.|0", "Device.A|1")))
	f.Add(soap("1", attribute("Device.A", "2")))
	f.Add(`<a xmlns="b"><c xmlns:d="e" d:f="g">&lt;</c></a>`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := readMessage([]byte(text))
		if err != nil {
			return
		}
		i := readInform(m)
		r := &run{s: New(Options{}), rec: &Session{Inform: i}}
		p := &post{s: r.s, msg: m, text: []byte(text), run: r}
		p.checkEnvelope()
		r.checkInform(m, i)
		r.checkCall(m)
		for _, a := range []*ask{
			{method: "GetParameterValues", asked: []string{"Device."}},
			{method: "GetParameterNames", path: "Device."},
			{method: "SetParameterValues"},
		} {
			r.checkResponse(a, m)
		}
		if summarize(m) == "" {
			t.Error("no summary")
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add(`Digest username="a\"b", nc=00000001, uri="/x,y"`)
	f.Add(goodChallenge)
	f.Fuzz(func(t *testing.T, header string) {
		if a, err := parseAuthorization(header); err == nil && len(a.value) == 0 {
			t.Error("parsed into nothing")
		}
		parseChallenge(header)
	})
}
