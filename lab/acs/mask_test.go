package acs

import (
	"strings"
	"testing"
)

// However an envelope is written, its secrets are masked and the rest is not.
func TestMaskXML(t *testing.T) {
	text := envelope(header{namespace: nsCWMP + "2", id: "7"}, call("SetParameterValues", setValuesArgs("key", []Parameter{
		P("Device.ManagementServer.URL", "xsd:string", "http://a/"),
		P("Device.ManagementServer.Password", "xsd:string", "hush & hush <1>"),
		P("Device.WiFi.AccessPoint.1.Security.KeyPassphrase", "xsd:string", " hush"),
		P("Device.ManagementServer.Username", "xsd:string", "joe"),
	}))+el("Password", "hush2"))
	for name, e := range map[string]Envelope{
		"plain": {}, "cdata": {CDATA: true}, "comments": {Comments: true}, "indent": {Indent: true}, "prefix": {Prefix: "none"},
		"all": {CDATA: true, Indent: true, Prefix: "S", NUL: true},
	} {
		got := MaskXML(e.dress(text))
		if strings.Contains(got, "ush") {
			t.Errorf("%s: a secret is left in %s", name, got)
		}
		if strings.Count(got, "***") != 3 || !strings.Contains(got, "oe") || !strings.Contains(got, "//a/") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
