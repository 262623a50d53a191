// Echo requests, by the kernel's ping socket or a raw one.

package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// prober opens a socket for each probe: what is rare need not stay open. The
// kernel's ping socket needs no privileges where net.ipv4.ping_group_range
// allows it; else a raw one needs CAP_NET_RAW.
type prober struct{}

// newProber returns nil where neither socket can be opened.
func newProber() platform.Prober {
	s, err := openProbe(platform.Probe{To: netip.AddrFrom4([4]byte{127, 0, 0, 1})})
	if err != nil {
		return nil
	}
	_ = s.file.Close() // it was only tried
	return prober{}
}

// ICMP messages (RFC 792, RFC 4443).
const (
	echoReply4, echoRequest4, expired4 = 0, 8, 11
	echoReply6, echoRequest6, expired6 = 129, 128, 3
)

// Probe implements platform.Prober.
func (prober) Probe(ctx context.Context, p platform.Probe) (platform.Reply, error) {
	s, err := openProbe(p)
	if err != nil {
		return platform.Reply{}, err
	}
	defer s.file.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) }) // fails only when it is closed
	defer stop()
	return s.ask(ctx, p)
}

// A probeSocket is a socket for one probe.
type probeSocket struct {
	file    *os.File
	v6, raw bool
	id, seq uint16
}

func openProbe(p platform.Probe) (*probeSocket, error) {
	s := &probeSocket{v6: p.To.Is6() && !p.To.Is4In6(), id: uint16(rand.Uint32()), seq: 1}
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if s.v6 {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|flags, proto)
	if err != nil {
		s.raw = true
		fd, err = unix.Socket(family, unix.SOCK_RAW|flags, proto)
	}
	if err != nil {
		return nil, fmt.Errorf("ICMP socket: %w", err)
	}
	s.file = os.NewFile(uintptr(fd), "icmp")
	if err := s.setUp(fd, p); err != nil {
		_ = s.file.Close() // the first error counts
		return nil, err
	}
	return s, nil
}

// setUp asks for what the probe asks for, and for the errors of routers on the
// way.
func (s *probeSocket) setUp(fd int, p platform.Probe) error {
	level, errs, ttl, tos := unix.IPPROTO_IP, unix.IP_RECVERR, unix.IP_TTL, unix.IP_TOS
	if s.v6 {
		level, errs, ttl, tos = unix.IPPROTO_IPV6, unix.IPV6_RECVERR, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS
	}
	err := unix.SetsockoptInt(fd, level, errs, 1)
	if p.TTL > 0 && err == nil {
		err = unix.SetsockoptInt(fd, level, ttl, int(p.TTL))
	}
	if p.DSCP > 0 && err == nil {
		err = unix.SetsockoptInt(fd, level, tos, int(p.DSCP)<<2)
	}
	if p.Link != "" && err == nil {
		err = unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, p.Link)
	}
	return err
}

// ask sends the request and waits for what comes back.
func (s *probeSocket) ask(ctx context.Context, p platform.Probe) (platform.Reply, error) {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return platform.Reply{}, err
	}
	began := time.Now()
	if err := s.file.SetReadDeadline(began.Add(p.Timeout)); err != nil {
		return platform.Reply{}, err
	}
	var sent error
	if err := conn.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), s.request(p.Size), 0, s.address(p.To)) }); err != nil {
		return platform.Reply{}, err
	}
	switch {
	case errors.Is(sent, unix.ENETUNREACH), errors.Is(sent, unix.EHOSTUNREACH):
		return platform.Reply{}, fmt.Errorf("%w: %w", platform.ErrNoRoute, sent)
	case sent != nil:
		return platform.Reply{}, sent
	}
	var reply platform.Reply
	buf := make([]byte, 64<<10)
	err = conn.Read(func(fd uintptr) (done bool) {
		reply, done = s.receive(int(fd), buf)
		return done
	})
	switch {
	case ctx.Err() != nil:
		return platform.Reply{}, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return platform.Reply{}, nil // silence
	case err != nil:
		return platform.Reply{}, err
	}
	reply.RTT = max(time.Since(began), time.Microsecond)
	return reply, nil
}

