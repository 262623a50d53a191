package openwrt_test

import (
	"bytes"
	"cmp"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/agent/settings"
	"gatehouse/internal/store"
	"gatehouse/internal/uci"
)

const defaults = "files/etc/uci-defaults/90-gatehouse"

const network = "config interface wan\n option proto dhcp\n"

// shipped is the configuration file of the package.
func shipped(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("files/etc/config/gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accepted sees that the agent starts on a configuration, and knows every
// option of it.
func accepted(t *testing.T, config string) {
	t.Helper()
	dir := t.TempDir()
	state, err := store.Open(filepath.Join(dir, "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gatehouse")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if _, err := settings.Open(settings.Options{Config: path, State: state.File("settings", 1), Good: state.File("configuration", 1),
		Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "unknown") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the agent says of\n%s\n%s", config, log.String())
	}
}

func TestShippedConfiguration(t *testing.T) {
	accepted(t, shipped(t))
	// What it shows as an example is right as well.
	accepted(t, strings.ReplaceAll(shipped(t), "#\t", "\t"))
}

// committed runs the script as the boot does, in a shell of its own, and
// returns which values of a package it has changed.
func (r *router) committed(pkg string) (changes string, config string) {
	r.t.Helper()
	r.run(defaults, "")
	if staged := r.read("db.staged"); staged != "" {
		r.t.Errorf("set but not committed:\n%s", staged)
	}
	before := r.lines()
	p, err := uci.Parse(pkg, []byte(r.files[pkg]))
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for _, line := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(r.read("db"), before), "\n"), "\n") {
		rest, ours := strings.CutPrefix(line, pkg+".")
		key, value, _ := strings.Cut(rest, "=")
		name, option, isOption := strings.Cut(key, ".")
		s := p.Section(name)
		switch {
		case !ours || !isOption && s != nil:
			continue
		case !isOption:
			if _, err := p.Add(value, name); err != nil {
				r.t.Fatal(err)
			}
		case s == nil:
			r.t.Fatalf("%s is set in no section", line)
		default:
			if err := s.Set(option, value); err != nil {
				r.t.Fatal(err)
			}
		}
		if isOption {
			all = append(all, rest+"\n")
		}
	}
	slices.SortFunc(all, cmp.Compare)
	return strings.Join(all, ""), string(p.Export(false))
}

func TestImport(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		trust string // a file that is on the router
		want  string
		log   string
	}{
		"nothing there": {},
		"icwmp": {
			files: map[string]string{"cwmp": `
config cwmp acs
	option url 'https://acs.example.net:8443/a?b=c'
	option userid 'it'\''s'
	option passwd 'p "$(x)" \ =; #'
	option periodic_inform_interval '900'
	option periodic_inform_time '0001-01-01T00:00:00Z'
	option ssl_capath '/etc/ssl/acs.pem'
	option ParameterKey '17'
config cwmp cpe
	option userid 'cr'
	option passwd 'cr secret'
	option port '17547'
	option log_severity 'INFO'
	option interface 'eth0.2'
`},
			trust: "/etc/ssl/acs.pem",
			want: `acs.passwd=p "$(x)" \ =; #
acs.periodic_inform_interval=900
acs.periodic_inform_time=0001-01-01T00:00:00Z
acs.url=https://acs.example.net:8443/a?b=c
acs.userid=it's
cpe.passwd=cr secret
cpe.port=17547
cpe.userid=cr
tls.ca=/etc/ssl/acs.pem
`, log: "settings taken over from /etc/config/cwmp\n",
		},
		"easycwmp": {
			files: map[string]string{"easycwmp": `
config local
	option enable '1'
	option interface 'eth0'
	option port '7547'
	option username 'cr'
	option password 'cr secret'
	option provisioning_code 'pc'
config acs
	option url 'http://192.0.2.7:8080/openacs/acs'
	option username 'cpe'
	option password 'secret'
	option periodic_enable '1'
	option periodic_interval '100'
	option ssl_cacert '/etc/ssl/certs'
	option ssl_verify 'disabled'
config device
	option manufacturer 'easycwmp'
	option oui 'FFFFFF'
	option serial_number 'FFFFFF123456'
`},
			want: `acs.allow_http=1
acs.passwd=secret
acs.periodic_inform_enable=1
acs.periodic_inform_interval=100
acs.url=http://192.0.2.7:8080/openacs/acs
acs.userid=cpe
cpe.manufacturer=easycwmp
cpe.manufacturer_oui=FFFFFF
cpe.passwd=cr secret
cpe.port=7547
cpe.provisioning_code=pc
cpe.serial_number=FFFFFF123456
cpe.userid=cr
tls.insecure=1
`, log: "the old agent did not verify the ACS's certificate; neither does this one: remove option insecure in section tls\n" +
				"settings taken over from /etc/config/easycwmp\n",
		},
		"a router that has its settings": {
			files: map[string]string{
				"gatehouse": "config acs acs\n option url 'https://new.example.net/'\nconfig cpe cpe\n",
				"cwmp":      "config cwmp acs\n option url 'https://old.example.net/'\n option userid old\n",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, shell []string) {
				r := newRouter(t, shell, map[string]string{"gatehouse": shipped(t), "network": "config interface wan\n option proto pppoe\n"})
				for k, v := range c.files {
					r.files[k] = v
				}
				if c.trust != "" {
					r.write(c.trust, "a certificate")
				}
				got, config := r.committed("gatehouse")
				if got != c.want {
					t.Errorf("set\n%swant\n%s", got, c.want)
				}
				accepted(t, config)
				if log := r.read("log"); log != c.log {
					t.Errorf("the log says\n%swant\n%s", log, c.log)
				}

				// After the next upgrade it runs again, on what is there by then:
				// an administrator's deletion stays one.
				r.files["gatehouse"] = shipped(t)
				if again, _ := r.committed("gatehouse"); again != "" {
					t.Errorf("the second time it set\n%s", again)
				}
				// Without the mark it finds everything done.
				r.files["gatehouse"] = config
				if err := os.Remove(filepath.Join(r.root, "etc/gatehouse/imported")); err != nil {
					t.Fatal(err)
				}
				if again, _ := r.committed("gatehouse"); again != "" {
					t.Errorf("without the mark it set\n%s", again)
				}
			})
		})
	}
}

