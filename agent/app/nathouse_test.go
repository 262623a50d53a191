//go:build !no_stun

package app_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/stun"
	"gatehouse/lab/stun/udpnet"
)

// Who else there is when the house stands behind somebody's NAT (RFC 5737).
const (
	stunIP   = "198.51.100.30"
	publicIP = "192.0.2.50" // of the NAT
)

// A natHouse is a house behind NAT, with a STUN server outside.
type natHouse struct {
	*house
	udp   *udpnet.Network
	nat   *udpnet.NAT
	stun  *stun.Server
	opens atomic.Int64 // UDP sockets that the agent has opened
	id    uint32       // of the last UDP connection request
}

// behindNAT is the configuration of an agent that uses STUN.
func behindNAT(more ...string) string {
	return config(append([]string{`config stun 'stun'
	option enable '1'
	option server_address 'stun.example.net'
	option username 'cpe'
	option password 's3cret'`}, more...)...)
}

// natStory is a story behind a NAT that forgets a mapping after a minute.
func natStory(t *testing.T, knobs stun.Knobs, conf string, f func(t *testing.T, h *natHouse)) {
	t.Helper()
	story(t, acs.Options{}, conf, func(t *testing.T, below *house) {
		h := &natHouse{house: below, udp: udpnet.New(), stun: stun.New(knobs)}
		write(t, filepath.Join(filepath.Dir(h.conf), "hosts"), acsIP+" acs.example.net\n"+stunIP+" stun.example.net\n")
		h.nat = h.udp.NAT(netip.MustParsePrefix(wanIP+"/32"), netip.MustParseAddr(publicIP), udpnet.PortRestricted, time.Minute)
		h.edit = func(c *app.Config) {
			c.ListenUDP = func(_ context.Context, _, address string) (app.UDPConn, error) {
				conn, err := h.udp.Listen(netip.MustParseAddrPort(address))
				if err != nil {
					return nil, err
				}
				h.opens.Add(1)
				return conn, nil
			}
		}
		conn, err := h.udp.Listen(netip.MustParseAddrPort(stunIP + ":3478"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.stun.Serve(ctx, conn) }()
		defer func() {
			if h.stop != nil {
				h.end()
			}
			stop()
			<-done
			for _, r := range h.stun.Seen() {
				for _, v := range r.Violations {
					t.Errorf("the STUN server complains: %s", v)
				}
			}
		}()
		f(t, h)
	})
}

// known is where the ACS's side believes the agent to be: what STUN requests
// said, which must be what the agent tells.
func (h *natHouse) known() netip.AddrPort {
	h.t.Helper()
	synctest.Wait()
	at := h.stun.Binding("cpe")
	if told := h.get(ms + "UDPConnectionRequestAddress"); told != at.String() || at.Addr().String() != publicIP {
		h.t.Fatalf("the STUN server knows %v, UDPConnectionRequestAddress is %q", at, told)
	}
	return at
}

// request is a new UDP connection request.
func (h *natHouse) request(m stun.Manner, password string) []byte {
	h.t.Helper()
	h.id++
	k := stun.Knock{Manner: m, At: time.Now(), ID: h.id, Username: "acs", Password: password, To: h.known()}
	return k.Datagram()
}

// send sends it from the STUN server's address and port.
func (h *natHouse) send(to netip.AddrPort, copies int, pkt []byte) {
	h.t.Helper()
	for range copies {
		if err := h.stun.Send(to, pkt); err != nil {
			h.t.Fatal(err)
		}
	}
}

// setting is a script that sets one parameter.
func setting(name, typ, value string) acs.Script {
	return func(c *acs.Conversation) error {
		_, err := c.SetParameterValues("", acs.P(name, typ, value))
		return err
	}
}
