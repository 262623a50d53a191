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
	"gatehouse/lab/stun"
)

// 50,000 forged datagrams a second leave the heap as it was, and of three
// honest copies one is served in nine of ten runs.
func TestPeerFlood(t *testing.T) {
	if !must() {
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
	pkt, sent := forged(), 0
	begin := time.Now()
	for run := range 10 {
		honest := stun.Knock{At: time.Now(), ID: uint32(run), Username: "cpe1", Password: "s3cret", To: c.Status().Local}.Datagram()
		for step := range 1000 { // one millisecond each
			<-tick.C
			for want := int(time.Since(begin).Milliseconds()) * 50; sent < want; sent++ {
				_, _ = conn.Write(pkt)
			}
			if step%300 == 150 && step < 900 {
				_, _ = conn.Write(honest)
			}
			if time.Since(begin) > time.Duration(run+1)*time.Second {
				break
			}
		}
	}
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
