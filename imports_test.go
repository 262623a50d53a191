// Package gatehouse_test holds the rules of the house that a compiler does not
// know: who may import whom, and what must not be linked.
package gatehouse_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// may lists, for each package, those of ours that it may import. A package
// that is not listed, or imports what is not listed, fails: a new edge is a
// deliberate line in this table. datamodel, cwmp and platform are islands:
// only datamodel/tr181, agent/notify and agent/rpc join them.
var may = map[string]string{
	"": "",

	"platform":              "",
	"platform/linux":        "platform platform/plan",
	"platform/openwrt":      "platform platform/linux platform/uciconf internal/ubus internal/uci",
	"platform/linuxconf":    "platform platform/uciconf internal/nl80211 internal/store internal/systembus internal/uci",
	"platform/fake":         "platform platform/plan",
	"platform/platformtest": "platform",
	"platform/plan":         "platform",
	"platform/uciconf":      "platform internal/uci",

	"datamodel":        "",
	"datamodel/dmtest": "datamodel",
	"datamodel/tr181":  "datamodel platform",

	"cwmp":         "internal/digest internal/trust",
	"cwmp/connreq": "internal/digest internal/guard",

	"internal/accept":          "",
	"internal/dhcpoption":      "",
	"internal/digest":          "",
	"internal/guard":           "",
	"internal/nl80211":         "",
	"internal/nl80211/airtest": "internal/nl80211",
	"internal/endpoint":        "internal/digest",
	"internal/store":           "",
	"internal/store/storetest": "internal/store",
	"internal/systembus":       "",
	"internal/trust":           "",
	"internal/ubus":            "",
	"internal/uci":             "internal/store",

	"nat":      "internal/endpoint internal/guard",
	"nat/xmpp": "internal/digest internal/endpoint internal/guard internal/trust",

	"rueconfig": "internal/digest internal/endpoint internal/store internal/trust",

	"agent/settings":      "datamodel internal/store internal/uci",
	"agent/core":          "",
	"agent/core/coretest": "agent/core",
	"agent/discovery":     "agent/settings internal/dhcpoption platform",
	"agent/notify":        "datamodel",
	"agent/diag":          "datamodel/tr181 platform",
	"agent/transfer":      "platform internal/digest internal/store",
	"agent/rpc":           "cwmp datamodel agent/core agent/notify agent/transfer",
	"agent/api":           "datamodel agent/core agent/notify",
	"agent/control":       "agent/api internal/accept",
	"agent/bus":           "agent/api datamodel internal/systembus",
	"agent/ubus":          "agent/api agent/core internal/ubus",

	"openwrt":     "",
	"openwrt/ipk": "",

	"docs/examples/go": "",
	"agent/metrics":    "agent/api internal/accept",
	"agent/app": "platform datamodel datamodel/tr181 cwmp cwmp/connreq internal/endpoint internal/guard internal/store" +
		" agent/api agent/bus agent/control agent/core agent/diag agent/discovery agent/metrics agent/notify agent/rpc agent/settings agent/transfer agent/ubus internal/systembus internal/ubus nat nat/xmpp rueconfig",
	"agent/doctor": "agent/api agent/discovery agent/settings internal/digest internal/endpoint platform",
	"agent":        "agent/api agent/app agent/control agent/doctor platform platform/linux platform/linuxconf platform/openwrt",
}

// never lists what gatehouse itself must not link, with the reason.
var never = map[string]string{
	"gatehouse/platform/fake": "the fake router is for tests and the lab",
	"net/http/pprof":          "costs flash, opens a door",
	"expvar":                  "costs flash, opens a door",
	"html/template":           "costs flash",
	"text/template":           "costs flash, and defeats dead code elimination",
	"plugin":                  "the daemon is static",
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImports(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "gatehouse"), "/")
		if name == "lab" || strings.HasPrefix(name, "lab/") {
			continue // the lab has a rule of its own, below
		}
		allowed, ok := may[name]
		if !ok {
			t.Errorf("%s: say in this table what it may import", name)
		}
		for _, i := range p.Imports {
			if i, ours := strings.CutPrefix(i, "gatehouse/"); ours && !slices.Contains(strings.Fields(allowed), i) {
				t.Errorf("%s must not import %s", name, i)
			}
		}
	}
}

// TestLabSharesNoProtocol: a test peer never shares the code it checks.
func TestLabSharesNoProtocol(t *testing.T) {
	for _, p := range list(t, "./lab/...") {
		if p.ImportPath == "gatehouse/lab" || slices.Contains([]string{"gatehouse/lab/demo", "gatehouse/lab/peers", "gatehouse/lab/zoo"}, p.ImportPath) {
			continue // these run the agent beside the peers
		}
		for _, i := range p.Deps {
			if strings.HasPrefix(i, "gatehouse/") && !strings.HasPrefix(i, "gatehouse/lab") {
				t.Errorf("%s must not link %s", p.ImportPath, i)
			}
		}
	}
}

// TestExec: no value that a peer sends may ever start a process, so there is
// one file of each backend that can, and it runs a few fixed commands.
func TestExec(t *testing.T) {
	may := map[string]string{"gatehouse/platform/linux": "power.go", "gatehouse/platform/openwrt": "run.go"}
	for _, p := range list(t, "./agent/...", "./cwmp/...", "./datamodel/...", "./platform/...", "./internal/...") {
		if !slices.Contains(p.Imports, "os/exec") {
			continue
		}
		if may[p.ImportPath] == "" {
			t.Errorf("%s must not import os/exec", p.ImportPath)
		}
		files, err := filepath.Glob(strings.TrimPrefix(p.ImportPath, "gatehouse/") + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if base := filepath.Base(name); !strings.HasSuffix(base, "_test.go") && base != may[p.ImportPath] && strings.Contains(string(text), "\"os/exec\"") {
				t.Errorf("%s must not import os/exec", name)
			}
		}
	}
}

func TestNotLinked(t *testing.T) {
	for _, p := range list(t, "-tags", "nethttpomithttp2", "./agent") {
		for _, d := range p.Deps {
			if why, bad := never[d]; bad {
				t.Errorf("gatehouse must not link %s: %s", d, why)
			}
		}
	}
}
