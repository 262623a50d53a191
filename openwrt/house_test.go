// Package openwrt_test runs the shell scripts that OpenWrt's package installs,
// with functions of our own in the place of OpenWrt's.
package openwrt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/uci"
)

// shells are the ones found here that are like a router's: small and POSIX.
func shells(t *testing.T) [][]string {
	t.Helper()
	var found [][]string
	for _, s := range [][]string{{"busybox", "sh"}, {"dash"}, {"sh"}} {
		if _, err := exec.LookPath(s[0]); err == nil {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		t.Skip("needs a shell")
	}
	return found
}

// each runs a test with every shell.
func each(t *testing.T, test func(t *testing.T, shell []string)) {
	for _, s := range shells(t) {
		t.Run(strings.Join(s, " "), func(t *testing.T) { test(t, s) })
	}
}

// router is a root file system and the configuration packages on it, for one
// script after the other.
type router struct {
	t     *testing.T
	shell []string
	root  string
	files map[string]string // package: its text
}

func newRouter(t *testing.T, shell []string, files map[string]string) *router {
	return &router{t: t, shell: shell, root: t.TempDir(), files: files}
}

// functions stand in for uci(1), for OpenWrt's functions.sh, procd.sh and
// jshn.sh. Configuration lies in $IPKG_INSTROOT/db, a line PACKAGE.SECTION.
// OPTION=VALUE for each option, without OPTION for each section, doubled where
// the section can be named by position. What is called for its effect is
// printed, one call a line.
const functions = `
db=$IPKG_INSTROOT/db
find_value() { # PATH FILE: the last line counts, as in a delta
	found=
	while IFS= read -r line; do
		[ "${line%%=*}" = "$1" ] && found=$line
	done <"$2"
	[ -n "$found" ]
}
uci() {
	[ "$1" = -q ] && shift
	case $1 in
	get)
		find_value "$2" "$db.staged" || find_value "$2" "$db" || return 1
		printf '%s\n' "${found#*=}" ;;
	set | add_list) printf '%s\n' "$2" >>"$db.staged" ;;
	commit)
		[ ! -e "$IPKG_INSTROOT/refuse" ] || return 1
		while IFS= read -r line; do
			case $line in
			"$2".*) printf '%s\n' "$line" >>"$db" ;;
			*) printf '%s\n' "$line" >>"$db.rest" ;;
			esac
		done <"$db.staged"
		: >>"$db.rest"; mv "$db.rest" "$db.staged" ;;
	*) echo "uci $*" >&2; return 1 ;;
	esac
}
config_load() { package=$1; }
config_get() {
	if find_value "$package.$2.$3" "$db"; then eval "$1=\${found#*=}"; else eval "$1=\$4"; fi
}
config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; 0 | off | false | no | disabled) $1=0 ;; *) $1=\$4 ;; esac"
}
config_foreach() { # FUNCTION TYPE
	while IFS= read -r line <&3; do
		case $line in
		*.*.*=*) ;;
		"$package".*="$2") line=${line%%=*}; "$1" "${line#*.}" ;;
		esac
	done 3<"$db"
}
config_list_foreach() { # SECTION OPTION FUNCTION
	while IFS= read -r line <&4; do
		case $line in
		"$package.$1.$2="*) "$3" "${line#*=}" ;;
		esac
	done 4<"$db"
}
tell() {
	printf '%s' "$1"; shift
	for word; do printf " '%s'" "$word"; done
	echo
}
for f in procd_open_instance procd_set_param procd_close_instance procd_open_data procd_close_data \
	procd_add_reload_trigger procd_add_reload_interface_trigger procd_set_config_changed \
	json_add_object json_close_object json_add_array json_close_array json_add_string; do
	eval "$f() { tell $f \"\$@\"; }"
done
logger() {
	while [ "$1" != "${1#-}" ]; do shift 2; done
	printf '%s\n' "$*" >>"$IPKG_INSTROOT/log"
}
`

// lines is the configuration as the functions above read it.
func (r *router) lines() string {
	r.t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		p, err := uci.Parse(name, []byte(r.files[name]))
		if err != nil {
			r.t.Fatal(err)
		}
		nth := map[string]int{}
		for _, s := range p.Sections {
			for _, at := range []string{s.Name, fmt.Sprintf("@%s[%d]", s.Type, nth[s.Type])} {
				if at == s.Name {
					fmt.Fprintf(&b, "%s.%s=%s\n", name, at, s.Type)
				}
				for _, o := range s.Options {
					for _, v := range o.Values {
						fmt.Fprintf(&b, "%s.%s.%s=%s\n", name, at, o.Name, v)
					}
				}
			}
			nth[s.Type]++
		}
	}
	return b.String()
}

// run sources a script after the functions, calls what is given, and returns
// what was printed.
func (r *router) run(script, call string) string {
	r.t.Helper()
	out, code, stderr := r.source(script, call)
	if code != 0 || stderr != "" {
		r.t.Fatalf("%s ends with %d\n%s%s", script, code, out, stderr)
	}
	return out
}

// source does the same, whatever comes of it.
func (r *router) source(script, call string) (out string, code int, stderr string) {
	r.t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("db", r.lines())
	r.write("db.staged", "")
	r.write("log", "")
	cmd := exec.Command(r.shell[0], append(r.shell[1:], "-u", "-c", functions+string(text)+"\n"+call)...)
	cmd.Env = []string{"IPKG_INSTROOT=" + r.root, "PATH=" + os.Getenv("PATH")}
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return o.String(), cmd.ProcessState.ExitCode(), e.String()
}

// read is what is in a file on the router; "" when there is none.
func (r *router) read(name string) string {
	text, err := os.ReadFile(filepath.Join(r.root, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
	return string(text)
}

// write puts a file on the router.
func (r *router) write(name, text string) {
	r.t.Helper()
	name = filepath.Join(r.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

func TestSyntax(t *testing.T) {
	var scripts []string
	for pattern, least := range map[string]int{"files/etc/[iou]*/*": 4, "../scripts/*": 5} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) < least {
			t.Fatalf("%s: found %q: %v", pattern, found, err)
		}
		for _, name := range found {
			if filepath.Ext(name) != ".service" { // a unit of systemd
				scripts = append(scripts, name)
			}
		}
	}
	each(t, func(t *testing.T, shell []string) {
		for _, s := range scripts {
			if out, err := exec.Command(shell[0], append(shell[1:], "-n", s)...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", s, err, out)
			}
		}
	})
}
