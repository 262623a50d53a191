package dhcpoption

import (
	"strings"
	"testing"
)

const url = "https://acs.example.net/cwmp"

// sub is one sub-option of one-byte code and length.
func sub(code byte, v string) string { return string([]byte{code, byte(len(v))}) + v }

// sub6 is one of DHCPv6.
func sub6(code byte, v string) string { return string([]byte{0, code, 0, byte(len(v))}) + v }

// of is the part of an enterprise in option 125.
func of(number string, subs ...string) string {
	body := strings.Join(subs, "")
	return number + string([]byte{byte(len(body))}) + body
}

// Enterprise numbers.
const (
	bbf   = "\x00\x00\x0d\xe9"
	other = "\x00\x00\x00\x09"
)

func TestRead(t *testing.T) {
	full := Told{URL: url, ProvisioningCode: "home-7", RetryMinimum: "30", RetryMultiplier: "1500"}
	gateway := Gateway{OUI: "00005E", SerialNumber: "GW1", ProductClass: "box"}
	withGateway := full
	withGateway.Gateway = gateway
	for name, c := range map[string]struct {
		v, i, i6 string
		want     Told
		wrong    string
	}{
		"nothing": {},
		"43":      {v: sub(1, url) + sub(2, "home-7") + sub(3, "30") + sub(4, "1500"), want: full},
		"43, other order, sub-options unknown, filling, an end": {
			v:    sub(4, "1500") + "\x00\x00" + sub(77, "?") + sub(3, "30") + sub(2, "home-7") + sub(1, url) + "\xff\x01\x09",
			want: full},
		"43, a bare URL":               {v: url, want: Told{URL: url}},
		"43, a bare URL of C":          {v: url + "\x00", want: Told{URL: url}},
		"43, a bare URL in capitals":   {v: "HTTP://192.0.2.1/", want: Told{URL: "HTTP://192.0.2.1/"}},
		"43, NUL at the ends":          {v: sub(1, url+"\x00") + sub(2, "home-7\x00\x00"), want: Told{URL: url, ProvisioningCode: "home-7"}},
		"43, twice":                    {v: sub(1, url) + sub(1, "https://second.example.net/"), want: Told{URL: url}},
		"43, the address of a UniFi":   {v: sub(1, "\xc0\x00\x02\x01"), want: Told{URL: "\xc0\x00\x02\x01"}},
		"43, cut within a value":       {v: sub(2, "home-7") + "\x01\x40https", want: Told{ProvisioningCode: "home-7"}, wrong: "option 43 ends within sub-option 1, which has 64 bytes"},
		"43, cut within a length":      {v: sub(1, url) + "\x02", want: Told{URL: url}, wrong: "option 43 ends within a sub-option"},
		"43, an empty URL":             {v: sub(1, "") + sub(2, "home-7"), want: Told{ProvisioningCode: "home-7"}},
		"125":                          {i: of(bbf, sub(11, url), sub(12, "home-7"), sub(13, "30"), sub(14, "1500")), want: full},
		"125 with a gateway":           {i: of(bbf, sub(4, "00005E"), sub(5, "GW1"), sub(6, "box"), sub(11, url), sub(12, "home-7"), sub(13, "30"), sub(14, "1500")), want: withGateway},
		"125 of several":               {i: of(other, sub(11, "https://cisco.example/")) + of(bbf, sub(11, url)) + of(other), want: Told{URL: url}},
		"125 of others only":           {i: of(other, sub(11, url))},
		"125 with the numbers of 43":   {i: of(bbf, sub(1, url), sub(2, "home-7"), sub(3, "30"), sub(4, "1500")), want: full},
		"125 that repeats the device":  {i: of(bbf, sub(1, "00005E"), sub(2, "S1"), sub(3, "class"))},
		"125, cut":                     {i: bbf + "\x20" + sub(11, url), wrong: "option 125 ends within the part of an enterprise", want: Told{}},
		"125, cut within a sub-option": {i: of(bbf, sub(12, "home-7"), "\x0b\x40x"), want: Told{ProvisioningCode: "home-7"}, wrong: "option 125 ends within sub-option 11"},
		"17":                           {i6: bbf + sub6(1, url) + sub6(2, "home-7") + sub6(3, "30") + sub6(4, "1500") + sub6(14, "00005E") + sub6(15, "GW1") + sub6(16, "box"), want: withGateway},
		"17 of another":                {i6: other + sub6(1, url)},
		"17, cut":                      {i6: bbf + "\x00\x01\x40\x00h", wrong: "DHCPv6 option 17 ends within sub-option 1, which has 16384 bytes"},
		"17, no enterprise":            {i6: "\x0d\xe9", wrong: "DHCPv6 option 17 ends within the number"},
		"43 before 125": {v: sub(1, url), i: of(bbf, sub(4, "00005E"), sub(5, "GW1"), sub(6, "box"), sub(11, "https://second.example.net/"), sub(12, "no")),
			want: Told{URL: url, Gateway: gateway}},
		"43 of another vendor, 125 not": {v: sub(1, "\xc0\x00\x02\x01"), i: of(bbf, sub(11, url)), want: Told{URL: url}},
		"43 without an ACS, 125 with one": {v: sub(2, "home-7") + sub(3, "30"), i: of(bbf, sub(11, url), sub(12, "home-8")),
			want: Told{URL: url, ProvisioningCode: "home-8"}},
		"17 with an ACS, 125 without one": {i: of(bbf, sub(12, "home-7")), i6: bbf + sub6(1, url), want: Told{URL: url}},
		"none with an ACS":                {v: sub(2, "home-7"), i: of(bbf, sub(12, "home-8"), sub(13, "30")), want: Told{ProvisioningCode: "home-7"}},
		"125 in two parts":                {i: of(bbf, sub(4, "00005E"), sub(5, "GW1"), sub(6, "box")) + of(bbf, sub(11, url), sub(12, "home-7"), sub(13, "30"), sub(14, "1500")), want: withGateway},
		"125 in two parts, numbers of 43": {i: of(bbf, sub(1, url)) + of(bbf, sub(12, "home-7")), want: Told{URL: url, ProvisioningCode: "home-7"}},
		"43 damaged, 125 not":             {v: "\x01", i: of(bbf, sub(11, url)), want: Told{URL: url}, wrong: "option 43 ends"},
	} {
		l := Lease{Vendor: []byte(c.v), Identified: []byte(c.i), Identified6: []byte(c.i6)}
		got, err := l.Read()
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: error %v, want %q", name, err, c.wrong)
		}
	}
}

// FuzzRead: whatever a server sends, nothing is read past the end, and nothing
// is told that was not sent.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sub(1, url)+sub(2, "home-7")+sub(3, "30")), []byte(of(other)+of(bbf, sub(11, url), sub(4, "00005E"))), []byte(bbf+sub6(1, url)))
	f.Add([]byte(url+"\x00"), []byte(of(bbf, sub(1, url), sub(4, "7"))), []byte(bbf))
	f.Add([]byte("\x01\xff"), []byte(bbf+"\xff"), []byte(bbf+"\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, v, i, i6 []byte) {
		told, _ := Lease{v, i, i6}.Read()
		all := string(v) + "|" + string(i) + "|" + string(i6)
		for _, s := range []string{told.URL, told.ProvisioningCode, told.RetryMinimum, told.RetryMultiplier,
			told.Gateway.OUI, told.Gateway.SerialNumber, told.Gateway.ProductClass} {
			if !strings.Contains(all, s) {
				t.Errorf("%q was not sent", s)
			}
			if strings.HasSuffix(s, "\x00") {
				t.Errorf("%q ends with NUL", s)
			}
		}
	})
}
