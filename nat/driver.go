// The driver: the one place that has sockets, a clock and goroutines. It
// sleeps in the read of P until the machine's deadline, or until somebody
// rouses it.

package nat

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"
)

const (
	// maxDatagram is the longest datagram that is looked at: longer ones are
	// cut and so fail.
	maxDatagram = 2048
	lookUpFor   = 30 * time.Second
	firstReopen = time.Second // after a socket failed; doubles
	lastReopen  = time.Minute
)

// Run keeps the binding and takes requests until ctx ends. It copes with every
// failure of network and servers by itself; its error is always nil.
func (c *Client) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.rouse)
	defer stop()
	c.look.Store(true)
	buf := make([]byte, maxDatagram)
	for ctx.Err() == nil {
		next := c.turn(ctx, time.Now())
		c.sleep(ctx, buf, next)
	}
	c.unbind()
	c.closePair()
	c.workers.Wait()
	c.m.mark.save(time.Now())
	return nil
}

// turn takes in what others have left, does what is due and carries it out. It
// returns when there is more; zero: when something happens.
func (c *Client) turn(ctx context.Context, now time.Time) time.Time {
	m := c.m
	if c.look.Swap(false) || !c.reopenAt.IsZero() && !now.Before(c.reopenAt) {
		m.configure(c.cfg.Settings(), now)
		c.rebind(ctx, now)
	}
	if c.good.Swap(false) {
		m.mark.sessionSucceeded(now)
	}
	for more := true; more; {
		select {
		case r := <-c.resolved:
			c.looking = false
			m.looked(r, now)
		case d := <-c.scratch:
			m.Receive(d.at, d.pkt, d.peer, now)
		default:
			more = false
		}
	}
	next := deadline{m.Due(now)}
	if c.carryOut(ctx, now) {
		next = deadline{m.Due(now)}
		c.carryOut(ctx, now)
	}
	next.add(c.reopenAt)
	c.publish()
	return next.at
}

// sleep reads P until the deadline, or waits for it where there is no P.
func (c *Client) sleep(ctx context.Context, buf []byte, next time.Time) {
	conn := c.conn.Load()
	if conn == nil {
		c.wait(next)
		return
	}
	err := (*conn).SetReadDeadline(next)
	select {
	case <-c.wake: // roused before the deadline was set: it must not be lost
		return
	default:
	}
	for err == nil {
		var n int
		var from netip.AddrPort
		n, from, err = (*conn).ReadFromUDPAddrPort(buf)
		if err == nil && n < len(buf) && c.m.Receive(primary, buf[:n], from, time.Now()) {
			return
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
		select {
		case <-c.wake:
		default:
		}
		return
	}
	c.log.Warn("the UDP socket failed", "err", err)
	c.unbind()
	c.m.bind(netip.AddrPort{}, time.Now())
	c.reopenLater(time.Now())
}

// wait waits for the deadline or to be roused.
func (c *Client) wait(next time.Time) {
	var expired <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-c.wake:
	case <-expired:
	}
}

// rebind opens P where it should be now, if it is not there already. Its port
// stays the same whenever it can: the ACS may know it.
func (c *Client) rebind(ctx context.Context, now time.Time) {
	c.reopenAt = time.Time{}
	want := netip.Addr{}
	if c.m.wanted() {
		want = c.cfg.Local().Unmap()
	}
	if c.conn.Load() != nil && c.m.local.Addr() == want && c.asked == c.m.set.Port {
		return
	}
	if c.conn.Load() == nil && !want.IsValid() && c.told {
		return
	}
	c.unbind()
	c.told = true
	if !want.IsValid() {
		c.m.bind(netip.AddrPort{}, now)
		return
	}
	conn, local, err := c.open(ctx, want)
	c.m.bind(local, now)
	if err != nil {
		c.log.Warn("no UDP socket", "address", want, "err", err)
		c.reopenLater(now)
		return
	}
	c.conn.Store(&conn)
	c.asked, c.port, c.reopenPause = c.m.set.Port, local.Port(), 0
}

