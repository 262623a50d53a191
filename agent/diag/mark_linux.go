package diag

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// mark asks for a DSCP and an Ethernet priority on what the connection sends.
func mark(conn net.Conn, dscp, priority uint8) error {
	sc, ok := conn.(syscall.Conn)
	if !ok || dscp == 0 && priority == 0 {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if priority > 0 {
			set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, int(priority))
		}
		if dscp > 0 && set == nil {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, int(dscp)<<2)
			if v6 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(dscp)<<2); set != nil {
				set = v6
			}
		}
	})
	return errors.Join(err, set)
}

// noRoute says whether the system knew no way.
func noRoute(err error) bool {
	return errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH)
}
