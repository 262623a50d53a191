package zoo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// starters is who may start processes, and why that is none of a peer's
// business.
var starters = map[string]string{
	"gatehouse/platform/linux":   "reboot, by systemd or init",
	"gatehouse/platform/openwrt": "firstboot and sysupgrade",
}

// TestNothingStartsProcesses: what no package can do, no value can make it do.
// TestPeerNoProcess sees the same from outside.
func TestNothingStartsProcesses(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-tags", "nethttpomithttp2", "-f",
		`{{if not .Standard}}{{$p := .}}{{range .GoFiles}}{{$p.ImportPath}} {{$p.Dir}} {{.}}{{"\n"}}{{end}}{{end}}`, "gatehouse/agent").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 3 || !strings.HasPrefix(f[0], "gatehouse/") || starters[f[0]] != "" {
			continue
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(f[1], f[2]), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if slices.Contains([]string{`"os/exec"`, `"plugin"`, `"C"`}, i.Path.Value) {
				t.Errorf("%s imports %s", f[0], i.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, _ := s.X.(*ast.Ident)
			starts := []string{"StartProcess", "ForkExec", "Exec", "SYS_FORK", "SYS_VFORK", "SYS_CLONE", "SYS_CLONE3", "SYS_EXECVE", "SYS_EXECVEAT"}
			// godbus can start dbus-launch, for a session bus: that is not ours.
			dbus := []string{"SessionBus", "SessionBusPrivate", "ConnectSessionBus"}
			if x != nil && (slices.Contains([]string{"os", "syscall", "unix"}, x.Name) && slices.Contains(starts, s.Sel.Name) ||
				x.Name == "dbus" && slices.Contains(dbus, s.Sel.Name)) {
				t.Errorf("%s calls %s.%s", f[0], x.Name, s.Sel.Name)
			}
			return true
		})
	}
	if files < 200 {
		t.Errorf("%d files looked at: this proves nothing", files)
	}
}
