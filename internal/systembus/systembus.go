// Package systembus connects to the system's D-Bus, which processes of others
// serve and use: it bounds what they can make us hold in memory.
package systembus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// socket is what the specification says ("Well-known Message Bus Instances").
const socket = "/var/run/dbus/system_bus_socket"

// Address is where the bus of the system listens whose files are below root: what
// the environment says of our own, whose root is "" or /, and else the socket that
// is usual.
func Address(root string) string {
	if root != "" && filepath.Clean(root) != "/" {
		return "unix:path=" + url.PathEscape(filepath.Join(root, socket))
	}
	if addr := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); addr != "" {
		return addr
	}
	return "unix:path=" + socket
}

// handshake is how long the bus may take to let us in.
const handshake = 10 * time.Second

// Connect opens a connection to the first address of a list that can be opened,
// "unix:path=…" or "unix:abstract=…", and says Hello. The connection outlives
// ctx; whoever asked for it closes it. open nil: the real one.
func Connect(ctx context.Context, addresses string, open func(ctx context.Context, network, address string) (net.Conn, error),
	options ...dbus.ConnOption) (*dbus.Conn, error) {
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	raw, err := dial(ctx, addresses, open)
	if err != nil {
		return nil, err
	}
	defer time.AfterFunc(handshake, func() { raw.Close() }).Stop()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	self := dbus.AuthExternal(fmt.Sprint(os.Geteuid()))
	conn, err := dbus.NewConn(&bounded{raw: raw}, append(options, dbus.WithAuth(self))...)
	if err != nil {
		raw.Close()
		return nil, err
	}
	if err = conn.Auth([]dbus.Auth{self}); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		conn.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return conn, nil
}

// dial opens the first address of the list that can be opened.
func dial(ctx context.Context, addresses string, open func(context.Context, string, string) (net.Conn, error)) (io.ReadWriteCloser, error) {
	err := errors.New("no address of a bus is known")
	for addr := range strings.SplitSeq(addresses, ";") {
		kind, args, _ := strings.Cut(addr, ":")
		if kind != "unix" {
			continue
		}
		for arg := range strings.SplitSeq(args, ",") {
			key, value, _ := strings.Cut(arg, "=")
			value, uerr := url.PathUnescape(value)
			switch {
			case uerr != nil:
				err = uerr
				continue
			case key == "abstract":
				value = "@" + value
			case key != "path":
				continue
			}
			var conn net.Conn
			if conn, err = open(ctx, "unix", value); err == nil {
				return conn, nil
			}
		}
	}
	return nil, err
}
