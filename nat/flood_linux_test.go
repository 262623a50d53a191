// A flood over a real socket: what the kernel and the driver make of it.

package nat

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/guard"
	"gatehouse/lab/rooms"
	"gatehouse/lab/stun"
)

// 50,000 forged datagrams a second leave the heap as it was, and of three
// honest copies one is served in nine of ten runs.
func TestPeerFlood(t *testing.T) {
	if !rooms.Must() {
		t.Skip("takes the machine for itself for ten seconds: GATEHOUSE_PEERS=must")
	}
	served := make(chan struct{}, 100)
	loop := netip.MustParseAddr("127.0.0.1")
	c, err := New(Config{
		Settings: func() Settings {
			return Settings{Listen: true, ConnectionRequestUsername: "cpe1", ConnectionRequestPassword: "s3cret"}
		},
		Local: func() netip.Addr { return loop }, Resolver: literal{},
		Guard: guard.New(guard.Config{Accept: func(string) { served <- struct{}{} }}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { _ = c.Run(ctx) })
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !c.Status().Local.IsValid() {
		<-tick.C
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(c.Status().Local))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	sent := flood(conn, c.Status().Local, tick.C)
	runtime.ReadMemStats(&after)
	r := c.Status().Requests
	t.Logf("%d datagrams in %v: %+v; %d served", sent, time.Since(begin), r, len(served))
	if len(served) < 9 {
		t.Errorf("%d of 10 honest requests were served, want 9", len(served))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

// flood sends for ten seconds, 50 forged datagrams each millisecond, and an
// honest one three times a second. It returns how many were forged.
func flood(conn net.Conn, to netip.AddrPort, tick <-chan time.Time) (sent int) {
	pkt, begin := forged(), time.Now()
	for run := range 10 {
		honest := stun.Knock{At: time.Now(), ID: uint32(run), Username: "cpe1", Password: "s3cret", To: to}.Datagram()
		for copies := 0; time.Since(begin) < time.Duration(run+1)*time.Second; {
			<-tick
			for want := int(time.Since(begin).Milliseconds()) * 50; sent < want; sent++ {
				_, _ = conn.Write(pkt)
			}
			if into := time.Since(begin) - time.Duration(run)*time.Second; copies < 3 && into > time.Duration(copies+1)*200*time.Millisecond {
				_, _ = conn.Write(honest)
				copies++
			}
		}
	}
	return sent
}
