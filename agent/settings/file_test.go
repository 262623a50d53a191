package settings

import (
	"os"
	"strings"
	"testing"
)

func TestMistakesNameFileAndLine(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"config acs\n option url htps://x/\n", `:2: option url does not begin with http:// or https://: "htps://x/"`},
		{"config acs\n\n\n option periodic_inform_interval 0\n", ":4: option periodic_inform_interval is not a number from 1 to"},
		{"config acs\n option retry_min_wait_interval 65536\n", ":2: option retry_min_wait_interval is not a number from 1 to 65535"},
		{"config acs\n option retry_interval_multiplier 999\n", ":2: option retry_interval_multiplier is not a number from 1000"},
		{"config acs\n option periodic_inform_time yesterday\n", ":2: option periodic_inform_time is not a time like"},
		{"config acs\n option compression zip\n", ":2: option compression is not one of Disabled, GZIP, Deflate"},
		{"config acs\n option cwmp_version 2\n", ":2: option cwmp_version is not one of"},
		{"config acs\n option url 'https://u:secret@x/'\n", ":2: option url contains a user name"},
		{"config cpe\n option manufacturer_oui 00gg11\n", ":2: option manufacturer_oui is not 6 hexadecimal digits"},
		{"config cpe\n option enable maybe\n", ":2: option enable is neither 0 nor 1"},
		{"config cpe\n option path 'a b'\n", ":2: option path is not a path"},
		{"config cpe\n option interface 'eth0/1'\n", ":2: option interface is not up to 15"},
		{"config cpe\n option serial_number '" + strings.Repeat("x", 65) + "'\n", ":2: option serial_number is longer than 64"},
		{"config tls\n option ca ca.pem\n", ":2: option ca is not an absolute path"},
		{"config log\n option level loud\n", ":2: option level is not one of debug"},
		{"config acs\n list url https://a/\n list url https://b/\n", ":3: option url is a list of 2 values; one is expected"},
		{"config acs\n optoin url x\n", `:2: "optoin" is not package, config, option or list`},
		{"config proxy\n option url socks5://x:1\n", ":2: option url does not begin with http://"},
	} {
		h := newHouse(t, c.in)
		_, err := h.try()
		if err == nil || !strings.HasPrefix(err.Error(), h.config+c.want) {
			t.Errorf("%q:\n%v\nwant …%s", c.in, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") && !strings.Contains(c.in, "secret@") {
			t.Errorf("shows a password: %v", err)
		}
	}
	// All of them at once, and no password in the message.
	h := newHouse(t, "config acs\n option passwd '"+strings.Repeat("geheim", 50)+"'\n option timeout 1\n")
	_, err := h.try()
	if err == nil || !strings.Contains(err.Error(), ":2: ") || !strings.Contains(err.Error(), ":3: ") || strings.Contains(err.Error(), "geheim") {
		t.Errorf("%v", err)
	}
}

func TestUnknownIsWarnedAbout(t *testing.T) {
	h := newHouse(t, "config asc\n option x y\n\nconfig acs\n option ulr https://x/\n option ssl_capth /x\n option port 1\n"+
		" option heartbeat_enable 1\n option zzzzzz 1\n\nconfig cpe\n option gc 50\n\nconfig du_state_change\n option enable 1\n\nconfig something_else\n")
	s := h.open()
	log := h.log.String()
	for _, want := range []string{
		`:1 section=asc did_you_mean=acs`,
		`:5 option=ulr did_you_mean=acs.url`,
		`:6 option=ssl_capth did_you_mean=acs.ssl_capath`,
		`:7 option=port did_you_mean=cpe.port`,
		`:8 option=heartbeat_enable reason="it has no effect here"`,
		`:9 option=zzzzzz` + "\n",
		`:14 section=du_state_change reason=`,
		`:17 section=something_else` + "\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "option=gc") || strings.Contains(log, "option=x") {
		t.Errorf("says too much:\n%s", log)
	}
	h.log.Reset()
	if _, err := s.Reload(t.Context()); err != nil || h.log.Len() > 0 {
		t.Errorf("a reload says it again: %v\n%s", err, h.log.String())
	}
}

