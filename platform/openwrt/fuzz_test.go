package openwrt

// What a host of the home, or whoever made an image, can put before us.

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"gatehouse/internal/ubus"
)

// FuzzRanges: what stands in dnsmasq's file is of addresses.
func FuzzRanges(f *testing.F) {
	f.Add([]byte("# auto\ndhcp-range=set:lan,192.168.1.100,192.168.1.249,255.255.255.0,12h\n"))
	f.Add([]byte("dhcp-range=1.2.3.4\ndhcp-range=tag:a,set:b,1.2.3.4,static\ndhcp-range=::1,::2\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		all := map[span]bool{}
		readRanges(file, all)
		for s := range all {
			if !s.low.Is4() {
				t.Errorf("%+v", s)
			}
		}
	})
}

// FuzzLease: what a client calls itself, by way of odhcpd.
func FuzzLease(f *testing.F) {
	f.Add("02005e0053aa", "laptop", "192.168.1.7", int32(-1))
	f.Add("", "\xff$(reboot)\n", "fe80::1%eth0", int32(1<<30))
	now := time.Unix(1760000000, 0)
	f.Fuzz(func(t *testing.T, mac, name, addr string, valid int32) {
		l := odhcpdLease(ubus.Table{{Name: "mac", Value: mac}, {Name: "hostname", Value: name}, {Name: "ip", Value: addr}, {Name: "valid", Value: valid}}, now)
		if len(l.MAC) != 0 && len(l.MAC) != 17 || valid < 0 != l.Ends.IsZero() {
			t.Errorf("%+v", l)
		}
	})
}

// FuzzTrailer: an image is as long as it is, whatever its chunks say.
func FuzzTrailer(f *testing.F) {
	trailer := func(kind byte, size uint32) []byte {
		b := binary.BigEndian.AppendUint32(nil, trailerMagic)
		b = append(b, 0, 0, 0, 0, kind, 0, 0, 0)
		return binary.BigEndian.AppendUint32(b, size)
	}
	info := append(make([]byte, headerSize), `{"version":{"version":"24.10.4","revision":"r1"}}`...)
	f.Add(append(bytes.Clone(info), trailer(isInfo, uint32(len(info)+trailerSize))...))
	f.Add(trailer(isInfo, 1<<31))
	f.Add(append(trailer(0, trailerSize), trailer(0, trailerSize)...))
	f.Fuzz(func(t *testing.T, image []byte) {
		if v := trailerVersion(bytes.NewReader(image), int64(len(image))); len(v) > len(image)+1 {
			t.Errorf("%d bytes have the version %q", len(image), v)
		}
	})
}
