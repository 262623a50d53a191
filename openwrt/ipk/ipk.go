// Command ipk packs a gatehouse binary for opkg, without OpenWrt's SDK. An ipk
// is a gzipped tar of three files: debian-binary, data.tar.gz (what is
// installed) and control.tar.gz (what opkg wants to know). The same input gives
// the same bytes: owners are root, names sorted, and all times are the one
// given.
//
//	ipk --arch mipsel_24kc --binary dist/gatehouse-mipsle --version 0.1.0-r1 --time 1767225600 --out dist
package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	var o options
	var seconds int64
	flag.StringVar(&o.arch, "arch", "", "OpenWrt's `name` of the architecture")
	flag.StringVar(&o.binary, "binary", "", "the gatehouse `file` to pack")
	flag.StringVar(&o.version, "version", "", "`version` of the package, like 0.1.0-r1")
	flag.Int64Var(&seconds, "time", 0, "the `time` of every file, in seconds since 1970")
	flag.StringVar(&o.feed, "feed", "openwrt", "the `directory` with files/ and dbus/")
	out := flag.String("out", ".", "the `directory` for the package")
	flag.Parse()
	o.time = time.Unix(seconds, 0).UTC()
	if err := run(o, *out); err != nil {
		fmt.Fprintln(os.Stderr, "ipk:", err)
		os.Exit(1)
	}
}

// options says what is packed.
type options struct {
	arch, binary, version string
	feed                  string // the directory openwrt of the source tree
	time                  time.Time
}

// What both opkg and apk take for a version, and what opkg takes for an
// architecture: neither may escape from a line of control or from a file name.
var (
	versionShape = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*-r[0-9]+$`)
	archShape    = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]*$`)
)

// run writes the package into dir and prints its name.
func run(o options, dir string) error {
	var b bytes.Buffer
	if err := pack(&b, o); err != nil {
		return err
	}
	name := filepath.Join(dir, fmt.Sprintf("gatehouse_%s_%s.ipk", o.version, o.arch))
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Println(name, b.Len())
	return nil
}

// pack writes the package to w.
func pack(w io.Writer, o options) error {
	if !versionShape.MatchString(o.version) {
		return fmt.Errorf("version %q is not like 0.1.0-r1", o.version)
	}
	if !archShape.MatchString(o.arch) {
		return fmt.Errorf("architecture %q is not like mipsel_24kc", o.arch)
	}
	data, err := contents(o)
	if err != nil {
		return err
	}
	control := describe(o, data)
	var dataTar, controlTar bytes.Buffer
	if err := archive(&dataTar, data, o.time); err != nil {
		return err
	}
	if err := archive(&controlTar, control, o.time); err != nil {
		return err
	}
	return archive(w, []file{
		{"debian-binary", 0o644, []byte("2.0\n")},
		{"data.tar.gz", 0o644, dataTar.Bytes()},
		{"control.tar.gz", 0o644, controlTar.Bytes()},
	}, o.time)
}

// file is one file of an archive, by its path without a leading slash.
type file struct {
	name string
	mode int64
	data []byte
}

// mode is what an installed file gets. It comes from the place, not from the
// source tree, whose modes depend on the umask of who has checked it out.
func mode(name string) int64 {
	switch {
	case strings.HasPrefix(name, "etc/config/"):
		return 0o600 // passwords
	case strings.HasPrefix(name, "etc/init.d/"), strings.HasPrefix(name, "etc/uci-defaults/"), strings.HasPrefix(name, "usr/sbin/"):
		return 0o755
	}
	return 0o644
}

// contents is what the package installs, sorted by name.
func contents(o options) ([]file, error) {
	var all []file
	add := func(from, name string) error {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		all = append(all, file{name, mode(name), text})
		return nil
	}
	root := filepath.Join(o.feed, "files")
	err := filepath.WalkDir(root, func(from string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", from)
		}
		rel, err := filepath.Rel(root, from)
		if err != nil {
			return err
		}
		return add(from, filepath.ToSlash(rel))
	})
	err = errors.Join(err,
		add(filepath.Join(o.feed, "dbus", "org.gatehouse1.conf"), "usr/share/dbus-1/system.d/org.gatehouse1.conf"),
		add(o.binary, "usr/sbin/gatehouse"))
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return all, err
}

// The scripts that OpenWrt's build gives every package (package-pack.mk): the
// system enables and starts the service, and runs what is in uci-defaults.
const (
	postinst = `#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_postinst $0 $@
`
	prerm = `#!/bin/sh
[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0
. ${IPKG_INSTROOT}/lib/functions.sh
default_prerm $0 $@
`
)

// describe makes the files of control.tar.gz.
func describe(o options, data []file) []file {
	size := 0
	var conffiles strings.Builder
	for _, f := range data {
		size += len(f.data)
		if strings.HasPrefix(f.name, "etc/config/") {
			fmt.Fprintf(&conffiles, "/%s\n", f.name)
		}
	}
	// opkg takes Installed-Size for bytes. What OpenWrt's build writes for
	// USERID has default_postinst make the group whose members may read.
	control := fmt.Sprintf(`Package: gatehouse
Version: %s
Depends: ca-bundle
Require-User: :gatehouse
License: Apache-2.0
Section: net
SourceDateEpoch: %d
Architecture: %s
Installed-Size: %d
Description: TR-069 agent with the TR-181 model of the router
`, o.version, o.time.Unix(), o.arch, size)
	return []file{
		{"conffiles", 0o644, []byte(conffiles.String())},
		{"control", 0o644, []byte(control)},
		{"postinst", 0o755, []byte(postinst)},
		{"prerm", 0o755, []byte(prerm)},
	}
}

// archive writes a gzipped tar of the files, with the directories they are in.
// All belongs to root by number, and nothing tells where or when it was made.
func archive(w io.Writer, files []file, t time.Time) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zip)
	made := map[string]bool{}
	var dirs func(string) error
	dirs = func(dir string) error {
		if made[dir] {
			return nil
		}
		made[dir] = true
		if dir == "." {
			return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755, ModTime: t, Format: tar.FormatGNU})
		}
		if err := dirs(path.Dir(dir)); err != nil {
			return err
		}
		return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./" + dir + "/", Mode: 0o755, ModTime: t, Format: tar.FormatGNU})
	}
	for _, f := range files {
		if err := dirs(path.Dir(f.name)); err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: t, Format: tar.FormatGNU}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := tw.Write(f.data); err != nil {
			return err
		}
	}
	return errors.Join(tw.Close(), zip.Close())
}
