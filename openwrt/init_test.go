package openwrt_test

import (
	"strings"
	"testing"
)

const initScript = "files/etc/init.d/gatehouse"

// instance is what procd is told, but for the environment and the rules.
const instance = `procd_open_instance
procd_set_param 'command' '/usr/sbin/gatehouse' 'run'
procd_set_param 'env' ENV 'SSL_CERT_DIR=/nonexistent'
procd_set_param 'respawn' '3600' '10' '0'
procd_set_param 'term_timeout' '20'
procd_set_param 'file' '/etc/config/gatehouse'
procd_set_param 'reload_signal' 'HUP'
procd_set_param 'no_new_privs' '1'
procd_set_param 'stdout' '1'
procd_set_param 'stderr' '1'
procd_open_data
json_add_array 'firewall'
RULESjson_close_array
procd_close_data
procd_close_instance
`

// rule is one rule of the firewall as fw4 takes it.
const rule = `json_add_object ''
json_add_string 'type' 'rule'
json_add_string 'name' 'gatehouse-connection-request'
json_add_string 'src' 'ZONE'
json_add_string 'proto' 'tcp'
json_add_string 'src_ip' 'ADDRESS'
json_add_string 'dest_port' 'PORT'
json_add_string 'target' 'ACCEPT'
json_close_object
`

func allowed(zone, address, port string) string {
	return strings.NewReplacer("ZONE", zone, "ADDRESS", address, "PORT", port).Replace(rule)
}

func warned(address string) string {
	return "list cr_allow '" + address + "' in section cpe is no address of an ACS: no firewall rule\n"
}

func TestStart(t *testing.T) {
	const usual = "'GOGC=50' 'GOMEMLIMIT=16MiB'"
	for name, c := range map[string]struct {
		config, env, rules string
		log                string
		none               bool
	}{
		"no section":    {env: usual},
		"no address":    {config: "config cpe\n option enable 1", env: usual},
		"disabled":      {config: "config cpe\n option enable 0\n list cr_allow 192.0.2.1", none: true},
		"disabled, off": {config: "config cpe cpe\n option enable off", none: true},
		"two addresses": {
			config: "config acs acs\nconfig cpe router\n list cr_allow 192.0.2.1\n list cr_allow '2001:db8::/64'\n option firewall_zone uplink\n option port 17547",
			env:    usual, rules: allowed("uplink", "192.0.2.1", "17547") + allowed("uplink", "2001:db8::/64", "17547"),
		},
		// A rule with a source that the firewall does not understand, or with
		// none, would be no rule or one for everybody.
		"not addresses": {
			config: "config cpe\n list cr_allow acs.example.net\n list cr_allow '!192.0.2.1'\n list cr_allow 0.0.0.0/0\n list cr_allow ::/00\n list cr_allow face\n list cr_allow '10.0.0.1 10.0.0.2'",
			env:    usual, log: warned("acs.example.net") + warned("!192.0.2.1") + warned("0.0.0.0/0") + warned("::/00") + warned("face") + warned("10.0.0.1 10.0.0.2"),
		},
		"memory":           {config: "config cpe\n option gc 80\n option memlimit 24", env: "'GOGC=80' 'GOMEMLIMIT=24MiB'"},
		"memory, no limit": {config: "config cpe\n option memlimit 0", env: "'GOGC=50' 'GOMEMLIMIT=off'"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, shell []string) {
				r := newRouter(t, shell, map[string]string{"gatehouse": c.config})
				want := ""
				if !c.none {
					want = strings.NewReplacer("ENV", c.env, "RULES", c.rules).Replace(instance)
				}
				if got := r.run(initScript, "start_service"); got != want {
					t.Errorf("procd is told\n%swant\n%s", got, want)
				}
				if got := r.read("log"); got != c.log {
					t.Errorf("the log says\n%swant\n%s", got, c.log)
				}
			})
		})
	}
}

// A number that Go cannot read would keep the agent from starting, for ever.
func TestStartWithBadNumbers(t *testing.T) {
	for _, bad := range []string{"16MiB", "-1", "9999999", "$(reboot)", "1 2"} {
		each(t, func(t *testing.T, shell []string) {
			r := newRouter(t, shell, map[string]string{"gatehouse": "config cpe\n option memlimit '" + bad + "'\n option gc '" + bad + "'\n option port '" + bad + "'\n list cr_allow 192.0.2.1"})
			got := r.run(initScript, "start_service")
			if !strings.Contains(got, "'GOGC=50' 'GOMEMLIMIT=16MiB'") || !strings.Contains(got, "'dest_port' '7547'") {
				t.Errorf("%q: procd is told\n%s", bad, got)
			}
			if log := r.read("log"); strings.Count(log, "'"+bad+"' in section cpe is no number") != 3 {
				t.Errorf("%q: the log says\n%s", bad, log)
			}
		})
	}
}

func TestTriggers(t *testing.T) {
	each(t, func(t *testing.T, shell []string) {
		for config, wan := range map[string]string{
			"": "wan", "config cpe\n option default_wan_interface uplink": "uplink",
		} {
			r := newRouter(t, shell, map[string]string{"gatehouse": config})
			want := "procd_add_reload_trigger 'gatehouse'\nprocd_add_reload_interface_trigger '" + wan + "'\n"
			if got := r.run(initScript, "service_triggers"); got != want {
				t.Errorf("triggers are\n%s", got)
			}
		}
		r := newRouter(t, shell, nil)
		if got := r.run(initScript, "service_started; service_stopped"); got != strings.Repeat("procd_set_config_changed 'firewall'\n", 2) {
			t.Errorf("the firewall is told\n%s", got)
		}
	})
}
