// What a fresh router is like: an ordinary home, with addresses and MACs that
// are reserved for documentation (RFC 5737, RFC 3849, RFC 7042).

package fake

import (
	"fmt"
	"net/netip"
	"time"

	"gatehouse/platform"
)

func home() state {
	return state{
		id: platform.ID{
			Manufacturer: "Example Networks", OUI: "00005E", ProductClass: "HG-1",
			SerialNumber: "00005E005301", ModelName: "Home Gateway 1", Description: "A router in memory",
			HardwareVersion: "rev B", SoftwareVersion: "1.4.2",
		},
		hostname:  "gateway",
		memory:    platform.Memory{Total: 128 << 20, Free: 41 << 20, Available: 63 << 20},
		cpu:       7,
		links:     homeLinks(),
		carrier:   map[string]bool{"lo": true, "eth0": true, "eth1": true, "eth2": true, "wlan0": true},
		addresses: homeAddresses(),
		routes:    homeRoutes(),
		neighbors: homeNeighbors(),
		ipv6:      homeIPv6(),
		dns: platform.DNS{Domain: "lan", Servers: []platform.DNSServer{
			{Addr: netip.MustParseAddr("203.0.113.53"), Link: "eth0", Type: "DHCPv4"},
			{Addr: netip.MustParseAddr("198.51.100.53"), Link: "eth0", Type: "DHCPv4"},
			{Addr: netip.MustParseAddr("2001:db8:53::53"), Link: "eth0", Type: "RouterAdvertisement"},
		}},
		time: platform.TimeStatus{
			Set: true, Synced: true, NTP: true, Zone: "Europe/Vienna", POSIX: "CET-1CEST,M3.5.0,M10.5.0/3",
			Servers: []string{"0.pool.ntp.example", "1.pool.ntp.example"},
		},
		processes: homeProcesses(),
		sensors: []platform.Sensor{
			{ID: "thermal_zone0", Name: "cpu-thermal", Celsius: 48, OK: true},
			{ID: "hwmon/phy0/temp1", Name: "phy0 temp1", Celsius: 55, OK: true},
		},
		logs: []platform.Log{{Name: "/var/log/messages", MaximumSize: 64 << 10}},
	}
}

func homeLinks() []platform.Link {
	mac := func(n int) string { return fmt.Sprintf("00:00:5e:00:53:%02x", n) }
	links := []platform.Link{
		{Name: "lo", Kind: platform.LinkLoopback, MAC: "", MTU: 65536},
		{Name: "eth0", MAC: mac(1), MTU: 1500, MaxBitRate: 1000, FullDuplex: true, Stats: platform.LinkStats{
			BytesSent: 182_334_120, BytesReceived: 5_312_908_771, PacketsSent: 1_203_442, PacketsReceived: 4_100_221,
			ErrorsReceived: 2, DiscardsReceived: 11, MulticastReceived: 5120,
		}},
	}
	for i := 1; i <= 4; i++ {
		l := platform.Link{Name: fmt.Sprintf("eth%d", i), MAC: mac(1 + i), MTU: 1500, Master: "br-lan"}
		if i <= 2 {
			l.MaxBitRate, l.FullDuplex = 1000, true
			l.Stats = platform.LinkStats{BytesSent: 2_400_000_000, BytesReceived: 90_000_000, PacketsSent: 1_900_000, PacketsReceived: 600_000}
		}
		links = append(links, l)
	}
	links = append(links,
		platform.Link{Name: "wlan0", Kind: platform.LinkWiFi, MAC: mac(0x10), MTU: 1500, Master: "br-lan",
			Stats: platform.LinkStats{BytesSent: 900_000_000, BytesReceived: 70_000_000, PacketsSent: 800_000, PacketsReceived: 500_000}},
		platform.Link{Name: "br-lan", Kind: platform.LinkBridge, MAC: mac(2), MTU: 1500,
			Stats: platform.LinkStats{BytesSent: 5_200_000_000, BytesReceived: 170_000_000, PacketsSent: 4_000_000, PacketsReceived: 1_150_000}})
	for i := range links {
		links[i].Index, links[i].Enabled = i+1, true
	}
	return links
}

