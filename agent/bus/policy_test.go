package bus_test

// The shipped policy, callers of several users, and the tools that people use.

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/lab/rooms"
)

var update = flag.Bool("update", false, "write docs/dbus.xml anew")

// tool runs a program as a user; it returns what it printed.
func (h *house) tool(uid, gid uint32, program string, args ...string) (string, error) {
	h.Helper()
	rooms.Need(h, program)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+h.bus.address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, NoSetGroups: false, Groups: []uint32{gid}}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *house) busctl(uid uint32, args ...string) (string, error) {
	h.Helper()
	return h.tool(uid, uid, "busctl", append([]string{"--address=" + h.bus.address}, args...)...)
}

const model = "org.gatehouse1 /org/gatehouse1 org.gatehouse1.DataModel "

func fields(text string, more ...string) []string { return append(strings.Fields(text), more...) }

// TestPeerUsers: the policy lets everybody ask, and the agent decides. Nobody
// but root can be org.gatehouse1. The users are daemon, bin and sys: the bus
// wants them to exist.
func TestPeerUsers(t *testing.T) {
	h := build(t)
	h.allow(func(uid uint32, gids []uint32) api.Caller {
		c := api.Caller{Name: fmt.Sprint("uid ", uid)}
		switch {
		case uid == 0:
			c.Rights = api.Everything
		case len(gids) > 0 && gids[0] == 1:
			c.Rights = api.Read
		case uid == 2:
			c.Grants = []api.Grant{{Rights: api.Read | api.Write | api.Register, Path: "Device.X_ACME_"}}
		}
		return c
	})
	get := func(uid uint32) (string, error) {
		return h.busctl(uid, fields("call "+model+"GetValues asa{sv} 1", wan+"Status", "0")...)
	}
	for uid, may := range map[uint32]bool{0: true, 1: true, 2: false, 3: false} {
		out, err := get(uid)
		if may != (err == nil) || may && !strings.Contains(out, `"Up"`) || !may && !strings.Contains(out, "may not") {
			t.Errorf("uid %d: %v\n%s", uid, err, out)
		}
	}
	if out, err := h.busctl(1, fields("call "+model+"SetValues a{sv}a{sv} 1", wan+"Enable", "b", "true", "0")...); err == nil {
		t.Error("a reader writes: ", out)
	}
	if out, err := h.busctl(1, fields("call org.gatehouse1 /org/gatehouse1 org.gatehouse1.Agent Inform sa{sv}", "", "0")...); err == nil {
		t.Error("a reader acts: ", out)
	}
	if out, err := h.busctl(2, fields("call org.gatehouse1 /org/gatehouse1 org.gatehouse1.Registry Register sa(ssa{sv})a{sv} Device.X_B_ 1 A string 0 0")...); err == nil || !strings.Contains(out, "may not") {
		t.Error("one that may register X_ACME_ registers X_B_: ", out)
	}
	if out, err := h.busctl(2, fields("call org.gatehouse1 /org/gatehouse1 org.gatehouse1.Registry Register sa(ssa{sv})a{sv} Device.X_ACME_ 1 A string 0 0")...); err != nil {
		t.Error(out)
	}
	if out, err := h.busctl(1, fields("call org.gatehouse1 /org/gatehouse1 org.gatehouse1.Subtree Rows sas x 0")...); err == nil {
		t.Error(out)
	}
	if out, err := h.busctl(1, fields("call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.gatehouse1 4")...); err == nil || !strings.Contains(out, "Access denied") {
		t.Error("anybody can be org.gatehouse1: ", out)
	}
	if out, err := h.busctl(0, "introspect", "org.gatehouse1", "/org/gatehouse1"); err != nil || !strings.Contains(out, ".NextInform") {
		t.Error(err, out)
	}
}

