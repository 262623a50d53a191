package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var made = time.Unix(1767225600, 0).UTC()

// testOptions packs the real files around a small binary.
func testOptions(t *testing.T) options {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "gatehouse-mipsle")
	if err := os.WriteFile(binary, []byte("\x7fELF not really"), 0o600); err != nil {
		t.Fatal(err)
	}
	return options{arch: "mipsel_24kc", binary: binary, version: "0.1.0-r1", feed: "..", time: made}
}

// unpack reads a gzipped tar back, and sees that nothing in it tells who made
// it, or when.
func unpack(t *testing.T, archive []byte) (names []string, files map[string]string) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if !zip.ModTime.IsZero() || zip.Name != "" {
		t.Errorf("the gzip header tells %q, %s", zip.Name, zip.ModTime)
	}
	files = map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(made) {
			t.Errorf("%s: owner %d(%s):%d(%s), time %s", h.Name, h.Uid, h.Uname, h.Gid, h.Gname, h.ModTime)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%04o %s", h.Mode, h.Name))
		files[h.Name] = string(text)
	}
}

// installed is what a router gets, with its modes.
const installed = `0755 ./
0755 ./etc/
0755 ./etc/config/
0600 ./etc/config/gatehouse
0755 ./etc/init.d/
0755 ./etc/init.d/gatehouse
0755 ./etc/odhcp6c.user.d/
0644 ./etc/odhcp6c.user.d/gatehouse
0755 ./etc/uci-defaults/
0755 ./etc/uci-defaults/90-gatehouse
0755 ./etc/udhcpc.user.d/
0644 ./etc/udhcpc.user.d/gatehouse
0755 ./lib/
0755 ./lib/upgrade/
0755 ./lib/upgrade/keep.d/
0644 ./lib/upgrade/keep.d/gatehouse
0755 ./usr/
0755 ./usr/sbin/
0755 ./usr/sbin/gatehouse
0755 ./usr/share/
0755 ./usr/share/acl.d/
0644 ./usr/share/acl.d/gatehouse.json
0755 ./usr/share/dbus-1/
0755 ./usr/share/dbus-1/system.d/
0644 ./usr/share/dbus-1/system.d/org.gatehouse1.conf`

func TestPackage(t *testing.T) {
	o := testOptions(t)
	var b bytes.Buffer
	if err := pack(&b, o); err != nil {
		t.Fatal(err)
	}
	names, outer := unpack(t, b.Bytes())
	if got := strings.Join(names, ", "); got != "0755 ./, 0644 ./debian-binary, 0644 ./data.tar.gz, 0644 ./control.tar.gz" {
		t.Errorf("the package holds %s", got)
	}
	if outer["./debian-binary"] != "2.0\n" {
		t.Errorf("debian-binary is %q", outer["./debian-binary"])
	}
	names, data := unpack(t, []byte(outer["./data.tar.gz"]))
	if got := strings.Join(names, "\n"); got != installed {
		t.Errorf("it installs\n%s", got)
	}
	if data["./usr/sbin/gatehouse"] != "\x7fELF not really" {
		t.Errorf("the binary is %q", data["./usr/sbin/gatehouse"])
	}
	names, control := unpack(t, []byte(outer["./control.tar.gz"]))
	if got := strings.Join(names, ", "); got != "0755 ./, 0644 ./conffiles, 0644 ./control, 0755 ./postinst, 0755 ./prerm" {
		t.Errorf("control holds %s", got)
	}
	if control["./conffiles"] != "/etc/config/gatehouse\n" {
		t.Errorf("conffiles are %q", control["./conffiles"])
	}
	size := 0
	for _, text := range data {
		size += len(text)
	}
	for _, line := range []string{"Package: gatehouse\n", "Version: 0.1.0-r1\n", "Architecture: mipsel_24kc\n", "Depends: ca-bundle\n", "Require-User: :gatehouse\n", fmt.Sprintf("Installed-Size: %d\n", size)} {
		if !strings.Contains(control["./control"], line) {
			t.Errorf("control lacks %q:\n%s", line, control["./control"])
		}
	}
}

// TestSameBytes: neither when and where it is packed nor the modes of the
// source tree make a difference.
func TestSameBytes(t *testing.T) {
	o := testOptions(t)
	var first, second bytes.Buffer
	if err := pack(&first, o); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.CopyFS(elsewhere, os.DirFS("..")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(elsewhere, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return errors.Join(os.Chmod(path, 0o664), os.Chtimes(path, made, made.Add(time.Hour)))
	})
	if err != nil {
		t.Fatal(err)
	}
	o.feed = elsewhere
	if err := pack(&second, o); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same input gives different bytes")
	}
}

