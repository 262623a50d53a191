package ubus_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/core"
	"gatehouse/internal/ubus"
	"gatehouse/lab/ubusd"
	"gatehouse/platform"
)

func TestValues(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		values := h.call("get", `{"paths":["`+wan+`","Device.DeviceInfo.UpTime"]}`)["values"].(map[string]any)
		if _, ok := values["Device.DeviceInfo.UpTime"].(float64); !ok || values[wan+"Status"] != "Up" || values[wan+"Enable"] != true {
			t.Error(values)
		}
		names := h.call("names", `{"path":"Device.","next":true}`)["names"].([]any)
		if first := names[0].(map[string]any); len(names) < 5 || first["type"] == "" || first["name"] == "" {
			t.Error(names)
		}
	})
}

// TestTransaction: added, set, refused as a whole, tried dry, deleted.
func TestTransaction(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		path := h.call("add", `{"table":"`+wan+`IPv4Address.","values":{"Enable":false}}`)["path"].(string)
		if !strings.HasPrefix(path, wan+"IPv4Address.") {
			t.Fatal(path)
		}
		set := func(method, values string) (string, int) {
			return h.ubus(asRoot, "call", "gatehouse", method, `{"values":{`+strings.ReplaceAll(values, "@", path)+`}}`)
		}
		if out, code := set("set", `"@IPAddress":"192.0.2.9","@SubnetMask":"255.255.255.0","@Enable":true`); code != 0 || !strings.Contains(out, "deferred") {
			t.Fatal(out)
		}
		out, code := set("set", `"@IPAddress":"here","@Enable":"maybe","Device.Nope":"1","@SubnetMask":"255.255.0.0"`)
		text, _, _ := strings.Cut(out, "Command failed")
		e := h.parse(text)["error"].(map[string]any)
		if n := len(e["problems"].([]any)); n != 3 || code == 0 || !strings.Contains(out, path+"IPAddress") {
			t.Errorf("%d problems, status %d: %s", n, code, out)
		}
		if got := h.call("get", `{"path":"`+path+`SubnetMask"}`)["values"].(map[string]any); got[path+"SubnetMask"] != "255.255.255.0" {
			t.Error("half of it was done: ", got)
		}
		if out, code := set("dryrun", `"@IPAddress":"here"`); code != int(ubus.InvalidArgument) {
			t.Error(out)
		}
		if out, code := set("dryrun", `"@IPAddress":"192.0.2.10"`); code != 0 {
			t.Error(out)
		}
		if got := h.call("get", `{"path":"`+path+`IPAddress"}`)["values"].(map[string]any); got[path+"IPAddress"] != "192.0.2.9" {
			t.Error("a dry run is wet: ", got)
		}
		h.call("delete", `{"paths":["`+path+`"]}`)
		if out, code := h.ubus(asRoot, "call", "gatehouse", "get", `{"path":"`+path+`"}`); code != int(ubus.NotFound) {
			t.Error(out)
		}
	})
}

func TestAttributes(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.call("notify", `{"path":"`+wan+`Status","notification":2}`)
		all := h.call("attributes", `{"path":"`+wan+`Status"}`)["attributes"].(map[string]any)
		if a := all[wan+"Status"].(map[string]any); a["notification"] != 2. {
			t.Error(all)
		}
	})
}

