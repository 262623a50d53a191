// The IPv6 configuration of links, from the sysctls of the namespace.

package linux

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gatehouse/platform"
)

// IPv6Links yields every link that has IPv6, switched on or not.
func (b *backend) IPv6Links(ctx context.Context) iter.Seq2[platform.IPv6Link, error] {
	return func(yield func(platform.IPv6Link, error) bool) {
		var links []platform.IPv6Link
		err := b.inside(func() error {
			dirs, err := os.ReadDir(b.paths.ipv6Conf)
			if os.IsNotExist(err) {
				return nil // a kernel without IPv6
			}
			for _, d := range dirs {
				if name := d.Name(); name != "all" && name != "default" {
					if l, ok := b.ipv6Link(name); ok {
						links = append(links, l)
					}
				}
			}
			return err
		})
		if err != nil {
			err = unavailable(ctx, b.paths.ipv6Conf, err)
		}
		rows(ctx, links, err, yield)
	}
}

// ipv6Link reads one link; false when it has just gone.
func (b *backend) ipv6Link(name string) (l platform.IPv6Link, ok bool) {
	dir := filepath.Join(b.paths.ipv6Conf, name)
	if !exists(dir) {
		return l, false
	}
	get := func(key string) int64 { return number(filepath.Join(dir, key)) }
	l = platform.IPv6Link{
		Link:                 name,
		Enabled:              get("disable_ipv6") == 0,
		DADTransmits:         uint32(max(0, get("dad_transmits"))),
		SolicitationInterval: time.Duration(get("router_solicitation_interval")) * time.Second,
		NeighborUnreachable:  true,
		Forwarding:           get("forwarding") != 0,
		RetransTimer:         time.Duration(number(filepath.Join(b.paths.ipv6Neigh, name, "retrans_time_ms"))) * time.Millisecond,
	}
	// -1: without an end. What TR-181 can say of that is its largest number.
	if n := get("router_solicitations"); n < 0 {
		l.RouterSolicitations = 1<<32 - 1
	} else {
		l.RouterSolicitations = uint32(n)
	}
	// ip-sysctl: 1 accepts while the link does not forward, 2 always.
	accept := get("accept_ra")
	l.AcceptRA = accept == 2 || accept == 1 && !l.Forwarding
	return l, true
}

// number reads a number, 0 where there is none.
func number(name string) int64 {
	n, _ := strconv.ParseInt(word(name), 10, 32)
	return n
}

// IPEnabled says whether the stack has the family, and may use it.
func (b *backend) IPEnabled(ctx context.Context, ipv6 bool) (on bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	err = b.inside(func() error {
		if !ipv6 {
			on = exists(b.paths.ipv4)
			return nil
		}
		on = exists(b.paths.ipv6Conf) && number(filepath.Join(b.paths.ipv6Conf, "all", "disable_ipv6")) == 0
		return nil
	})
	if err != nil {
		return false, unavailable(ctx, b.paths.ipv6Conf, err)
	}
	return on, nil
}

// ipv6On tells of the links that have IPv6 whether it is on.
func (b *backend) ipv6On(ctx context.Context) (map[string]bool, error) {
	on := map[string]bool{}
	for l, err := range b.IPv6Links(ctx) {
		if err != nil {
			return nil, err
		}
		on[l.Link] = l.Enabled
	}
	return on, nil
}

// setIPv6 opens the switch of a link and, unless value is "", writes it (ip-sysctl,
// disable_ipv6).
func (b *backend) setIPv6(link, value string) error {
	return b.inside(func() error {
		f, err := os.OpenFile(filepath.Join(b.paths.ipv6Conf, link, "disable_ipv6"), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(value)
		return errors.Join(err, f.Close())
	})
}