// TestPeerTools: one-liners of docs/dbus.md, by busctl and gdbus.
func TestPeerTools(t *testing.T) {
	h := build(t)
	for _, line := range []struct{ args, want string }{
		{"tree org.gatehouse1", "/org/gatehouse1"},
		{"call " + model + "GetValues asa{sv} 1 " + wan + "Status 0", `"Up"`},
		{"call " + model + "GetNames sba{sv} Device. true 0", "Device.IP."},
		{"call " + model + "DryRun a{sv}a{sv} 1 " + wan + "Enable b true 0", ""},
		{"call " + model + "SetAttributes asa{sv}a{sv} 1 " + wan + "Status 1 Notification i 2 0", ""},
		{"call " + model + "GetAttributes asa{sv} 1 " + wan + "Status 0", `Status" 2 1 "Subscriber"`},
		{"get-property org.gatehouse1 /org/gatehouse1 org.gatehouse1.Agent State", `"idle"`},
		{"call org.gatehouse1 /org/gatehouse1 org.gatehouse1.Agent Reload a{sv} 0", "URL"},
		{"call org.gatehouse1 /org/gatehouse1 org.gatehouse1.Provider Fetch a{sv} 0", "b true"},
		{"call org.gatehouse1 /org/gatehouse1 org.gatehouse1.Registry List", "0"},
	} {
		if out, err := h.busctl(0, strings.Fields(line.args)...); err != nil || !strings.Contains(out, line.want) {
			t.Errorf("%s: %v\n%s", line.args, err, out)
		}
	}
	for _, line := range []struct {
		args []string
		want string
	}{
		{fields("--method org.gatehouse1.DataModel.GetValues", `["`+wan+`Status"]`, "{}"), `'Up'`},
		{fields("--method org.gatehouse1.DataModel.AddObject "+wan+"IPv4Address.", "{'Enable': <false>}", "{}"), wan + "IPv4Address."},
		{fields("--method org.gatehouse1.Agent.Inform", "X 00005E Button", "{}"), "()"},
	} {
		args := append(fields("call --system --dest org.gatehouse1 --object-path /org/gatehouse1"), line.args...)
		if out, err := h.tool(0, 0, "gdbus", args...); err != nil || !strings.Contains(out, line.want) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// TestPeerIntrospection: docs/dbus.xml is what the service says of itself.
func TestPeerIntrospection(t *testing.T) {
	h := build(t)
	c := h.dial()
	var xml string
	if err := c.Object("org.gatehouse1", "/org/gatehouse1").Call("org.freedesktop.DBus.Introspectable.Introspect", 0).Store(&xml); err != nil {
		t.Fatal(err)
	}
	const path = "../../docs/dbus.xml"
	if *update {
		write(t, path, xml)
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, []byte(xml)) {
		t.Errorf("%s is not what the service says: write it anew with -update", path)
	}
}

// TestPeerListeners: what is told to everybody reaches root and the group of
// readers, and nobody else.
func TestPeerListeners(t *testing.T) {
	h := build(t)
	said := map[uint32]chan string{}
	for _, uid := range []uint32{0, 1, 3} { // root, daemon, sys
		rooms.Need(t, "gdbus")
		cmd := exec.Command("gdbus", "monitor", "--system", "--dest", "org.gatehouse1")
		cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+h.bus.address)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{uid}}}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		lines := make(chan string, 1000)
		said[uid] = lines
		go func() {
			for s := bufio.NewScanner(out); s.Scan(); {
				lines <- s.Text()
			}
			close(lines)
		}()
		for line := range lines { // it listens
			if strings.Contains(line, "is owned by") {
				break
			}
		}
	}
	hears := func(uid uint32) bool {
		for {
			select {
			case line := <-said[uid]:
				if strings.Contains(line, "PropertiesChanged") {
					return true
				}
			default:
				return false
			}
		}
	}
	heard := map[uint32]bool{}
	n := uint32(0)
	eventually(t, "that root and a reader hear of a change", func() bool {
		n++
		h.core.Tell(core.Status{State: core.Waiting, RetryCount: n})
		for uid := range said {
			heard[uid] = heard[uid] || hears(uid)
		}
		return heard[0] && heard[1]
	})
	if heard[3] {
		t.Error("everybody hears it")
	}
}
