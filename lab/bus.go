package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"gatehouse/lab/ubusd"
)

// busOptions are the options of `gatehouse-lab ubusd`.
type busOptions struct{ root, socket string }

func parseBus(args []string, out io.Writer) (o busOptions, err error) {
	fs := flag.NewFlagSet("gatehouse-lab ubusd", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&o.root, "root", "", "the `directory` of the router: /etc/config is read below it")
	fs.StringVar(&o.socket, "socket", "", "the `path` of the socket (default /var/run/ubus/ubus.sock below the root)")
	fs.Usage = func() {
		fmt.Fprint(out, "gatehouse-lab ubusd --root DIR\nOpenWrt's bus with the daemons of a router on it, which take up the UCI files\nbelow the root when they are told to. Try: gatehouse run --root DIR\n")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.root == "" || fs.NArg() > 0 {
		return o, errors.New("it needs --root DIR, and nothing more")
	}
	if _, err := os.Stat(filepath.Join(o.root, "etc/config")); err != nil {
		return o, err
	}
	if o.socket == "" {
		o.socket = filepath.Join(o.root, "var/run/ubus/ubus.sock")
	}
	return o, nil
}

func runBus(ctx context.Context, o busOptions) (int, error) { return 0, serveBus(ctx, o, os.Stdout) }

// serveBus serves until ctx ends. The addresses are for documentation (RFC 5737).
func serveBus(ctx context.Context, o busOptions, out io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(o.socket), 0o755); err != nil {
		return err
	}
	if err := os.Remove(o.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", o.socket)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ubusd listens at", o.socket)
	r := &ubusd.Router{
		Root: o.root, Model: "Lab Router v1", BoardName: "lab,router-v1", Version: "24.10.4", Revision: "r28959-29397011cc", Hostname: "OpenWrt",
		WAN: ubusd.Offer{Addr: netip.MustParsePrefix("192.0.2.2/24"), Gateway: netip.MustParseAddr("192.0.2.1"),
			DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Seconds: 3600},
	}
	return r.Serve(ctx, l)
}
