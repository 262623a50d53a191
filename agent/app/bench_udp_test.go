//go:build !no_stun

package app_test

import (
	"context"
	"math"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/stun"
)

// BenchmarkUDPRequest: from a UDP connection request to the connection at the
// ACS.
func BenchmarkUDPRequest(b *testing.B) {
	loopback := func(context.Context, string, string) (app.UDPConn, error) {
		return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	r := setup(b, acs.Options{}, func(c *app.Config) { c.ListenUDP = loopback })
	r.wait(b, 1)
	server, to := r.bind(b)
	n, best := 1, time.Duration(math.MaxInt64)
	for id := range uint32(8) { // the guard lets no more through at once
		for len(r.accepted) > 0 {
			<-r.accepted
		}
		pkt := stun.Knock{At: time.Now(), ID: id, Username: "acs", Password: "knock", To: to}.Datagram()
		began := time.Now()
		if err := server.Send(to, pkt); err != nil {
			b.Fatal(err)
		}
		best = min(best, (<-r.accepted).Sub(began))
		n++
		r.wait(b, n)
	}
	budget(b, best, 5*time.Millisecond)
}

// bind starts a STUN server, and returns it when the agent has bound.
func (r *rig) bind(b *testing.B) (server *stun.Server, to netip.AddrPort) {
	b.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server = stun.New(stun.Coturn())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, conn) }()
	b.Cleanup(func() { stop(); <-done })
	port := conn.LocalAddr().(*net.UDPAddr).Port
	_, err = r.agent.API().Set(ctx, root, []api.Assignment{
		{Name: ms + "STUNServerAddress", Value: "127.0.0.1"}, {Name: ms + "STUNServerPort", Value: strconv.Itoa(port)},
		{Name: ms + "STUNUsername", Value: "cpe"}, {Name: ms + "STUNEnable", Value: "true"},
	}, false)
	if err != nil {
		b.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); !server.Binding("cpe").IsValid(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatal("no binding")
		}
	}
	return server, server.Binding("cpe")
}
