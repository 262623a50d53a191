package endpoint

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindTo binds a socket to an interface before it connects. It needs
// CAP_NET_RAW on kernels before 5.7.
func bindTo(iface string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var bind error
		if err := c.Control(func(fd uintptr) {
			bind = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, iface)
		}); err != nil {
			return err
		}
		if bind != nil {
			return fmt.Errorf("bind to interface %s: %w", iface, bind)
		}
		return nil
	}
}