// Two agents would be one router to the ACS: while the old one is enabled, the
// new one waits, and the log says how to change over.
func TestImportBesideTheOldAgent(t *testing.T) {
	each(t, func(t *testing.T, shell []string) {
		for enabled, want := range map[string]string{"exit 0": "acs.url=https://a/\ncpe.enable=0\n", "exit 1": "acs.url=https://a/\n"} {
			r := newRouter(t, shell, map[string]string{"gatehouse": shipped(t), "cwmp": "config cwmp acs\n option url 'https://a/'\n"})
			r.write("etc/init.d/icwmpd", "#!/bin/sh\n[ \"$1\" = enabled ] || exit 7\n"+enabled+"\n")
			if got, _ := r.committed("gatehouse"); got != want {
				t.Errorf("%s: set\n%s", enabled, got)
			}
			if log := r.read("log"); strings.Contains(log, "/etc/init.d/icwmpd disable") != strings.Contains(want, "enable=0") {
				t.Errorf("%s: the log says\n%s", enabled, log)
			}
		}
	})
}

// A network is changed for DHCP to name the ACS only where the configuration asks
// for it, and nothing in it that somebody has said.
func TestDiscover(t *testing.T) {
	const asks = "config acs acs\n option dhcp_discovery "
	const class = "wan6.vendorclass=00000de9000c64736c666f72756d2e6f7267\n"
	each(t, func(t *testing.T, shell []string) {
		for name, c := range map[string]struct{ gatehouse, network, want string }{
			"not asked for": {shipped(t), network, ""},
			"switched off":  {asks + "0", network, ""},
			"asked for":     {asks + "1", network, "wan.reqopts=125\nwan.reqopts=43\nwan.vendorid=dslforum.org\n"},
			"half there":    {asks + "enable", network + " option vendorid other\n list reqopts 43", "wan.reqopts=125\n"},
			"with IPv6":     {asks + "1", "config interface wan\n option proto static\nconfig interface wan6\n option proto dhcpv6", "wan6.reqopts=17\n" + class},
			"a class there": {asks + "1", "config interface wan6\n option proto dhcpv6\n option vendorclass 01\n option reqopts 17", ""},
			"PPPoE":         {asks + "1", "config interface wan\n option proto pppoe", ""},
			"no WAN":        {asks + "1", "config interface lan\n option proto dhcp", ""},
			"another WAN":   {asks + "1\nconfig cpe cpe\n option default_wan_interface uplink", "config interface uplink\n option proto dhcp\n list reqopts 43\n option vendorid x\n" + network, "uplink.reqopts=125\n"},
		} {
			r := newRouter(t, shell, map[string]string{"gatehouse": c.gatehouse, "network": c.network})
			if got, _ := r.committed("network"); got != c.want {
				t.Errorf("%s: set\n%swant\n%s", name, got, c.want)
			}
		}
		r := newRouter(t, shell, map[string]string{"gatehouse": shipped(t), "network": network, "cwmp": "config cwmp acs\n option url 'https://a/'\n option dhcp_discovery enable"})
		if got, _ := r.committed("network"); got == "" {
			t.Error("the old agent asked DHCP, and the new one does not")
		}
	})
}

// A script that fails is kept, and runs again at the next boot.
func TestDefaultsRunAgain(t *testing.T) {
	each(t, func(t *testing.T, shell []string) {
		r := newRouter(t, shell, map[string]string{"gatehouse": shipped(t), "network": network})
		r.write("refuse", "")
		if _, code, _ := r.source(defaults, ""); code != 1 {
			t.Errorf("it ends with %d", code)
		}
		if _, err := os.Stat(filepath.Join(r.root, "etc/gatehouse/imported")); err == nil {
			t.Error("it is marked as done")
		}
	})
}
