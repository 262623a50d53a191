//go:build !linux

package endpoint

import (
	"errors"
	"fmt"
	"syscall"
)

// bindTo refuses: only Linux binds sockets to interfaces the way we need.
func bindTo(iface string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, _ syscall.RawConn) error {
		return fmt.Errorf("bind to interface %s: %w", iface, errors.ErrUnsupported)
	}
}