func (s *probeSocket) address(to netip.Addr) unix.Sockaddr {
	if s.v6 {
		return &unix.SockaddrInet6{Addr: to.As16()}
	}
	return &unix.SockaddrInet4{Addr: to.Unmap().As4()}
}

// request is the message. The kernel fills in the id of a ping socket and, but
// for a raw one of IPv4, the checksum.
func (s *probeSocket) request(size int) []byte {
	b := make([]byte, 8+min(max(size, 0), 65507))
	b[0] = echoRequest4
	if s.v6 {
		b[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(b[4:], s.id)
	binary.BigEndian.PutUint16(b[6:], s.seq)
	if !s.v6 {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// receive takes all that is there. It is done when something of it is ours.
func (s *probeSocket) receive(fd int, buf []byte) (platform.Reply, bool) {
	oob := make([]byte, 512)
	for {
		n, noob, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_ERRQUEUE)
		if err != nil {
			break // the queue is empty
		}
		if !s.ours(buf[:n], true) {
			continue
		}
		if r, ok := parseError(oob[:noob]); ok {
			return r, true
		}
	}
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return platform.Reply{}, false
		case err != nil: // the error of a message that lies in the queue: look there again
			return s.receiveError(fd, buf, oob)
		}
		b := buf[:n]
		if s.raw && !s.v6 { // with its IP header
			if len(b) < 20 || len(b) < int(b[0]&15)*4 {
				continue
			}
			b = b[int(b[0]&15)*4:]
		}
		if s.ours(b, false) {
			return platform.Reply{Kind: platform.Echoed, From: addressOf(from), Type: b[0], Code: b[1]}, true
		}
	}
}

// receiveError takes what is in the queue of errors.
func (s *probeSocket) receiveError(fd int, buf, oob []byte) (platform.Reply, bool) {
	n, noob, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_ERRQUEUE)
	if err != nil || !s.ours(buf[:n], true) {
		return platform.Reply{}, false
	}
	return parseError(oob[:noob])
}

// ours tells our message, or the answer to it, from those of others. A ping
// socket gets its own only.
func (s *probeSocket) ours(b []byte, request bool) bool {
	kind := byte(echoReply4)
	switch {
	case request && s.v6:
		kind = echoRequest6
	case request:
		kind = echoRequest4
	case s.v6:
		kind = echoReply6
	}
	if len(b) < 8 || b[0] != kind || binary.BigEndian.Uint16(b[6:]) != s.seq {
		return false
	}
	return !s.raw || binary.BigEndian.Uint16(b[4:]) == s.id
}

func addressOf(sa unix.Sockaddr) netip.Addr {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr)
	}
	return netip.Addr{}
}

// parseError reads what a router said: a sock_extended_err with the address of
// who said it (ip(7), IP_RECVERR).
func parseError(oob []byte) (platform.Reply, bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return platform.Reply{}, false
	}
	const fixed = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	for _, m := range messages {
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		if !v4 && !v6 || len(m.Data) < fixed {
			continue
		}
		r := platform.Reply{Kind: platform.Unreachable, Type: m.Data[5], Code: m.Data[6]}
		switch origin := m.Data[4]; {
		case origin != unix.SO_EE_ORIGIN_ICMP && origin != unix.SO_EE_ORIGIN_ICMP6:
			continue // a local error
		case v4 && r.Type == expired4, v6 && r.Type == expired6:
			r.Kind = platform.Expired
		}
		if who := m.Data[fixed:]; v4 && len(who) >= 8 {
			r.From = netip.AddrFrom4([4]byte(who[4:8]))
		} else if v6 && len(who) >= 24 {
			r.From = netip.AddrFrom16([16]byte(who[8:24]))
		}
		return r, true
	}
	return platform.Reply{}, false
}
