package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/platform"
	"gatehouse/platform/fake"
	"gatehouse/platform/linux"
)

// A world is where the agent lives: it can pull a cable, and look past the
// agent at what the system really has.
type world interface {
	what() string
	platform() platform.Platform
	lan() string // the link whose cable is pulled
	pull(in bool) error
	hasAddress(ctx context.Context, prefix netip.Prefix) (bool, error)
}

// namespaceVariable tells the program, run again in a network namespace of its
// own, that it is there.
const namespaceVariable = "GATEHOUSE_DEMO_NAMESPACE"

// NeedsNamespace reports whether the story can be told on a real network
// stack, for which the program must run again in a namespace of its own.
func NeedsNamespace() bool { return os.Geteuid() == 0 && os.Getenv(namespaceVariable) == "" }

// Namespace is the environment of the program that runs in it.
func Namespace() string { return namespaceVariable + "=1" }

func newWorld(ctx context.Context, log *slog.Logger) (world, error) {
	if os.Getenv(namespaceVariable) == "" {
		r := fake.New()
		return memory{r, r.Platform()}, nil
	}
	return newKernel(log)
}

// memory is the router in memory.
type memory struct {
	router *fake.Router
	roles  platform.Platform
}

func (m memory) what() string {
	return "The router lives in memory (as root it would be a network namespace of this kernel)."
}
func (m memory) platform() platform.Platform { return m.roles }
func (m memory) lan() string                 { return "eth1" }
func (m memory) pull(in bool) error          { m.router.SetLink("eth1", in); return nil }

func (m memory) hasAddress(ctx context.Context, prefix netip.Prefix) (bool, error) {
	return findAddress(ctx, m.roles, prefix)
}

func findAddress(ctx context.Context, p platform.Platform, prefix netip.Prefix) (bool, error) {
	for a, err := range p.Addresses.Addresses(ctx) {
		if err != nil {
			return false, err
		}
		if a.Prefix == prefix {
			return true, nil
		}
	}
	return false, nil
}

// kernel is a network namespace with a LAN port whose cable leads nowhere far.
type kernel struct{ roles platform.Platform }

const (
	lanPort = "lan0"
	cable   = "cable0" // its other end
)

func newKernel(log *slog.Logger) (world, error) {
	if err := furnish(); err != nil {
		return nil, fmt.Errorf("the namespace of the demo: %w", err)
	}
	roles, err := linux.New(linux.Options{Root: "/", Log: log})
	if err != nil {
		return nil, err
	}
	roles.Power = nil // nobody wants this machine to reboot
	return kernel{roles}, nil
}

// furnish puts links and addresses into the empty namespace.
func furnish() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = lanPort
	err = errors.Join(
		netlink.LinkSetUp(lo),
		netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: cable}),
	)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	port, err := netlink.LinkByName(lanPort)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr("192.0.2.1/24")
	if err != nil {
		return err
	}
	return errors.Join(netlink.AddrAdd(port, addr), netlink.LinkSetUp(port), kernel{}.pull(true))
}

func (kernel) what() string {
	return "The router is a network namespace of this kernel, with a port " + lanPort + " that has a real carrier."
}
func (k kernel) platform() platform.Platform { return k.roles }
func (kernel) lan() string                   { return lanPort }

func (kernel) pull(in bool) error {
	end, err := netlink.LinkByName(cable)
	if err != nil {
		return err
	}
	if in {
		return netlink.LinkSetUp(end)
	}
	return netlink.LinkSetDown(end)
}

// hasAddress asks the kernel, not the agent's backend.
func (kernel) hasAddress(_ context.Context, prefix netip.Prefix) (bool, error) {
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return false, err
	}
	for _, a := range all {
		if a.IPNet.String() == prefix.String() {
			return true, nil
		}
	}
	return false, nil
}
