package acs

import (
	"strings"
	"testing"
)

// exampleOf is a value that a knob takes, read off its help.
func exampleOf(k Knob) string {
	switch k.Value {
	case "":
		return ""
	case "DURATION":
		return "=10ms"
	case "N", "SIZE", "CODE":
		return "=3"
	}
	first, _, _ := strings.Cut(k.Value, "|")
	return "=" + first
}

// Every knob can be turned by its name, each value that its help names is
// possible, and none is there twice.
func TestKnobs(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Knobs() {
		if seen[k.Name] || k.About == "" {
			t.Errorf("%s: twice, or without help", k.Name)
		}
		seen[k.Name] = true
		var o Options
		if err := o.Apply(k.Name + exampleOf(k)); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		if strings.ToLower(k.Value) != k.Value {
			continue
		}
		for v := range strings.SplitSeq(k.Value, "|") {
			if err := new(Options).Apply(k.Name + "=" + v); err != nil {
				t.Errorf("%s=%s: %v", k.Name, v, err)
			}
		}
	}
	for _, bad := range []string{"nonsense", "status=x", "cookie=stale", "cut=never", "later.status=500", "slow=1"} {
		if err := new(Options).Apply(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestApplyPhases(t *testing.T) {
	var o Options
	if err := o.Apply("busy, times=2, answer.cut=before,cookie=two, chunked=7,,prefix=S"); err != nil {
		t.Fatal(err)
	}
	want := Chaos{
		Inform: Trouble{Status: 503, RetryAfter: "60", Times: 2}, Answer: Trouble{Cut: CutBefore},
		Wire: Wire{Chunked: 7}, Envelope: Envelope{Prefix: "S"},
	}
	if o.Chaos != want || len(o.SetCookie) != 2 {
		t.Errorf("got %+v and cookies %q", o.Chaos, o.SetCookie)
	}
}

// A dressed envelope is still one that a strict reader reads alike, unless it
// is meant to be broken.
func TestDress(t *testing.T) {
	plain := envelope(header{namespace: nsCWMP + "2", id: "7"},
		call("SetParameterValues", setValuesArgs("k &1", []Parameter{P("Device.X", "xsd:string", "  a  b & <c> ")})))
	for name, e := range map[string]Envelope{
		"prefix": {Prefix: "SOAP-ENV"}, "none": {Prefix: "none"}, "cdata": {CDATA: true}, "comments": {Comments: true},
		"declaration": {Declaration: LongDeclaration}, "no declaration": {Declaration: "none"}, "indent": {Indent: true},
		"no types": {NoTypes: true}, "everything": {Prefix: "S", CDATA: true, Indent: true},
	} {
		m, err := readMessage([]byte(e.dress(plain)))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, e.dress(plain))
			continue
		}
		v := m.Body.Child("ParameterList").Child("ParameterValueStruct")
		if m.ID != "7" || m.Method != "SetParameterValues" || strings.TrimSpace(v.Child("Name").String()) != "Device.X" ||
			v.Child("Value").String() != "  a  b & <c> " || m.Body.Child("ParameterKey").String() != "k &1" {
			t.Errorf("%s: read back as %q\n%s", name, v.Child("Value"), e.dress(plain))
		}
	}
	for name, e := range map[string]Envelope{"nul": {NUL: true}, "bom": {BOM: true}, "no id": {NoID: true}, "no header": {NoHeader: true}} {
		if e.dress(plain) == plain {
			t.Errorf("%s changes nothing", name)
		}
	}
	fault := envelope(header{namespace: nsCWMP + "2"}, faultBody(Fault{Code: 8000}))
	if _, err := readMessage([]byte(Envelope{BrokenFault: true}.dress(fault))); err == nil {
		t.Error("the broken fault can be read")
	}
}