// open opens P: at the port of the settings, else where it was, else anywhere.
func (c *Client) open(ctx context.Context, addr netip.Addr) (conn Conn, local netip.AddrPort, err error) {
	ports := []uint16{c.m.set.Port, c.port, 0}
	if c.m.set.Port == 0 {
		ports = ports[1:]
	}
	for _, port := range ports {
		conn, err = c.cfg.Listen(ctx, network(addr), netip.AddrPortFrom(addr, port).String())
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	local, err = netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		conn.Close()
		return nil, netip.AddrPort{}, err
	}
	return conn, netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), nil
}

func network(addr netip.Addr) string {
	if addr.Is4() {
		return "udp4"
	}
	return "udp6"
}

// reopenLater plans another try after a growing pause.
func (c *Client) reopenLater(now time.Time) {
	c.reopenPause = min(max(2*c.reopenPause, firstReopen), lastReopen)
	c.reopenAt = now.Add(c.reopenPause)
}

func (c *Client) unbind() {
	if conn := c.conn.Swap(nil); conn != nil {
		(*conn).Close()
	}
}

// carryOut does what the machine wants done. It tells whether the machine has
// heard something new by that.
func (c *Client) carryOut(ctx context.Context, now time.Time) (news bool) {
	do := &c.m.todo
	if do.forged {
		c.cfg.Guard.Failed(Transport, do.peer.String()) // how long to wait before an answer: there is none
	}
	if do.admit {
		accepted, err := c.cfg.Guard.Admit(Transport, do.peer.String())
		c.m.admitted(do.peer, err, now)
		if err == nil {
			accepted()
		}
	}
	for _, d := range do.send {
		c.send(d)
	}
	if do.resolve != "" && !c.looking {
		c.lookUp(ctx, do.resolve)
	}
	if do.close {
		c.closePair()
	}
	if do.open {
		c.m.lifetime.opened(c.m, c.openPair(ctx), now)
		news = true
	}
	if do.tell && c.cfg.OnAddress != nil {
		c.cfg.OnAddress(c.m.status.NATDetected, c.m.status.UDPConnectionRequestAddress)
	}
	if do.save { // last: flash is slow
		c.m.mark.save(now)
	}
	clear(do.send)
	*do = todo{send: do.send[:0]}
	return news
}

// send sends a datagram. One that the kernel does not take is a lost one: it
// will be sent again.
func (c *Client) send(d datagram) {
	conn := c.conn.Load()
	if d.at != primary {
		conn = &c.pair[d.at-scratch]
	}
	if conn == nil || *conn == nil {
		return
	}
	if _, err := (*conn).WriteToUDPAddrPort(d.pkt, d.peer); err != nil {
		c.log.Debug("not sent", "to", d.peer, "err", err)
	}
}

// lookUp asks for the server's addresses, off the owner's goroutine: a name
// server may take its time.
func (c *Client) lookUp(ctx context.Context, host string) {
	c.looking = true
	c.workers.Go(func() {
		limited, cancel := context.WithTimeout(ctx, lookUpFor)
		defer cancel()
		addrs, err := c.cfg.Resolver.Lookup(limited, host)
		c.resolved <- resolution{host, addrs, err} // has room: one look-up at a time
		c.rouse()
	})
}

// openPair opens P' and S, each with a goroutine that reads it until closed.
func (c *Client) openPair(ctx context.Context) error {
	c.closePair()
	for i := range c.pair {
		addr := c.m.local.Addr()
		conn, err := c.cfg.Listen(ctx, network(addr), netip.AddrPortFrom(addr, 0).String())
		if err != nil {
			c.closePair()
			return err
		}
		c.pair[i] = conn
		c.workers.Go(func() { c.readScratch(conn, scratch+place(i)) })
	}
	return nil
}

func (c *Client) readScratch(conn Conn, at place) {
	var buf [maxDatagram]byte
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			return
		}
		select {
		case c.scratch <- datagram{at, from, append([]byte(nil), buf[:n]...)}:
			c.rouse()
		default: // as the network loses them
		}
	}
}

func (c *Client) closePair() {
	for i, conn := range c.pair {
		if conn != nil {
			conn.Close()
			c.pair[i] = nil
		}
	}
}

// publish shows the status.
func (c *Client) publish() {
	if s := c.m.status; *c.status.Load() != s {
		c.status.Store(&s)
	}
}