// icwmpd's file, as its users have it, works as it is.
func TestIcwmpFile(t *testing.T) {
	h := newHouse(t, `
config acs 'acs'
	option url 'https://acs.example:7547/acs'
	option userid 'iopsys'
	option passwd 'iopsys'
	option periodic_inform_enable '1'
	option periodic_inform_interval '900'
	option periodic_inform_time '0001-01-01T00:00:00Z'
	option dhcp_discovery 'enable'
	option compression 'gzip'
	option retry_min_wait_interval '7'
	option retry_interval_multiplier '1500'
	option ssl_capath '/etc/ssl/certs'
	option insecure_enable '0'

config cpe 'cpe'
	option default_wan_interface 'wan'
	option log_severity 'WARNING'
	option userid 'iopsys'
	option passwd 'iopsys'
	option port '7548'
	option provisioning_code 'abc'
	option amd_version '5'
	option instance_mode 'InstanceAlias'
	option session_timeout '60'
	option manufacturer 'Example'
	option manufacturer_oui '0011aa'
	option product_class 'HomeGW'
	option serial_number '42'
	option software_version '1.2'
	option interface 'eth0.1'
	option active_notif_throttle '3'
	option exec_download '0'
	option enable '1'
`)
	s := h.open()
	for name, want := range map[string]string{
		URL: "https://acs.example:7547/acs", Username: "iopsys", Password: "iopsys", PeriodicInformEnable: "true",
		PeriodicInformInterval: "900", PeriodicInformTime: "0001-01-01T00:00:00Z", HTTPCompression: "GZIP",
		RetryMinimumWaitInterval: "7", RetryIntervalMultiplier: "1500", TLSCA: "/etc/ssl/certs", TLSInsecure: "false",
		ConnectionRequestUsername: "iopsys", ConnectionRequestPassword: "iopsys", ConnectionRequestPort: "7548",
		ProvisioningCode: "abc", InstanceMode: "InstanceAlias", Manufacturer: "Example", ManufacturerOUI: "0011AA",
		ProductClass: "HomeGW", SerialNumber: "42", SoftwareVersion: "1.2", Interface: "eth0.1",
		ActiveNotificationThrottle: "3", LogLevel: "warn", EnableCWMP: "true",
	} {
		h.wantValue(s, name, want, File)
	}
	if strings.Contains(h.log.String(), "WARN") {
		t.Errorf("%s", h.log.String())
	}
}

// On a device in the field nobody corrects the image's file or the state.
func TestFactoryAndStateMistakesDoNotStop(t *testing.T) {
	h := newHouse(t, "")
	h.write(h.factory, "config acs\n option url https://f/\n option timeout 1\n")
	s := h.open()
	h.wantValue(s, URL, "https://f/", Factory)
	h.wantValue(s, Timeout, "60", BuiltIn)
	if !strings.Contains(h.log.String(), h.factory+":3: option timeout") {
		t.Error(h.log.String())
	}
	h.write(h.factory, "config acs\n option url 'https://f/\n")
	h.open()
	if !strings.Contains(h.log.String(), h.factory+":2: no closing '") {
		t.Error(h.log.String())
	}
	h.fsys.Put("/state/settings", "gatehouse settings 1\nset\tManagementServer.PeriodicInformInterval\t0\t-\n"+
		"set\tManagementServer.ParameterKey\tkey\t-\nbad\\q\nset\tfuture.thing\tv\t-\nwhatever\ngen\tcpe.path\t/p\n")
	s = h.open()
	h.wantValue(s, PeriodicInformInterval, "1800", BuiltIn)
	h.wantValue(s, ParameterKey, "key", State)
	h.wantValue(s, ConnectionRequestPath, "/p", Generated)
	if err := s.Put(map[string]string{ParameterKey: "k2"}); err != nil {
		t.Fatal(err)
	}
	text := h.fsys.Files("/state")["settings"]
	if !strings.Contains(text, "set\tfuture.thing\tv\t-\n") || !strings.Contains(text, "\nwhatever\n") {
		t.Errorf("what a later version wrote is lost: %q", text)
	}
}

func TestOpenWithoutFiles(t *testing.T) {
	s, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(map[string]string{ParameterKey: "k"}); err == nil {
		t.Error("written to nowhere")
	}
	if err := s.Generate(); err == nil || s.Get(ConnectionRequestPath) == "" {
		t.Errorf("%q %v", s.Get(ConnectionRequestPath), err)
	}
	if err := s.Reset(t.Context()); err != nil || s.Get(ConnectionRequestPath) != "" {
		t.Error(err)
	}
	dir := t.TempDir()
	if _, err := Open(Options{Config: dir}); err == nil {
		t.Error("a folder is read as a file")
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("config acs\n option url https://x/\n option periodic_inform_time 2026-01-01T00:00:00Z\n")
	f.Add("config cpe\n list port 1\n option interface ' '\nconfig proxy\n list except ''\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := t.TempDir() + "/c"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Config: path})
		if err != nil {
			if !strings.HasPrefix(err.Error(), path+":") {
				t.Errorf("%v", err)
			}
			return
		}
		for i := range table {
			v := s.Get(table[i].name)
			if again, err := table[i].canonical(v); v != table[i].def && (err != nil || again != v) {
				t.Errorf("%s: %q is not canonical: %q %v", table[i].name, v, again, err)
			}
		}
	})
}
