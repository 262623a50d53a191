// Speed and duplex of a port, by the ETHTOOL_GSET call: one per port, in the
// right namespace (which /sys is not), and understood by every driver.

package linux

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// ethtoolCmd is struct ethtool_cmd (linux/ethtool.h).
type ethtoolCmd struct {
	cmd, supported, advertising uint32
	speed                       uint16
	duplex, port, phy           uint8
	transceiver, autoneg, mdio  uint8
	maxTx, maxRx                uint32
	speedHigh                   uint16
	tpMDIX, tpMDIXControl       uint8
	partner                     uint32
	_                           [2]uint32
}

// ethtoolReq is struct ifreq with a pointer in its union.
type ethtoolReq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

const duplexFull = 1

// speeds fills in what the running ports have negotiated. A port that does
// not tell (a virtual one) keeps zero.
func (b *backend) speeds(links []platform.Link) {
	fd := -1
	err := b.inside(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		b.log.Debug("no socket for ethtool", "err", err)
		return
	}
	defer unix.Close(fd)
	for i := range links {
		if l := &links[i]; l.Running && l.Kind == platform.LinkEthernet {
			l.MaxBitRate, l.FullDuplex = speed(fd, l.Name)
		}
	}
}

func speed(fd int, name string) (mbit int32, full bool) {
	if len(name) >= unix.IFNAMSIZ {
		return 0, false
	}
	cmd := ethtoolCmd{cmd: unix.ETHTOOL_GSET}
	req := ethtoolReq{data: unsafe.Pointer(&cmd)}
	copy(req.name[:], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(&cmd)
	if errno != 0 {
		return 0, false
	}
	n := uint32(cmd.speed) | uint32(cmd.speedHigh)<<16
	if n >= 1<<31-1 { // SPEED_UNKNOWN
		return 0, false
	}
	return int32(n), cmd.duplex == duplexFull
}
