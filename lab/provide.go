package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"gatehouse/lab/provider"
)

// provideOptions is what the command line says about a provider.
type provideOptions struct {
	listen, dns, domain, name, password, ca, document string
	address                                           string
}

func parseProvide(args []string, out io.Writer) (o provideOptions, err error) {
	fs := flag.NewFlagSet("gatehouse-lab provider", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8443", "`address` of the HTTPS server")
	fs.StringVar(&o.dns, "dns", "127.0.0.1:5353", "`address` of the name server, by UDP and TCP")
	fs.StringVar(&o.address, "address", "", "the `IP` that DNS names for the server (default: that of --listen)")
	fs.StringVar(&o.domain, "domain", "provider.example", "the provider's `domain`")
	fs.StringVar(&o.name, "user", "zoe", "the subscriber's `name`")
	fs.StringVar(&o.password, "password", "paper-clip", "the subscriber's `password`")
	fs.StringVar(&o.ca, "ca", "provider-ca.pem", "`file` to write the authority's certificate to: option ca in section rue")
	fs.StringVar(&o.document, "document", "", "`file` with the subscriber's settings as JSON; they go over those of the provider")
	fs.Usage = func() {
		fmt.Fprint(out, "gatehouse-lab provider [options]\nThe provider's side: a zone with _rueconfig._tcp.DOMAIN and an HTTPS server with\nDigest, which tell the steps of the ladder on the terminal. Resolvers ask port 53:\nrun it as root with --dns 127.0.0.1:53 and have a resolv.conf say so.\n")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("what is %q? options come with --", fs.Arg(0))
	}
	return o, nil
}

func runProvide(ctx context.Context, o provideOptions) (int, error) {
	return 0, provide(ctx, o, os.Stdout)
}

// settings are the subscriber's.
func (o provideOptions) settings() (s map[string]any, err error) {
	if o.document == "" {
		return map[string]any{"display-name": o.name}, nil
	}
	text, err := os.ReadFile(o.document)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", o.document, err)
	}
	return s, nil
}

// provide serves until ctx ends.
func provide(ctx context.Context, o provideOptions, out io.Writer) error {
	own, err := o.settings()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer l.Close()
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return err
	}
	if o.address != "" {
		ip, err := netip.ParseAddr(o.address)
		if err != nil {
			return err
		}
		at = netip.AddrPortFrom(ip, at.Port())
	} else if at.Addr().IsUnspecified() {
		return fmt.Errorf("--listen %s names no address for DNS: add --address", o.listen)
	}
	site, err := provider.NewSite(o.domain, at, provider.Options{Step: func(n int, what string) { fmt.Fprintf(out, "%2d %s\n", n, what) }},
		map[string]any{"version": 1, "lifetime": 3600, "provider-domain": o.domain})
	if err != nil {
		return err
	}
	site.Subscribe(o.name, provider.Subscriber{Password: o.password, Settings: own})
	if err := os.WriteFile(o.ca, site.CA.PEM(), 0o644); err != nil {
		return err
	}
	udp, tcp, err := sockets(o.dns)
	if err != nil {
		return err
	}
	defer udp.Close()
	defer tcp.Close()
	stop := context.AfterFunc(ctx, func() { site.Close(); udp.Close(); tcp.Close() })
	defer stop()
	go site.DNS.Serve(udp, tcp)
	fmt.Fprintf(out, "%s: DNS at %s, https://server.%s at %s, subscriber %s, authority in %s\n", o.domain, udp.LocalAddr(), o.domain, l.Addr(), o.name, o.ca)
	return site.Serve(l)
}

// sockets of a name server: both at the same port.
func sockets(addr string) (udp net.PacketConn, tcp net.Listener, err error) {
	if udp, err = net.ListenPacket("udp", addr); err != nil {
		return nil, nil, err
	}
	if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err != nil {
		udp.Close()
		return nil, nil, err
	}
	return udp, tcp, nil
}
