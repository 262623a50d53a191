// Package accept serves a bounded number of connections at a time.
package accept

import (
	"context"
	"net"
	"sync"
)

// Serve gives each connection of l to handle, in a goroutine of its own, at
// most limit at a time: the next one waits in the kernel's queue. It serves
// until ctx ends, which is no error, or l fails; then it closes l, ends the
// context of the handlers, and waits for them. A connection is closed after its
// handler, or when ctx ends, whichever comes first.
func Serve(ctx context.Context, l net.Listener, limit int, handle func(context.Context, net.Conn)) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	slots := make(chan struct{}, limit)
	for {
		slots <- struct{}{} // the end of ctx ends the handlers, and so frees one
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		handlers.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			handle(ctx, conn)
		})
	}
}
