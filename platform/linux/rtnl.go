// Reading netlink: a socket per question, its own buffer, and decoders over
// the bytes of the kernel. vishvananda/netlink makes the changes; for reading
// it allocates 100 KB per datagram and an object per route, too much for a
// table of ten thousand.

package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// errInterrupted says that the table changed while the kernel listed it: rows
// may be missing (NLM_F_DUMP_INTR).
var errInterrupted = errors.New("the table changed while it was read")

// dumpAttempts bounds how often an interrupted dump is repeated.
const dumpAttempts = 5

// dumpTimeout bounds how long the kernel may take for the next datagram.
const dumpTimeout = 10 * time.Second

// recvSize is the most that the kernel sends in one datagram of a dump.
const recvSize = 32 << 10

// native is the byte order of netlink: that of the machine.
var native = binary.NativeEndian

// A dumpFunc asks one question and calls f for each message of the answer,
// until f returns false. The message lives until f returns.
type dumpFunc func(ctx context.Context, ask uint16, body []byte, f func(kind uint16, msg []byte) bool) error

var buffers = sync.Pool{New: func() any { b := make([]byte, recvSize); return &b }}

// conn is a netlink socket of its own.
type conn struct {
	file *os.File
	raw  syscall.RawConn
}

// inside runs f on a thread in the namespace of the backend.
func (b *backend) inside(f func() error) error {
	if b.ns == nil {
		return f()
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := netns.Set(netns.NsHandle(b.ns.Fd())); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		// A thread that cannot go home stays locked, and dies with its goroutine.
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return f()
}

// dial opens a netlink socket of a protocol that hears the groups of a bit mask.
func (b *backend) dial(protocol int, groups uint32) (*conn, error) {
	var fd int
	err := b.inside(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		return err
	})
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	// Kernels before 4.20 do not filter dumps; the decoders do, anyway.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	file := os.NewFile(uintptr(fd), "netlink")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &conn{file, raw}, nil
}

func (c *conn) send(msg []byte) error {
	var err error
	if e := c.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return err != unix.EAGAIN
	}); e != nil {
		return e
	}
	return os.NewSyscallError("sendto", err)
}

// recv waits for the next datagram of the kernel. One that does not fit is an
// error: part of it would be lost.
func (c *conn) recv(buf []byte) ([]byte, error) {
	for {
		var n int
		var from unix.Sockaddr
		var err error
		if e := c.raw.Read(func(fd uintptr) bool {
			n, from, err = unix.Recvfrom(int(fd), buf, unix.MSG_TRUNC)
			return err != unix.EAGAIN
		}); e != nil {
			return nil, e
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
			continue // not from the kernel
		}
		if n > len(buf) {
			return nil, fmt.Errorf("a netlink message of %d bytes: %w", n, unix.EMSGSIZE)
		}
		return buf[:n], nil
	}
}

// header is struct nlmsghdr.
type header struct {
	kind, flags uint16
	seq         uint32
}

// messages goes through the messages of a datagram. A malformed rest is left.
func messages(b []byte) iter.Seq2[header, []byte] {
	return func(yield func(header, []byte) bool) {
		for len(b) >= unix.NLMSG_HDRLEN {
			n := int(native.Uint32(b))
			if n < unix.NLMSG_HDRLEN || n > len(b) {
				return
			}
			h := header{native.Uint16(b[4:]), native.Uint16(b[6:]), native.Uint32(b[8:])}
			if !yield(h, b[unix.NLMSG_HDRLEN:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// attributes goes through the attributes of a message. A malformed rest is
// left.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n := int(native.Uint16(b))
			if n < unix.SizeofRtAttr || n > len(b) {
				return
			}
			if !yield(native.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

func align(n int) int { return (n + 3) &^ 3 }

// attribute appends one attribute to a request.
func attribute(b []byte, kind uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = append(native.AppendUint16(b, kind), value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// u32, u16 and u8 read a number, 0 where the kernel sent too little.
func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return native.Uint32(b)
}

func u16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return native.Uint16(b)
}

func u8(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

// text reads a string that ends with NUL.
func text(b []byte) string { return unix.ByteSliceToString(b) }

const askSeq = 1

// question builds a request.
func question(ask uint16, flags uint16, body []byte) []byte {
	b := make([]byte, 0, unix.NLMSG_HDRLEN+len(body))
	b = native.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = native.AppendUint16(b, ask)
	b = native.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = native.AppendUint32(b, askSeq)
	b = native.AppendUint32(b, 0)
	return append(b, body...)
}

// dumpKernel asks the kernel for a table. Stopping early costs nothing: the
// kernel makes a dump as it is read, and the socket is closed.
func (b *backend) dumpKernel(ctx context.Context, ask uint16, body []byte, f func(uint16, []byte) bool) error {
	return b.ask(ctx, question(ask, unix.NLM_F_DUMP, body), f)
}

func (b *backend) ask(ctx context.Context, request []byte, f func(uint16, []byte) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	protocol := unix.NETLINK_ROUTE
	if native.Uint16(request[4:])>>8 != 0 { // a subsystem of nfnetlink asks there
		protocol = unix.NETLINK_NETFILTER
	}
	c, err := b.dial(protocol, 0)
	if err != nil {
		return err
	}
	defer c.file.Close()
	defer context.AfterFunc(ctx, func() { c.file.SetReadDeadline(time.Unix(1, 0)) })()
	if err := c.send(request); err != nil {
		return err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	interrupted := false
	for {
		if ctx.Err() == nil {
			c.file.SetReadDeadline(time.Now().Add(dumpTimeout))
		}
		data, err := c.recv(*buf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		for h, msg := range messages(data) {
			interrupted = interrupted || h.flags&unix.NLM_F_DUMP_INTR != 0
			done, err := answered(h, msg)
			if err == nil && !done && h.seq == askSeq && !f(h.kind, msg) {
				return nil
			}
			if err != nil {
				return err
			}
			if done || h.flags&unix.NLM_F_MULTI == 0 {
				if interrupted {
					return errInterrupted
				}
				return nil
			}
		}
	}
}

// answered says whether a message ends an answer, and with which error.
func answered(h header, msg []byte) (done bool, err error) {
	switch h.kind {
	case unix.NLMSG_DONE, unix.NLMSG_ERROR:
		if errno := int32(u32(msg)); errno < 0 {
			return true, syscall.Errno(-errno)
		}
		return true, nil
	}
	return false, nil
}

// whole collects the rows of a small table, all of one moment: an interrupted
// dump is repeated.
func whole[T any](ctx context.Context, b *backend, source string, ask uint16, body []byte, decode func(kind uint16, msg []byte) (T, bool)) ([]T, error) {
	var err error
	for range dumpAttempts {
		var rows []T
		err = b.dump(ctx, ask, body, func(kind uint16, msg []byte) bool {
			if row, ok := decode(kind, msg); ok {
				rows = append(rows, row)
			}
			return true
		})
		if err == nil {
			return rows, nil
		}
		if !errors.Is(err, errInterrupted) {
			break
		}
	}
	return nil, unavailable(ctx, source, err)
}

// unavailable wraps what a source said, but leaves the end of ctx as it is.
func unavailable(ctx context.Context, source string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &platform.Unavailable{Source: source, Err: err}
}

// rows yields what was collected, or the error.
func rows[T any](ctx context.Context, all []T, err error, yield func(T, error) bool) {
	var none T
	if err != nil {
		yield(none, err)
		return
	}
	for _, row := range all {
		if err := ctx.Err(); err != nil {
			yield(none, err)
			return
		}
		if !yield(row, nil) {
			return
		}
	}
}
