package accept_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"gatehouse/internal/accept"
	"gatehouse/lab/pipe"
)

const at = "192.0.2.1:80"

// A place is served in a bubble.
type place struct {
	*testing.T
	l   net.Listener
	web *pipe.Network
	end func() error
}

func open(t *testing.T, limit int, handle func(context.Context, net.Conn)) *place {
	t.Helper()
	web := pipe.New()
	l, err := web.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- accept.Serve(ctx, l, limit, handle) }()
	return &place{t, l, web, func() error { cancel(); return <-done }}
}

func (p *place) call() net.Conn {
	p.Helper()
	c, err := p.web.Dial(p.Context(), "tcp", at)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	return c
}

// TestServe: so many at a time and no more, each closed after its handler.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int32
		leave := make(chan struct{})
		p := open(t, 2, func(context.Context, net.Conn) {
			inside.Add(1)
			<-leave
		})
		all := []net.Conn{p.call(), p.call(), p.call()}
		if synctest.Wait(); inside.Load() != 2 {
			t.Errorf("%d are let in", inside.Load())
		}
		leave <- struct{}{}
		if synctest.Wait(); inside.Load() != 3 {
			t.Error("the third waits although there is room")
		}
		close(leave)
		for i, c := range all {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("connection %d ends with %v", i, err)
			}
		}
		if err := p.end(); err != nil {
			t.Error(err)
		}
		if _, err := p.web.Dial(t.Context(), "tcp", at); err == nil {
			t.Error("somebody listens after the end")
		}
	})
}

// TestEnd: the end closes what a handler waits for, and waits for the handler.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		p := open(t, 1, func(ctx context.Context, c net.Conn) {
			if _, err := c.Read(make([]byte, 1)); err == nil || ctx.Err() == nil {
				t.Errorf("the handler saw %v, %v", err, ctx.Err())
			}
			ended = true
		})
		p.call()
		synctest.Wait()
		if err := p.end(); err != nil || !ended {
			t.Errorf("%v, the handler has ended: %t", err, ended)
		}
	})
}

// TestListenerFails: whoever serves is told.
func TestListenerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, 1, nil)
		if err := p.end(); err != nil {
			t.Fatal(err)
		}
		if err := accept.Serve(t.Context(), p.l, 1, nil); err == nil {
			t.Error("no error")
		}
	})
}