// TestRefusals: what a script sees of each mistake.
func TestRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		for _, c := range []struct {
			method, args, name string
			status             ubus.Status
		}{
			{"get", `{"path":"Device.Nope"}`, "InvalidName", ubus.NotFound},
			{"get", `{}`, "InvalidArguments", ubus.InvalidArgument},
			{"get", `{"pahts":["Device."]}`, "InvalidArguments", ubus.InvalidArgument},
			{"get", `{"paths":[1]}`, "InvalidArguments", ubus.InvalidArgument},
			{"get", `{"paths":"Device."}`, "InvalidArguments", ubus.InvalidArgument},
			{"get", `{"path":"Device.","path":"Device."}`, "InvalidArguments", ubus.InvalidArgument},
			{"set", `{}`, "InvalidArguments", ubus.InvalidArgument},
			{"set", `{"values":{"` + wan + `Name":"x"}}`, "NotWritable", ubus.PermissionDenied},
			{"set", `{"values":{"` + wan + `Alias":{"a":1}}}`, "InvalidType", ubus.InvalidArgument},
			{"set", `{"values":{"` + wan + `Enable":1.5}}`, "InvalidType", ubus.InvalidArgument},
			{"notify", `{"path":"` + wan + `"}`, "InvalidArguments", ubus.InvalidArgument},
			{"notify", `{"path":"` + wan + `","notification":9}`, "InvalidArguments", ubus.InvalidArgument},
			{"inform", `{"event":"1 BOOT"}`, "InvalidArguments", ubus.InvalidArgument},
			{"watch", `{"path":"` + wan + `"}`, "InvalidArguments", ubus.InvalidArgument}, // without a subscriber
			{"unwatch", `{"watch":7}`, "InvalidArguments", ubus.InvalidArgument},
			{"log", `{"sessions":-1}`, "InvalidArguments", ubus.InvalidArgument},
		} {
			out, code := h.ubus(asRoot, "call", "gatehouse", c.method, c.args)
			if code != int(c.status) || !strings.Contains(out, `"name": "`+c.name+`"`) {
				t.Errorf("%s %s: status %d, %s", c.method, c.args, code, out)
			}
		}
		// rpcd says by which session a call came; that is no slip of the pen.
		if out, code := h.ubus(asRoot, "call", "gatehouse", "status", `{"ubus_rpc_session":"0123456789abcdef"}`); code != 0 {
			t.Error(out)
		}
	})
}

func TestRights(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		name := `{"values":{"Device.DeviceInfo.ProvisioningCode":"x"}}`
		for _, c := range []struct {
			from, object, method, args string
			inside                     bool // it is we who refuse, and say why
			status                     ubus.Status
		}{
			{asReader, "gatehouse", "get", `{"path":"` + wan + `"}`, false, ubus.OK},
			{asReader, "gatehouse", "status", "", false, ubus.OK},
			{asReader, "tr069", "status", "", false, ubus.OK},
			{asReader, "gatehouse", "set", name, true, ubus.PermissionDenied},
			{asReader, "gatehouse", "reload", "", true, ubus.PermissionDenied},
			{asReader, "tr069", "inform", `{"event":"6 CONNECTION REQUEST"}`, true, ubus.PermissionDenied},
			{asReader, "tr069", "command", `{"command":"reload"}`, true, ubus.PermissionDenied},
			{asVendor, "gatehouse", "get", `{"path":"` + wan + `"}`, true, ubus.PermissionDenied},
			{asVendor, "gatehouse", "get", `{"path":"Device.DeviceInfo.UpTime"}`, false, ubus.OK},
			{asNobody, "gatehouse", "get", `{"path":"` + wan + `"}`, false, ubus.PermissionDenied}, // ubusd refuses
			{asNobody, "tr069", "status", "", false, ubus.PermissionDenied},
		} {
			out, code := h.ubus(c.from, "call", c.object, c.method, c.args)
			if code != int(c.status) || strings.Contains(out, `"NotPermitted"`) != c.inside {
				t.Errorf("%s: %s %s %s: status %d, %s", c.from, c.object, c.method, c.args, code, out)
			}
		}
		if h.asked != 0 {
			t.Error("a session was asked for")
		}
	})
}

// TestOldDaemon: whose daemon does not tell who calls, gets no answer.
func TestOldDaemon(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.daemon.Old = true
		if out, code := h.ubus(asRoot, "call", "gatehouse", "status"); code != int(ubus.PermissionDenied) {
			t.Error(out)
		}
	})
}

func TestStatusAndSessions(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		if st := h.call("status", ""); st["state"] != "idle" || st["version"] != "test" || st["retryCount"] != 0. {
			t.Error(st)
		}
		h.call("inform", `{"event":"X 0011AA Button"}`)
		h.call("inform", ``)
		if len(h.core.Asked()) != 2 {
			t.Error(h.core.Asked())
		}
		if got := h.call("reload", ``)["changed"].([]any); len(got) != 1 {
			t.Error(got)
		}
		if out := h.call("log", `{"sessions":3}`); out["sessions"] != nil && len(out["sessions"].([]any)) != 0 {
			t.Error(out)
		}
	})
}

