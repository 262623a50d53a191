package settings

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTableIsSound(t *testing.T) {
	names, spelled := map[string]bool{}, map[string]bool{}
	for i := range table {
		s := &table[i]
		if names[s.name] {
			t.Errorf("%s is there twice", s.name)
		}
		names[s.name] = true
		for _, o := range append(s.also, s.option) {
			if o != "" && (spelled[o] || without[o] != "" || strings.Count(o, ".") != 1) {
				t.Errorf("%s: option %s", s.name, o)
			}
			spelled[o] = true
		}
		if s.def != "" {
			if v, err := s.canonical(s.def); err != nil || v != s.def {
				t.Errorf("%s: default %q is not canonical: %q %v", s.name, s.def, v, err)
			}
		}
		if !strings.Contains(s.name, "ManagementServer.") && !strings.Contains(s.name, "DeviceInfo.") && s.name != s.option {
			t.Errorf("%s is called %s in the file", s.name, s.option)
		}
		if s.limits() == "" {
			t.Errorf("%s: no limits in words", s.name)
		}
		if strings.Contains(strings.ToLower(s.name), "password") && !s.secret && s.kind == text {
			t.Errorf("%s prints", s.name)
		}
	}
	if len(Table()) != len(table) || Table()[1].Name != URL || Table()[1].Option != "acs.url" {
		t.Error("Table")
	}
}

// The limits are those of the Broadband Forum's table.
func TestTableAgainstBBF(t *testing.T) {
	spec := os.Getenv("SPEC")
	if spec == "" {
		spec = "../../../shared/spec"
	}
	f, err := os.Open(filepath.Join(spec, "tr181", "device2-2.19.1-params.tsv"))
	if err != nil {
		t.Skip("the tables are not at hand:", err)
	}
	defer f.Close()
	rows := map[string][]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cols := strings.Split(lines.Text(), "\t")
		rows[cols[0]] = cols
	}
	const typ, access, size, limits, enums, def = 2, 4, 9, 10, 11, 15
	for i := range table {
		s := &table[i]
		if s.name == s.option || s.name == ConnReqXMPPConnection {
			continue // ours; and what is kept of a reference is a key, not a path
		}
		r := rows["Device."+s.name]
		if r == nil {
			t.Errorf("%s does not exist", s.name)
			continue
		}
		want := map[string][]kind{"boolean": {boolean}, "dateTime": {dateTime}, "unsignedInt": {number}, "int": {number}, "string": {text, choice, acsURL, oui, list}}[r[typ]]
		ok := false
		for _, k := range want {
			ok = ok || s.kind == k
		}
		if !ok {
			t.Errorf("%s is a %s", s.name, r[typ])
		}
		if s.kind == text || s.kind == acsURL {
			if got := fmt.Sprintf(":%d", s.max); got != r[size] {
				t.Errorf("%s: size %s, want %s", s.name, got, r[size])
			}
		}
		if lo, hi, found := strings.Cut(r[limits], ":"); found && (lo != fmt.Sprint(s.min) || hi != "" && hi != fmt.Sprint(s.max)) {
			t.Errorf("%s: range %d:%d, want %s", s.name, s.min, s.max, r[limits])
		}
		if r[enums] != "" && r[enums] != strings.Join(s.enum, "|") {
			t.Errorf("%s: %v, want %s", s.name, s.enum, r[enums])
		}
		if d := strings.Trim(r[def], `"`); d != "" && d != s.def {
			t.Errorf("%s: default %s, want %s", s.name, s.def, d)
		}
		if r[access] == "readOnly" && !s.local && s.name != ParameterKey {
			t.Errorf("%s is read-only", s.name)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{EnableCWMP, "On", "true"}, {EnableCWMP, "disabled", "false"},
		{PeriodicInformInterval, " 007 ", "7"}, {PeriodicInformInterval, "4294967295", "4294967295"}, {PeriodicInformInterval, "4294967296", "!"},
		{DelayReboot, "-1", "-1"}, {DelayReboot, "-2", "!"}, {DelayReboot, "2147483648", "!"},
		{PeriodicInformTime, "2026-01-31T03:00:00.250+01:00", "2026-01-31T02:00:00.25Z"},
		{PeriodicInformTime, "2026-01-31T03:00:00", "2026-01-31T03:00:00Z"}, {PeriodicInformTime, "", "!"},
		{InstanceMode, "instancealias", "InstanceAlias"}, {InstanceMode, "x", "!"},
		{Username, "  a b  ", "  a b  "}, {Username, strings.Repeat("ü", 256), strings.Repeat("ü", 256)},
		{Username, strings.Repeat("u", 257), "!"}, {Username, "\xff", "!"},
		{URL, strings.Repeat("x", 2049), "!"}, {URL, " https://x/ ", "https://x/"}, {URL, "%BWURL%", "!"},
		{ProxyExcept, "a, b\tc,,d", "a,b,c,d"}, {LogLevel, "NOTICE", "info"}, {LogLevel, "emerg", "error"},
		{TLSMinVersion, "1.1", "!"}, {TLSCert, "/a b.pem", "/a b.pem"}, {Interface, "..", "!"}, {Interface, "pppoe-wan", "pppoe-wan"},
		{MetricsListen, "unix:/run/m", "unix:/run/m"}, {MetricsListen, "127.0.0.1:9100", "127.0.0.1:9100"}, {MetricsListen, "[::1]:9100", "[::1]:9100"},
		{MetricsListen, "0.0.0.0:9100", "!"}, {MetricsListen, ":9100", "!"}, {MetricsListen, "localhost:9100", "!"}, {MetricsListen, "192.0.2.1:1", "!"},
		{MetricsListen, "127.0.0.1:0", "!"}, {MetricsListen, "unix:m", "!"}, {MetricsListen, "unix:/a/../b", "!"}, {MetricsListen, "", ""},
	} {
		s := &table[mustIndex(t, c.name)]
		got, err := s.canonical(c.in)
		if err != nil {
			got = "!"
		}
		if got != c.want {
			t.Errorf("%s %q: %q %v, want %q", c.name, c.in, got, err, c.want)
		}
	}
}

func mustIndex(t *testing.T, name string) int {
	t.Helper()
	for i := range table {
		if table[i].name == name {
			return i
		}
	}
	t.Fatalf("no setting %s", name)
	return 0
}
