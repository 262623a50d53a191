// The reading roles: each a picture of the state.

package fake

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"gatehouse/platform"
)

func (b backend) ID(ctx context.Context) (platform.ID, error) {
	st, err := b.read(ctx, Identity)
	return st.id, err
}

func (b backend) Uptime(ctx context.Context) (time.Duration, error) {
	if _, err := b.read(ctx, System); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.boot), nil
}

func (b backend) BootID(ctx context.Context) (string, error) {
	if _, err := b.read(ctx, System); err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", b.boots), nil
}

func (b backend) Hostname(ctx context.Context) (string, error) {
	st, err := b.read(ctx, System)
	return st.hostname, err
}

func (b backend) Memory(ctx context.Context) (platform.Memory, error) {
	st, err := b.read(ctx, System)
	return st.memory, err
}

func (b backend) TCP(ctx context.Context) (platform.TCPSetup, error) {
	_, err := b.read(ctx, System)
	return platform.TCPSetup{MaxWindow: 6 << 20, Congestion: "reno"}, err
}

func (b backend) Processes(ctx context.Context) iter.Seq2[platform.Process, error] {
	return stream(ctx, b, Processes, func(s state) []platform.Process { return s.processes }, nil)
}

func (b backend) CPUUsage(ctx context.Context) (uint32, error) {
	st, err := b.read(ctx, Processes)
	return st.cpu, err
}

func (b backend) Sensors(ctx context.Context) iter.Seq2[platform.Sensor, error] {
	return stream(ctx, b, Sensors, func(s state) []platform.Sensor { return s.sensors }, nil)
}

func (b backend) Logs(ctx context.Context) iter.Seq2[platform.Log, error] {
	return stream(ctx, b, Logs, func(s state) []platform.Log { return s.logs }, nil)
}

func (b backend) Links(ctx context.Context) iter.Seq2[platform.Link, error] {
	return stream(ctx, b, Links, func(s state) []platform.Link { return s.links }, nil)
}

func (b backend) Addresses(ctx context.Context) iter.Seq2[platform.Address, error] {
	return stream(ctx, b, Addresses, func(s state) []platform.Address { return s.addresses }, nil)
}

func (b backend) Routes(ctx context.Context, ipv6 bool) iter.Seq2[platform.Route, error] {
	return stream(ctx, b, Routes, func(s state) []platform.Route { return s.routes },
		func(r platform.Route) bool { return r.Dest.Addr().Is6() == ipv6 })
}

func (b backend) Neighbors(ctx context.Context) iter.Seq2[platform.Neighbor, error] {
	return stream(ctx, b, Neighbors, func(s state) []platform.Neighbor { return s.neighbors }, nil)
}

func (b backend) IPv6Links(ctx context.Context) iter.Seq2[platform.IPv6Link, error] {
	return stream(ctx, b, IPv6, func(s state) []platform.IPv6Link { return s.ipv6 }, nil)
}

func (b backend) IPEnabled(ctx context.Context, ipv6 bool) (bool, error) {
	st, err := b.read(ctx, IPv6)
	if ipv6 {
		return err == nil && !st.noFamily[1], err
	}
	return err == nil && !st.noFamily[0], err
}

func (b backend) DNS(ctx context.Context) (platform.DNS, error) {
	st, err := b.read(ctx, DNS)
	d := st.dns
	d.HostName = st.hostname
	d.Servers = slices.Clone(d.Servers)
	return d, err
}

// Now is the wall clock: without a monotonic reading, so that a step shows.
func (b backend) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now()
}

func (r *Router) now() time.Time { return time.Now().Round(0).Add(r.offset) }

func (b backend) Time(ctx context.Context) (platform.TimeStatus, error) {
	st, err := b.read(ctx, Time)
	t := st.time
	t.Servers = slices.Clone(t.Servers)
	return t, err
}
