package control

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"gatehouse/agent/api"
)

// Peer tells who stands at the other end of a unix socket, by the word of the
// kernel: root and whoever runs the agent may do everything, others who can
// open the socket at all (its group) may read.
func Peer(conn net.Conn) api.Caller {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return api.Caller{Name: "cli", Rights: 0}
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return api.Caller{Name: "cli", Rights: 0}
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if cerr != nil || err != nil {
		return api.Caller{Name: "cli", Rights: 0}
	}
	c := api.Caller{Name: fmt.Sprintf("cli uid %d", cred.Uid), Rights: api.Read}
	if cred.Uid == 0 || int(cred.Uid) == os.Geteuid() {
		c.Rights = api.Everything
	}
	return c
}