// TestScripts: on a router they hand over to OpenWrt's own functions; in an
// image that has none, or where opkg is told not to, they do nothing.
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
	root := t.TempDir()
	const functions = "default_postinst() { echo enable $2; }\ndefault_prerm() { echo stop $2; return 3; }\n"
	if err := errors.Join(os.Mkdir(filepath.Join(root, "lib"), 0o755), os.WriteFile(filepath.Join(root, "lib", "functions.sh"), []byte(functions), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		script, root, quiet, want string
		code                      int
	}{
		{script: postinst, root: root, want: "enable configure\n"},
		{script: postinst, root: root, quiet: "1"},
		{script: postinst, root: t.TempDir()},
		{script: prerm, root: root, want: "stop configure\n", code: 3},
		{script: prerm, root: t.TempDir()},
	} {
		cmd := exec.Command("sh", "-c", c.script, "gatehouse.postinst", "configure")
		cmd.Env = []string{"IPKG_INSTROOT=" + c.root, "IPKG_NO_SCRIPT=" + c.quiet}
		out, _ := cmd.CombinedOutput()
		if string(out) != c.want || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("in %s it says %q and ends with %d, want %q and %d:\n%s", c.root, out, cmd.ProcessState.ExitCode(), c.want, c.code, c.script)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, edit := range map[string]func(*options){
		"version":      func(o *options) { o.version = "0.1.0-r1\nEssential: yes" },
		"architecture": func(o *options) { o.arch = "../mips" },
		"binary":       func(o *options) { o.binary += "-missing" },
		"feed":         func(o *options) { o.feed = t.TempDir() },
	} {
		o := testOptions(t)
		edit(&o)
		dir := t.TempDir()
		err := run(o, dir)
		left, _ := os.ReadDir(dir)
		if err == nil || len(left) != 0 {
			t.Errorf("%s: %v, left %v", name, err, left)
		}
	}
}

// The part of OpenWrt's build that the feed's Makefile leans on.
const (
	rules = `INCLUDE_DIR:=$(TOPDIR)/include
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600
CP:=cp -fpR
PKG_BUILD_DIR:=$(TOPDIR)/build
`
	golang = `GO_PKG_BUILD_BIN_DIR:=$(TOPDIR)/bin
GO_PKG_TARGET_VARS=GOARCH=mipsle CGO_ENABLED=1 CC=cc
GO_PKG_DEFAULT_LDFLAGS=-linkmode external
define GoBinPackage
endef
define BuildPackage
$(Package/$(1))
prepare: ; $$(call Build/Prepare)
install: ; $$(call Package/$(1)/install,$(TOPDIR)/root)
show: ; @echo '$$(strip $$(GO_PKG_TARGET_VARS))' / '$$(GO_PKG_DEFAULT_LDFLAGS)' / $$(strip $$(Package/$(1)/conffiles)) / $$(USERID)
endef
`
)

// TestFeed: what the SDK would install is what the ipk installs, and the source
// it would build from is whole.
func TestFeed(t *testing.T) {
	for _, p := range []string{"make", "install", "cp"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
	top := t.TempDir()
	for name, text := range map[string]string{
		"rules.mk": rules, "include/package.mk": "",
		"feeds/packages/lang/golang/golang-package.mk": golang,
		"bin/agent": "\x7fELF not really",
	} {
		name = filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	target := func(name string) string {
		t.Helper()
		// -C through a link, as the build has it below package/feeds.
		out, err := exec.Command("make", "--no-print-directory", "-C", filepath.Join(top, "feed", "gatehouse"), "TOPDIR="+top, name).CombinedOutput()
		if err != nil {
			t.Fatalf("make %s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	feed, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(feed, filepath.Join(top, "feed")); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(target("show")); got != "GOARCH=mipsle CC=cc CGO_ENABLED=0 /  / /etc/config/gatehouse / :gatehouse" {
		t.Errorf("the build's flags, conffiles and users are %s", got)
	}

	target("install")
	all, err := contents(testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		name := filepath.Join(top, "root", f.name)
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(text, f.data) || int64(info.Mode().Perm()) != f.mode {
			t.Errorf("%s differs: mode %o, want %o (%v)", f.name, info.Mode().Perm(), f.mode, err)
		}
	}
	count := 0
	err = filepath.WalkDir(filepath.Join(top, "root"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			count++
		}
		return err
	})
	if err != nil || count != len(all) {
		t.Errorf("the feed installs %d files, the ipk %d (%v)", count, len(all), err)
	}

	target("prepare")
	cmd := exec.Command("go", "list", "-deps", "-tags", "nethttpomithttp2", "./agent")
	cmd.Dir = filepath.Join(top, "build")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the prepared source is not whole: %v\n%s", err, out)
	}
}
