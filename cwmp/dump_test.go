package cwmp

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	r := &run{Session: &Session{Secret: func(name string) bool { return name == "Device.X_ACME.Token" }}}
	for in, want := range map[string]string{
		"<Name>Device.A</Name><Value>v</Value>":                                                  "<Name>Device.A</Name><Value>v</Value>",
		"<Name> Device.X_ACME.Token </Name><Value t='x'>v</Value>":                               "<Name> Device.X_ACME.Token </Name><Value t='x'>***</Value>",
		"<p:Name>Device.ManagementServer.Password</p:Name>\n<p:Value >a&lt;b</p:Value>":          "<p:Name>Device.ManagementServer.Password</p:Name>\n<p:Value >***</p:Value>",
		"<Name>WiFi.KeyPassphrase</Name><Value><![CDATA[</Value>x]]><!--</Value>-->y</Value>end": "<Name>WiFi.KeyPassphrase</Name><Value>***</Value>end",
		"<Name>WiFi.KeyPassphrase</Name><Value></Value>":                                         "<Name>WiFi.KeyPassphrase</Name><Value></Value>",
		"<Name>WiFi.KeyPassphrase</Name><Value/><Name>B</Name><Value>v</Value>":                  "<Name>WiFi.KeyPassphrase</Name><Value/><Name>B</Name><Value>v</Value>",
		"<s><Value>before its name</Value><Name>A</Name></s>":                                    "<s><Value>***</Value><Name>A</Name></s>",
		"<Name>A</Name><Value>1</Value><Value>nameless</Value>":                                  "<Name>A</Name><Value>1</Value><Value>***</Value>",
		"<Username>u</Username><Password>p</Password>":                                           "<Username>u</Username><Password>***</Password>",
		"<Password>cut off":                                       "<Password>***",
		"<Password>ill < formed <x</Password>":                    "<Password>***</Password>",
		"<Name>A.ParameterKey</Name><Value>v</Value><Name":        "<Name>A.ParameterKey</Name><Value>v</Value><Name",
		"<!-- <Password> --><a>b</a>":                             "<!-- <Password> --><a>b</a>",
		"<Name><![CDATA[X.PreSharedKey]]></Name><Value>v</Value>": "<Name><![CDATA[X.PreSharedKey]]></Name><Value>***</Value>",
		"no tags at all":                                          "no tags at all",
		"":                                                        "",
	} {
		if got := mask(in, r.secretName); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestDumpIsCut(t *testing.T) {
	var got string
	r := &run{Session: &Session{Dump: func(_ bool, s string) { got = s }}}
	r.dump(true, strings.NewReader("<Name>a.Password</Name><Value>"+strings.Repeat("s", 2*maxDump)+"</Value>"))
	if strings.Contains(got, "sss") || !strings.Contains(got, "cut here") {
		t.Errorf("dump of %d bytes: %.100s", len(got), got)
	}
}
