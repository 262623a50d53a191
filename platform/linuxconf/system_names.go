package linuxconf

// The name servers of the device itself: systemd-resolved asks them.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/platform"
)

// networkPackage holds the name servers, and the interfaces.
const networkPackage = "network"

var resolved = daemon{"systemd-resolved", "org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager"}

const (
	resolvedUnit = "systemd-resolved.service"
	resolvedFile = "/etc/systemd/resolved.conf.d/gatehouse.conf"
)

// resolver implements area. The servers are a part of resolved.conf(5) and not
// those of a link by SetLinkDNS (org.freedesktop.resolve1(5)): these are forgotten
// with the link and with the daemon, and are overwritten by whoever manages the
// link, the DHCP client among them.
type resolver struct {
	table  platform.Table[platform.DNSForward]
	part   part
	relays bool // dnsmasq takes up those of the relay
}

func openResolver(m *machine) (area, error) {
	if !m.runs(resolved) { // one that does not run has no say in resolv.conf
		return nil, errors.New("systemd-resolved does not run")
	}
	r := &resolver{table: m.conf.Forwards(), part: part{file: m.at(resolvedFile), unit: resolvedUnit, units: m.units}}
	r.relays, m.p.RelayOnly = m.p.RelayOnly, false
	m.p.Forwards = strict[platform.DNSForward]{r.table, r.check}
	return r, nil
}

// apply implements area.
func (r *resolver) apply(ctx context.Context) error {
	var servers []string
	for e, err := range r.table.Rows(ctx) {
		if err != nil {
			return err
		}
		if f := e.Value; f.Enabled && !f.Relay && f.Server.IsValid() {
			servers = append(servers, f.Server.String())
		}
	}
	text := ""
	if len(servers) > 0 {
		// They come to those of resolved.conf: others there stay.
		text = "[Resolve]\nDNS=" + strings.Join(servers, " ") + "\n"
	}
	return r.put(ctx, text)
}

// forget implements area.
func (r *resolver) forget(ctx context.Context) error { return r.put(ctx, "") }

func (r *resolver) put(ctx context.Context, text string) error {
	if err := r.part.put(text); err != nil {
		return err
	}
	return r.part.takeUp(ctx)
}

// check refuses what cannot be kept.
func (r *resolver) check(_ context.Context, _ string, row platform.DNSForward) error {
	switch {
	case row.Relay && r.relays:
		return nil
	case row.Relay:
		return fmt.Errorf("a name server of a relay: %w", platform.ErrUnsupported)
	case row.Interface != "":
		return fmt.Errorf("a name server for one interface only: systemd-resolved would forget it with the link: %w", platform.ErrUnsupported)
	case row.Server.Zone() != "":
		return fmt.Errorf("name server %s of a link: %w", row.Server, platform.ErrUnsupported)
	}
	return nil
}

// also implements teller.
func (r *resolver) also(w platform.Write) (platform.Write, bool) {
	if w.Place != "gh_client.dns" {
		return w, false
	}
	w.File, w.Place, w.Service = resolvedFile, "Resolve.DNS", resolvedUnit
	return w, true
}
