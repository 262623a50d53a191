// Device.IP.: the object itself; its tables are in ip_*.go.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.IP.: the two stacks.
type ip struct {
	ipv4Capable, ipv4Enable bool
	ipv4Status              string
	ipv6Capable, ipv6Enable bool
	ipv6Status              string
	ulaPrefix               string
}

var ipStatuses = datamodel.Enum{"Disabled", "Enabled", "Error"}

var ipParams = []datamodel.Param[ip]{
	{Name: "IPv4Capable", At: func(i *ip) any { return &i.ipv4Capable }},
	{Name: "IPv4Enable", At: func(i *ip) any { return &i.ipv4Enable }},
	{Name: "IPv4Status", At: func(i *ip) any { return &i.ipv4Status }, Check: ipStatuses},
	{Name: "IPv6Capable", At: func(i *ip) any { return &i.ipv6Capable }},
	{Name: "IPv6Enable", At: func(i *ip) any { return &i.ipv6Enable }},
	{Name: "IPv6Status", At: func(i *ip) any { return &i.ipv6Status }, Check: ipStatuses},
	{Name: "ULAPrefix", At: func(i *ip) any { return &i.ulaPrefix }, Access: datamodel.ReadWrite, Check: datamodel.IPv6Prefix{}},
}

func (m *Model) ip() datamodel.Object {
	src := datamodel.Source[ip]{
		Topics: []datamodel.Topic{AddressChanged, ConfigChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (ip, error) {
			v4, err := m.readFamily(ctx, false)
			if err != nil {
				return ip{}, err
			}
			v6, err := m.readFamily(ctx, true)
			if err != nil {
				return ip{}, err
			}
			g, err := m.globals(ctx)
			return ip{
				v4.capable, v4.enabled, enabled(v4.enabled),
				v6.capable, v6.enabled, enabled(v6.enabled), prefixText(g.Value.ULA),
			}, err
		}),
		Check: checkIP,
		Stage: func(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[ip]) error {
			g, err := m.globals(ctx)
			if err != nil {
				return err
			}
			if g.Key == "" {
				return &datamodel.FieldError{Name: "ULAPrefix", Err: fmt.Errorf("%w: the configuration has no section for it", datamodel.ErrDenied)}
			}
			prefix, _ := netip.ParsePrefix(c.New.ulaPrefix) // checkIP has seen it
			return putRow(ctx, m, tx, m.p.Globals, g.Key, platform.GlobalConfig{ULA: prefix}, "ULAPrefix")
		},
	}
	if m.p.Config == nil || m.p.Globals == nil {
		src.Without, src.Stage = []string{"ULAPrefix"}, nil
	}
	return datamodel.Define("Device.IP.", ipParams, src)
}

// globals is what the platform keeps for all interfaces; without a key: nothing.
func (m *Model) globals(ctx context.Context) (g platform.Entry[platform.GlobalConfig], err error) {
	if m.p.Config == nil || m.p.Globals == nil {
		return g, nil
	}
	rows, err := configured(ctx, m, "globals", m.p.Globals)
	if err != nil || len(rows) == 0 {
		return g, err
	}
	return rows[0], nil
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

var errULA = errors.New("not a /48 of fc00::/7 (RFC 4193)")

func checkIP(c datamodel.Change[ip]) error {
	p, err := netip.ParsePrefix(c.New.ulaPrefix)
	if c.New.ulaPrefix != "" && (err != nil || p.Bits() != 48 || p != p.Masked() || !p.Addr().IsPrivate()) {
		return &datamodel.FieldError{Name: "ULAPrefix", Err: errULA}
	}
	return nil
}

// A family is what the system's stack does of IPv4 or of IPv6.
type family struct{ capable, enabled bool }

func (m *Model) readFamily(ctx context.Context, ipv6 bool) (family, error) {
	what := "IPv4"
	if ipv6 {
		what = "IPv6"
	}
	return datamodel.Once(ctx, dumpKey{m, what}, func(family) int { return 2 },
		func(ctx context.Context) (family, error) {
			on, err := m.p.IPv6.IPEnabled(ctx, ipv6)
			if errors.Is(err, platform.ErrUnsupported) {
				return family{}, nil
			}
			return family{capable: true, enabled: on}, lacking(err)
		})
}
