// What DHCP servers have answered: the files that our hook of udhcpc and
// odhcp6c leaves (openwrt/files/etc), a file for each interface:
//
//	device=eth0.2
//	opt43=0123…      hexadecimal, as opt125 and opt17

package linux

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/platform"
)

const (
	// maxAnswer bounds a file of one answer. DHCP fits into a datagram, twice as
	// long in hexadecimal.
	maxAnswer = 16 << 10
	// maxAnswers bounds the files of one folder that are looked at.
	maxAnswers = 64
)

// dhcpClient implements platform.DHCPClient.
type dhcpClient struct{ b *backend }

// DHCPAnswers implements platform.DHCPClient.
func (c dhcpClient) DHCPAnswers(ctx context.Context) iter.Seq2[platform.DHCPAnswer, error] {
	return func(yield func(platform.DHCPAnswer, error) bool) {
		for _, read := range []func(context.Context) ([]platform.DHCPAnswer, error){c.hookAnswers, c.clientAnswers} {
			all, err := read(ctx)
			if err == nil {
				err = ctx.Err()
			}
			for _, a := range all {
				if err == nil && !yield(a, nil) {
					return
				}
			}
			if err != nil {
				yield(platform.DHCPAnswer{}, err)
				return
			}
		}
	}
}

// hookAnswers reads what the hook keeps.
func (c dhcpClient) hookAnswers(context.Context) (all []platform.DHCPAnswer, err error) {
	err = eachFile(c.b.paths.dhcpAnswers, func(name string, text []byte) {
		v := parseAssignments(text)
		if v["device"] != "" && !strings.HasPrefix(name, ".") { // the hook's temporary files begin with a dot
			all = append(all, platform.DHCPAnswer{
				Link: v["device"], Interface: name, Vendor: unhex(v["opt43"]), Identified: unhex(v["opt125"]), Identified6: unhex(v["opt17"]),
			})
		}
	})
	return all, err
}

// eachFile reads the files of a folder, if there is one.
func eachFile(dir string, f func(name string, text []byte)) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &platform.Unavailable{Source: dir, Err: err}
	}
	for _, e := range entries[:min(len(entries), maxAnswers)] {
		if text, err := readFile(filepath.Join(dir, e.Name()), maxAnswer); err == nil { // else it has just gone
			f(e.Name(), text)
		}
	}
	return nil
}

// unhex reads hexadecimal digits; nil when they are none, or not only.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}
