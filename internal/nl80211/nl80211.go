// Package nl80211 asks the kernel about its radios: what they can, which network
// interfaces stand on them, who has joined, and how noisy it is. It is the
// generic netlink family of that name (linux/nl80211.h); nothing in it is polled
// or kept.
//
// A message is struct nlmsghdr, struct genlmsghdr (command, version, two bytes
// that are reserved), and attributes: length (16 bits, with these four bytes),
// type (16 bits, of which the upper two are flags), value, padded to four bytes.
// A nested attribute has attributes for its value; in an array their types are
// its indices. A flag is there or not, and has no value. Numbers are in the byte
// order of the machine.
//
// It reads and, with [Client.SetPower], changes one setting, which needs
// CAP_NET_ADMIN. The rest needs no privileges.
package nl80211

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// native is the byte order of netlink.
var native = binary.NativeEndian

// patience bounds how long the kernel may take for the next datagram.
const patience = 5 * time.Second

// attempts bounds how often a dump is repeated that changed under our eyes.
const attempts = 5

// An Asker puts one question to the family, and calls f with the attributes of
// each message of the answer. Tests have a kernel of their own.
type Asker func(ctx context.Context, command uint8, flags int, attrs []*nl.RtAttr, f func(attrs []byte)) error

// A Client asks one kernel.
type Client struct{ ask Asker }

// New returns a client of whoever answers to ask.
func New(ask Asker) Client { return Client{ask} }

// Open finds the family in a network namespace; nil: that of the process. The
// error is fs.ErrNotExist where the kernel has no 802.11 (cfg80211 is not there,
// or not loaded).
func Open(ns *os.File) (Client, error) {
	home := netns.None()
	if ns != nil {
		home = netns.NsHandle(ns.Fd())
	}
	h, err := netlink.NewHandleAt(home, unix.NETLINK_GENERIC)
	if err != nil {
		return Client{}, fmt.Errorf("generic netlink: %w", err)
	}
	defer h.Close()
	family, err := h.GenlFamilyGet("nl80211")
	if errors.Is(err, unix.ENOENT) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Client{}, fmt.Errorf("nl80211: %w", err)
	}
	return Client{asker(home, family.ID)}, nil
}

// asker asks a family of generic netlink on a socket of its own for each
// question.
func asker(home netns.NsHandle, family uint16) Asker {
	return func(ctx context.Context, command uint8, flags int, attrs []*nl.RtAttr, f func([]byte)) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := nl.GetNetlinkSocketAt(home, netns.None(), unix.NETLINK_GENERIC)
		if err != nil {
			return fmt.Errorf("generic netlink: %w", err)
		}
		defer s.Close()
		wait := unix.NsecToTimeval(patience.Nanoseconds())
		if err := s.SetReceiveTimeout(&wait); err != nil {
			return err
		}
		r := nl.NewNetlinkRequest(int(family), flags)
		r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_GENERIC: {Socket: s}}
		r.AddData(&nl.Genlmsg{Command: command})
		for _, a := range attrs {
			r.AddData(a)
		}
		err = r.ExecuteIter(unix.NETLINK_GENERIC, 0, func(msg []byte) bool {
			if len(msg) >= unix.GENL_HDRLEN {
				f(msg[unix.GENL_HDRLEN:])
			}
			return ctx.Err() == nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
}

// dump collects a table of one moment. begin forgets what an attempt has
// collected that was interrupted.
func (c Client) dump(ctx context.Context, command uint8, attrs []*nl.RtAttr, begin func(), f func(attrs []byte)) error {
	var err error
	for range attempts {
		begin()
		if err = c.ask(ctx, command, unix.NLM_F_DUMP, attrs, f); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return err
}

// IsUnsupported says whether an error means that the driver has no answer to the
// question, now or ever.
func IsUnsupported(err error) bool {
	return errors.Is(err, syscall.EOPNOTSUPP)
}

// attributes goes through the attributes of a message. A malformed rest is left.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			n := int(native.Uint16(b))
			if n < unix.SizeofNlAttr || n > len(b) {
				return
			}
			if !yield(native.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofNlAttr:n]) {
				return
			}
			b = b[min((n+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(b)):]
		}
	}
}

// u8, u16, u32 and u64 read a number, 0 where the kernel sent too little.
func u8(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

func u16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return native.Uint16(b)
}

func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return native.Uint32(b)
}

func u64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return native.Uint64(b)
}

// mac writes an address; "" where it is none.
func mac(b []byte) string {
	if len(b) != 6 {
		return ""
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}
