// Device.DHCPv4.Client.: what the device itself was given.

package tr181

import (
	"context"
	"errors"
	"iter"
	"math"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DHCPv4.Client.{i}.: one for each logical interface that gets its
// address by DHCP. It is made and deleted with that.
type dhcpClient struct {
	enable     bool
	alias      datamodel.Alias
	iface      datamodel.Ref
	status     string
	dhcpStatus string
	renew      bool
	address    string
	mask       string
	routers    []string
	dns        []string
	remaining  int32 // seconds; -1: for ever
	server     string
}

const dhcpClientPath = "Device.DHCPv4.Client.{i}."

// RenewLease is the action that is left for after the session, its argument an
// interface: the lease may come with another address.
const RenewLease = "renew lease"

var dhcpClientParams = []datamodel.Param[dhcpClient]{
	{Name: "Enable", At: func(c *dhcpClient) any { return &c.enable }},
	{Name: "Alias", At: func(c *dhcpClient) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Interface", At: func(c *dhcpClient) any { return &c.iface }, Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "Status", At: func(c *dhcpClient) any { return &c.status }, Check: configStatuses},
	{Name: "DHCPStatus", At: func(c *dhcpClient) any { return &c.dhcpStatus },
		Check: datamodel.Enum{"Init", "Selecting", "Requesting", "Rebinding", "Bound", "Renewing"}},
	{Name: "Renew", At: func(c *dhcpClient) any { return &c.renew }, Access: datamodel.Command},
	{Name: "IPAddress", At: func(c *dhcpClient) any { return &c.address }, Check: datamodel.IPv4Address{}},
	{Name: "SubnetMask", At: func(c *dhcpClient) any { return &c.mask }, Check: datamodel.IPv4Address{}},
	{Name: "IPRouters", At: func(c *dhcpClient) any { return &c.routers }, Check: datamodel.List{Of: datamodel.IPv4Address{}, MaxLen: 256}},
	{Name: "DNSServers", At: func(c *dhcpClient) any { return &c.dns }, Check: datamodel.List{Of: datamodel.IPv4Address{}, MaxLen: 256}},
	{Name: "LeaseTimeRemaining", At: func(c *dhcpClient) any { return &c.remaining }, Check: datamodel.AtLeast(-1), Notify: datamodel.NotifyNever},
	{Name: "DHCPServer", At: func(c *dhcpClient) any { return &c.server }, Check: datamodel.IPv4Address{}},
}

func (m *Model) dhcpClient() datamodel.Object {
	src := datamodel.Source[dhcpClient]{
		Topics: []datamodel.Topic{InterfaceChanged, AddressChanged, ConfigChanged},
		Rows:   m.dhcpClientRows,
		Stage: func(_ context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[dhcpClient]) error {
			if c.New != nil && c.Set("Renew") && c.New.renew {
				if !c.New.enable {
					return &datamodel.FieldError{Name: "Renew", Err: errClientOff}
				}
				tx.After(RenewLease, at[0])
			}
			return nil
		},
	}
	if m.p.Interfaces.Renew == nil {
		src.Stage, src.Without = nil, []string{"Renew"}
	}
	return datamodel.Define(dhcpClientPath, dhcpClientParams, src)
}

var errClientOff = errors.New("this client is switched off")

// RenewLeases has the DHCP clients of interfaces renew their leases: the work of
// [RenewLease].
func (m *Model) RenewLeases(ctx context.Context, interfaces []string) error {
	if m.p.Interfaces.Renew == nil {
		return platform.ErrUnsupported
	}
	var errs []error
	for _, key := range interfaces {
		errs = append(errs, m.p.Interfaces.Renew.Renew(ctx, key))
	}
	return errors.Join(errs...)
}

func (m *Model) dhcpClientRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[dhcpClient], error] {
	return func(yield func(datamodel.Row[dhcpClient], error) bool) {
		t, err := m.dumpInterfaces(ctx)
		if err != nil {
			yield(datamodel.Row[dhcpClient]{}, err)
			return
		}
		now := m.now()
		for _, e := range t.rows {
			if e.Value.Proto != "dhcp" {
				continue
			}
			c := dhcpClient{enable: e.Value.Enabled, iface: ipInterfaceRef(e.Key), status: enabled(e.Value.Enabled), dhcpStatus: "Init"}
			c.live(t.states[e.Key], now)
			if !yield(datamodel.Row[dhcpClient]{Key: e.Key, Value: &c}, nil) {
				return
			}
		}
	}
}

// live fills in what the client was given. What netifd and its like tell of a
// client that has nothing yet is only whether it is trying.
func (c *dhcpClient) live(s platform.InterfaceState, now time.Time) {
	switch {
	case c.enable && s.Error != "":
		c.status = "Error"
	case c.enable && s.Pending:
		c.dhcpStatus = "Selecting"
	}
	for _, a := range s.Addrs {
		if !s.Up || !a.Prefix.Addr().Is4() {
			continue
		}
		c.dhcpStatus, c.address, c.mask = "Bound", a.Prefix.Addr().String(), maskOf(a.Prefix.Bits())
		left := a.Valid
		if !s.LeaseEnds.IsZero() {
			left = max(s.LeaseEnds.Sub(now), 0)
		}
		if c.remaining = int32(min(seconds(left), math.MaxInt32)); left < 0 {
			c.remaining = -1
		}
		break
	}
	if c.dhcpStatus != "Bound" {
		return
	}
	c.server = addrText(s.Server)
	c.routers, c.dns = fitting(addrTexts(s.Routers)), fitting(addrTexts(s.DNS))
}

// fitting leaves of a list of addresses what its text has room for: 256
// characters.
func fitting(list []string) []string { return list[:min(len(list), 16)] }
