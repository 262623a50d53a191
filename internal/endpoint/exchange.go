package endpoint

// One question to one server: UDP, and TCP when the answer does not fit.

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A DialFunc opens a connection, as (*net.Dialer).DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// maxForeign is how many stray datagrams one question survives.
const maxForeign = 64

// errSilent is a server that did not answer in time.
var errSilent = errors.New("timeout")

// exchange asks one server and waits at most timeout. Every question goes out
// from a new socket, connected, with a random id: an answer must know port, id
// and question to be believed.
func exchange(ctx context.Context, dial DialFunc, server netip.AddrPort, name string, t dnsmessage.Type, timeout time.Duration) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errSilent)
	defer cancel()
	a, err := exchangeOver(ctx, dial, "udp", server, name, t)
	if errors.Is(err, errTruncated) {
		a, err = exchangeOver(ctx, dial, "tcp", server, name, t)
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return a, err
}

// exchangeOver asks over one network.
func exchangeOver(ctx context.Context, dial DialFunc, network string, server netip.AddrPort, name string, t dnsmessage.Type) (*answer, error) {
	var raw [2]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	id := binary.BigEndian.Uint16(raw[:])
	q, err := question(id, name, t)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // the answer is read, or there is none
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return askStream(c, q, id, name, t)
	}
	return askDatagram(c, q, id, name, t)
}

// askDatagram sends a question and reads until its answer comes.
func askDatagram(c net.Conn, q []byte, id uint16, name string, t dnsmessage.Type) (*answer, error) {
	if _, err := c.Write(q); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDatagram)
	for range maxForeign {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		a, err := parseAnswer(buf[:n], id, name, t)
		if !errors.Is(err, errForeign) {
			return a, err
		}
	}
	return nil, errors.New("flooded with foreign answers")
}

// askStream does the same over TCP, where messages carry their length.
func askStream(c net.Conn, q []byte, id uint16, name string, t dnsmessage.Type) (*answer, error) {
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > maxMessage {
		return nil, fmt.Errorf("answer of %d bytes is too long", n)
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(c, buf); err != nil {
		return nil, err
	}
	a, err := parseAnswer(buf, id, name, t)
	if errors.Is(err, errTruncated) {
		return nil, errors.New("truncated answer over TCP")
	}
	return a, err
}
