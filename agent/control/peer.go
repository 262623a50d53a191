package control

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"gatehouse/agent/api"
)

// Peer tells who stands at the other end of a unix socket, by the word of the
// kernel: root and whoever runs the agent may do everything, others who can
// open the socket at all (its group) may read. Of whom the kernel tells
// nothing may do nothing.
func Peer(conn net.Conn) api.Caller {
	uid, err := peerUID(conn)
	if err != nil {
		return api.Caller{Name: "unknown"}
	}
	return caller(uid, uint32(os.Geteuid()))
}

func caller(uid, own uint32) api.Caller {
	c := api.Caller{Name: fmt.Sprintf("uid %d", uid), Rights: api.Read}
	if uid == 0 || uid == own {
		c.Rights = api.Everything
	}
	return c
}

func peerUID(conn net.Conn) (uint32, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var sockErr error
	if err := raw.Control(func(fd uintptr) { cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if sockErr != nil {
		return 0, sockErr
	}
	return cred.Uid, nil
}
