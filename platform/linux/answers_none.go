//go:build no_linuxconf

package linux

import (
	"context"

	"gatehouse/platform"
)

// watchAnswers: OpenWrt's hook tells by ubus.
func (w *fileWatch) watchAnswers() {}

// clientAnswers: the clients of OpenWrt keep nothing that the hook does not.
func (dhcpClient) clientAnswers(context.Context) ([]platform.DHCPAnswer, error) { return nil, nil }