// S003-33, S003-36: the provider's configuration on command.
func TestProvider(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		if got := h.call("provider", `{"call":"fetch"}`); got["changed"] != true || got["status"] != "Enabled" || got["source"] != "live" {
			t.Error(got)
		}
		if got := h.call("provider", ``); got["changed"] != nil || got["status"] != "Enabled" {
			t.Error(got)
		}
		if out, code := h.ubus(asRoot, "call", "gatehouse", "provider", `{"call":"reload"}`); code != int(ubus.UnknownError) || !strings.Contains(out, "damaged") {
			t.Error(code, out)
		}
		if out, code := h.ubus(asRoot, "call", "gatehouse", "provider", `{"call":"fetched"}`); code != int(ubus.InvalidArgument) {
			t.Error(code, out)
		}
		if out, code := h.ubus(asReader, "call", "gatehouse", "provider", `{"call":"fetch"}`); code != int(ubus.PermissionDenied) {
			t.Error(code, out)
		}
	})
}

// TestIcwmpScripts: what scripts for icwmpd call, and read.
func TestIcwmpScripts(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ended := time.Now()
		h.core.Set(core.Status{State: core.Idle, Started: ended.Add(-time.Second), Ended: ended, Sessions: 3, Failures: 1, NextAttempt: ended.Add(time.Hour)})
		out, code := h.ubus(asRoot, "call", "tr069", "status")
		want := "{\n\t\"cwmp\": {\n\t\t\"status\": \"up\",\n\t\t\"start_time\": \"2000-01-01T00:00:00Z\",\n\t\t\"acs_url\": \"https://acs.example/\"\n\t},\n" +
			"\t\"last_session\": {\n\t\t\"status\": \"success\",\n\t\t\"start_time\": \"1999-12-31T23:59:59Z\",\n\t\t\"end_time\": \"2000-01-01T00:00:00Z\"\n\t},\n" +
			"\t\"next_session\": {\n\t\t\"status\": \"waiting\",\n\t\t\"start_time\": \"2000-01-01T01:00:00Z\",\n\t\t\"end_time\": \"N/A\"\n\t},\n" +
			"\t\"statistics\": {\n\t\t\"success_sessions\": 2,\n\t\t\"failure_sessions\": 1,\n\t\t\"total_sessions\": 3\n\t}\n}\n"
		if code != 0 || out != want {
			t.Errorf("%s, not %s", out, want)
		}
		started := "{\n\t\"status\": 1,\n\t\"info\": \"Session started\"\n}\n"
		for _, args := range []string{"", `{"event":"2 PERIODIC"}`, `{"event":""}`, `{"event":"6 CONNECTION REQUEST"}`, `{"event":"6"}`, `{"event":"X 0011AA Button","GetRPCMethods":false}`} {
			if out, code := h.ubus(asRoot, "call", "tr069", "inform", args); code != 0 || out != started {
				t.Errorf("inform %s: %s", args, out)
			}
		}
		if h.asked != 2 || len(h.core.Asked()) != 4 {
			t.Errorf("%d, %d", h.asked, len(h.core.Asked()))
		}
		for args, status := range map[string]ubus.Status{`{"GetRPCMethods":true}`: ubus.NotSupported, `{"event":"1 BOOT"}`: ubus.InvalidArgument} {
			if out, code := h.ubus(asRoot, "call", "tr069", "inform", args); code != int(status) || !strings.Contains(out, `"status": -1`) {
				t.Errorf("inform %s: %d %s", args, code, out)
			}
		}
		if out, code := h.ubus(asRoot, "call", "tr069", "command", `{"command":"reload"}`); code != 0 || !strings.Contains(out, `"status": 0`) {
			t.Error(out)
		}
		if out, _ := h.ubus(asRoot, "call", "tr069", "command"); !strings.Contains(out, "SupportedCommands") {
			t.Error(out)
		}
		if out, code := h.ubus(asRoot, "call", "tr069", "command", `{"command":"exit"}`); code != int(ubus.NotSupported) {
			t.Error(out)
		}
		h.acs = ""
		if out, code := h.ubus(asRoot, "call", "tr069", "inform", `{"event":"6"}`); code != int(ubus.NoData) || h.asked != 2 {
			t.Error(out)
		}
	})
}