func homeAddresses() []platform.Address {
	addr := func(link, prefix string) platform.Address {
		return platform.Address{Link: link, Prefix: netip.MustParsePrefix(prefix), Permanent: true, Preferred: -1, Valid: -1}
	}
	wan := addr("eth0", "203.0.113.17/24")
	wan.Permanent, wan.Dynamic, wan.Preferred, wan.Valid = false, true, time.Hour, time.Hour
	wan6 := addr("eth0", "2001:db8:1::200:5eff:fe00:5301/64")
	wan6.Permanent, wan6.Auto, wan6.Preferred, wan6.Valid = false, true, 4*time.Hour, 24*time.Hour
	local := func(link, prefix string) platform.Address {
		a := addr(link, prefix)
		a.Permanent, a.Auto = false, true
		return a
	}
	return []platform.Address{
		addr("lo", "127.0.0.1/8"), addr("lo", "::1/128"),
		wan, wan6, local("eth0", "fe80::200:5eff:fe00:5301/64"),
		addr("br-lan", "192.168.1.1/24"), addr("br-lan", "2001:db8:100::1/64"),
		addr("br-lan", "fd00:db8::1/64"), local("br-lan", "fe80::200:5eff:fe00:5302/64"),
	}
}

func homeRoutes() []platform.Route {
	gw, wan := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.17")
	p := netip.MustParsePrefix
	return []platform.Route{
		{Dest: p("0.0.0.0/0"), Gateway: gw, Source: wan, Link: "eth0", Protocol: "dhcp"},
		{Dest: p("192.168.1.0/24"), Source: netip.MustParseAddr("192.168.1.1"), Link: "br-lan", Protocol: "kernel"},
		{Dest: p("203.0.113.0/24"), Source: wan, Link: "eth0", Protocol: "kernel"},
		{Dest: p("198.51.100.0/24"), Gateway: netip.MustParseAddr("192.168.1.254"), Link: "br-lan", Metric: 10, Static: true, Protocol: "static"},
		{Dest: p("::/0"), Gateway: netip.MustParseAddr("fe80::1"), Link: "eth0", Metric: 1024, Protocol: "ra", Expires: 30 * time.Minute},
		{Dest: p("2001:db8:1::/64"), Link: "eth0", Metric: 256, Protocol: "kernel", Expires: 24 * time.Hour},
		{Dest: p("2001:db8:100::/64"), Link: "br-lan", Metric: 256, Protocol: "kernel"},
		{Dest: p("fd00:db8::/64"), Link: "br-lan", Metric: 256, Protocol: "kernel"},
		{Dest: p("fe80::/64"), Link: "eth0", Metric: 256, Protocol: "kernel"},
		{Dest: p("fe80::/64"), Link: "br-lan", Metric: 256, Protocol: "kernel"},
	}
}

func homeNeighbors() []platform.Neighbor {
	ends := time.Now().Round(0).Add(11 * time.Hour)
	host := func(link string, n int, addr, name string, active bool) platform.Neighbor {
		h := platform.Neighbor{Link: link, MAC: fmt.Sprintf("00:00:5e:00:53:%02x", n), Addr: netip.MustParseAddr(addr), Active: active}
		if name != "" {
			h.Hostname, h.Leased, h.LeaseEnds = name, true, ends
		}
		return h
	}
	return []platform.Neighbor{
		host("eth0", 0xf0, "203.0.113.1", "", true),
		host("eth0", 0xf0, "fe80::1", "", true),
		host("br-lan", 0x20, "192.168.1.101", "laptop", true),
		host("br-lan", 0x20, "2001:db8:100::20", "", true),
		host("br-lan", 0x21, "192.168.1.102", "phone", true),
		host("br-lan", 0x22, "192.168.1.103", "printer", false),
	}
}

func homeIPv6() []platform.IPv6Link {
	var links []platform.IPv6Link
	for _, name := range []string{"lo", "eth0", "br-lan"} {
		links = append(links, platform.IPv6Link{
			Link: name, Enabled: true, AcceptRA: name == "eth0", DADTransmits: 1, RetransTimer: time.Second,
			RouterSolicitations: 3, SolicitationInterval: 4 * time.Second, NeighborUnreachable: true, Forwarding: true,
		})
	}
	return links
}

func homeProcesses() []platform.Process {
	return []platform.Process{
		{PID: 1, Command: "/sbin/procd", Size: 1400 << 10, Priority: 60, CPUTime: 3 * time.Second, State: "Sleeping"},
		{PID: 210, Command: "/sbin/netifd", Size: 1800 << 10, Priority: 60, CPUTime: 2 * time.Second, State: "Sleeping"},
		{PID: 388, Command: "/usr/sbin/dnsmasq -C /var/etc/dnsmasq.conf", Size: 1300 << 10, Priority: 60, CPUTime: time.Second, State: "Sleeping"},
		{PID: 401, Command: "/usr/sbin/hostapd -s -g /var/run/hostapd/global", Size: 2900 << 10, Priority: 60, CPUTime: 9 * time.Second, State: "Sleeping"},
		{PID: 512, Command: "/usr/sbin/gatehouse run", Size: 9 << 20, Priority: 60, CPUTime: 400 * time.Millisecond, State: "Running"},
		{PID: 513, Command: "[kworker/0:1]", Priority: 60, State: "Idle"},
	}
}
