package linuxconf

// The name servers of the device itself: systemd-resolved asks them.

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	netd   *netd // nil: there are no servers of a link
	relays bool  // dnsmasq takes up those of the relay
}

func openResolver(m *machine) (area, error) {
	if !m.runs(resolved) { // one that does not run has no say in resolv.conf
		return nil, errors.New("systemd-resolved does not run")
	}
	r := &resolver{table: m.conf.Forwards(), part: part{file: m.at(resolvedFile), unit: resolvedUnit, units: m.units}, netd: m.netd}
	r.relays, m.p.RelayOnly = m.p.RelayOnly, false
	m.p.Forwards = forwardTable{r.table, r}
	return r, nil
}

// apply implements area.
func (r *resolver) apply(ctx context.Context) error {
	var servers []string
	for e, err := range r.table.Rows(ctx) {
		if err != nil {
			return err
		}
		if f := e.Value; f.Enabled && !f.Relay && f.Interface == "" && f.Server.IsValid() {
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
	if err := r.part.put(ctx, text); err != nil {
		return err
	}
	return r.part.takeUp(ctx)
}

// check refuses what cannot be kept.
func (r *resolver) check(ctx context.Context, b *batch, row platform.DNSForward) error {
	switch {
	case row.Relay && !r.relays:
		return fmt.Errorf("a name server of a relay, where there is none: %w", platform.ErrUnsupported)
	case row.Relay:
		return nil
	case row.Server.Zone() != "":
		return fmt.Errorf("name server %s of a link: %w", row.Server, platform.ErrUnsupported)
	case row.Interface == "":
		return nil
	case r.netd == nil:
		return fmt.Errorf("a name server for one interface only: systemd-resolved would forget it with the link: %w", platform.ErrUnsupported)
	}
	return r.netd.own(ctx, b, row.Interface)
}

// forwardTable implements platform.Table. A server of the device itself that is for
// one interface is one of systemd-networkd's for the link.
type forwardTable struct {
	platform.Table[platform.DNSForward]
	r *resolver
}

// Rows implements platform.Table.
func (t forwardTable) Rows(ctx context.Context) iter.Seq2[platform.Entry[platform.DNSForward], error] {
	return func(yield func(platform.Entry[platform.DNSForward], error) bool) {
		for e, err := range t.Table.Rows(ctx) {
			if link := linkOfSection(e.Value.Interface); sectionOf(link) == e.Value.Interface {
				e.Value.Interface = link
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Put implements platform.Table.
func (t forwardTable) Put(b platform.ConfigBatch, key string, row platform.DNSForward) (item int) {
	kept, mine := row, b.(*batch)
	if !row.Relay {
		kept.Interface = sectionOf(row.Interface)
	}
	item = t.Table.Put(b, key, kept)
	mine.checks = append(mine.checks, check{item, func(ctx context.Context) error { return t.r.check(ctx, mine, row) }})
	return item
}

// also implements teller.
func (r *resolver) also(w platform.Write) (platform.Write, bool) {
	if w.Place != "gh_client.dns" {
		return w, false
	}
	w.File, w.Place, w.Service = resolvedFile, "Resolve.DNS", resolvedUnit
	return w, true
}