func TestWatch(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		sub, err := ubusd.Subscribe(h.dial(asReader), "gatehouse")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ubusd.Subscribe(h.dial(asNobody), "gatehouse"); err == nil {
			t.Error("somebody without rights is let in")
		}
		type news struct{ name, text string }
		heard := make(chan news, 100)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				name, text, err := sub.Next()
				if err != nil {
					return
				}
				heard <- news{name, text}
			}
		}()
		args := `{"paths":["` + wan + `Status","Device.Ethernet.Interface.*.Status"]}`
		first := h.call("watch", args)
		if first["values"].(map[string]any)[wan+"Status"] != "Up" {
			t.Error(first)
		}
		if again := h.call("watch", args); again["watch"] != first["watch"] || again["values"].(map[string]any)[wan+"Status"] != "Up" {
			t.Error(again)
		}
		next := func(name string, holds ...string) {
			t.Helper()
			n := <-heard
			if n.name != name || slices.ContainsFunc(holds, func(s string) bool { return !strings.Contains(n.text, s) }) {
				t.Errorf("%v, not %s %q", n, name, holds)
			}
		}
		h.router.SetLink("eth0", false)
		next("changed", `"`+wan+`Status": "Down"`, fmt.Sprintf(`"watch": %v`, first["watch"]))
		h.router.EditLink("eth9", func(l *platform.Link) { l.MAC = "00:00:5e:00:53:99" })
		next("changed", `"added": [`)
		h.router.RemoveLink("eth9")
		next("changed", `"removed": [`)
		h.core.Tell(core.Status{State: core.InSession, Session: "s1", Started: time.Now()})
		next("session.started", `"session": "s1"`)
		h.core.Tell(core.Status{State: core.Idle, Session: "s1", Started: time.Now(), Ended: time.Now().Add(time.Second), Sessions: 1})
		next("session.ended", `"succeeded": true`)
		id := fmt.Sprintf(`{"watch":%v}`, first["watch"])
		h.call("unwatch", id)
		h.call("unwatch", id)
		if out, code := h.ubus(asRoot, "call", "gatehouse", "unwatch", id); code == 0 {
			t.Error(out)
		}
		sub.Close()
		<-done
		synctest.Wait()
		if out, code := h.ubus(asRoot, "call", "gatehouse", "watch", args); code == 0 {
			t.Error("a watch without a subscriber: ", out)
		}
	})
}

// TestTooManyWatches: 32, of all callers.
func TestTooManyWatches(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		sub, err := ubusd.Subscribe(h.dial(asRoot), "gatehouse")
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		synctest.Wait()
		all := h.call("get", `{"path":"Device.IP."}`)["values"].(map[string]any)
		names, busy := slices.Sorted(maps.Keys(all)), ""
		for i, name := range names[:33] {
			if out, code := h.ubus(asRoot, "call", "gatehouse", "watch", `{"path":"`+name+`"}`); code != 0 {
				busy += fmt.Sprint(i, out)
			}
		}
		if !strings.HasPrefix(busy, "32{") || !strings.Contains(busy, `"Busy"`) {
			t.Error("not 32 watches: ", busy)
		}
	})
}

// TestDaemonRestarts: the objects are there again, and answer.
func TestDaemonRestarts(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		for range 3 {
			h.stop()
			time.Sleep(time.Minute)
			h.start()
			time.Sleep(6 * time.Minute)
			synctest.Wait()
			if got := h.daemon.Paths(); !slices.Equal(got, []string{"gatehouse", "tr069"}) {
				t.Fatal(got)
			}
			h.call("get", `{"path":"`+wan+`"}`)
		}
	})
}

// TestHostileCaller: 1 MB, deep nesting, rubbish; and a good call after each.
func TestHostileCaller(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		deep := strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500)
		many := strings.Repeat(`"Device.",`, 20_000) + `"Device."`
		for name, args := range map[string]string{
			"1 MB":  `{"path":"` + strings.Repeat("x", 1_000_000) + `"}`,
			"deep":  `{"values":` + deep + `}`,
			"many":  `{"paths":[` + many + `]}`,
			"whole": `{"paths":[` + strings.Repeat(`"Device.",`, 4000) + `"Device."]}`,
		} {
			if out, code := h.ubus(asReader, "call", "gatehouse", "get", args); code == 0 {
				t.Errorf("%s: %d bytes of an answer", name, len(out))
			}
			h.call("status", "")
		}
	})
}

// TestTr069IsTaken: another agent has tr069; gatehouse is there all the same.
func TestTr069IsTaken(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.stop()
		h.start()
		c, err := ubus.Open(h.dial(asRoot), nil)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() { defer close(served); c.Serve(t.Context()) }()
		if _, err := c.Publish(t.Context(), &ubus.Object{Path: "tr069"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		h.call("status", "")
		h.daemon.Kick()
		<-served
	})
}
