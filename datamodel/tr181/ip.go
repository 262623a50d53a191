// Device.IP.: the object itself; its tables are in ip_*.go.

package tr181

import (
	"context"
	"errors"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.IP.: the two stacks.
type ip struct {
	ipv4Capable, ipv4Enable bool
	ipv4Status              string
	ipv6Capable, ipv6Enable bool
	ipv6Status              string
}

var ipStatuses = datamodel.Enum{"Disabled", "Enabled", "Error"}

var ipParams = []datamodel.Param[ip]{
	{Name: "IPv4Capable", At: func(i *ip) any { return &i.ipv4Capable }},
	{Name: "IPv4Enable", At: func(i *ip) any { return &i.ipv4Enable }},
	{Name: "IPv4Status", At: func(i *ip) any { return &i.ipv4Status }, Check: ipStatuses},
	{Name: "IPv6Capable", At: func(i *ip) any { return &i.ipv6Capable }},
	{Name: "IPv6Enable", At: func(i *ip) any { return &i.ipv6Enable }},
	{Name: "IPv6Status", At: func(i *ip) any { return &i.ipv6Status }, Check: ipStatuses},
}

func (m *Model) ip() datamodel.Object {
	return datamodel.Define("Device.IP.", ipParams, datamodel.Source[ip]{
		Topics: []datamodel.Topic{AddressChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (ip, error) {
			v4, err := m.readFamily(ctx, false)
			if err != nil {
				return ip{}, err
			}
			v6, err := m.readFamily(ctx, true)
			return ip{
				v4.capable, v4.enabled, enabled(v4.enabled),
				v6.capable, v6.enabled, enabled(v6.enabled),
			}, err
		}),
	})
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
