package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"gatehouse/agent/api"
	"gatehouse/internal/accept"
)

const (
	maxConns = 64 // callers at a time; the next one waits in the kernel's queue
	// maxReaders bounds the callers that may only read: whoever they are, they
	// do not keep out those who administer the router.
	maxReaders = 24
	// maxWatches bounds the calls that do not end by themselves.
	maxWatches = 32

	patience    = 10 * time.Second // for a request to arrive
	writeWithin = 10 * time.Second // for a piece of an answer to be taken
	piece       = 4 << 10          // bytes of an answer that are written at once
)

// A Server serves the socket. It must not be copied.
type Server struct {
	API *api.Service
	// Who says who stands at the other end of a connection.
	Who func(net.Conn) api.Caller
	Log *slog.Logger

	mu               sync.Mutex
	readers, watches int
}

// Serve serves l until ctx ends, closes it, and waits for the calls under way.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := accept.Serve(ctx, l, maxConns, s.serve); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// enter counts a caller; leave must be called when entered.
func (s *Server) enter(count *int, limit int) (entered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *count >= limit {
		return false
	}
	*count++
	return true
}

func (s *Server) leave(count *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*count--
}

// serve answers the one request of a connection.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := newAnswer(conn)

	who, limit := s.Who(conn), maxRequest
	if who.Rights&api.Write == 0 {
		limit = maxReadRequest
		if !s.enter(&s.readers, maxReaders) {
			out.end(refusal(api.Busy, "too many callers"))
			return
		}
		defer s.leave(&s.readers)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	text, err := readLine(bufio.NewReaderSize(conn, 512), limit)
	if errors.Is(err, errLong) {
		out.end(refusal(api.InvalidArguments, fmt.Sprintf("a request has %d bytes at most", limit)))
		return
	}
	if err != nil {
		return // whoever it was has gone, or says nothing
	}
	conn.SetReadDeadline(time.Time{})
	gone := make(chan struct{})
	go func() { // a caller that hangs up ends the call
		defer close(gone)
		io.Copy(io.Discard, conn)
		cancel()
	}()
	defer func() { conn.Close(); <-gone }()

	req, err := parse(text)
	var end End
	if err == nil {
		end, err = s.call(ctx, who, req, out)
	}
	switch {
	case err != nil:
		out.end(err)
	case ctx.Err() == nil:
		out.line(Line{End: &end})
		out.flush()
	}
}

func refusal(name, text string) *api.Error { return api.Refuse(name, "", text) }

// An answer writes lines to a caller that may be slow, or gone: after the first
// piece that is not taken in time it writes nothing more.
type answer struct {
	conn net.Conn
	buf  *bufio.Writer
	enc  *json.Encoder
}

func newAnswer(conn net.Conn) *answer {
	a := &answer{conn: conn}
	a.buf = bufio.NewWriterSize(a, piece)
	a.enc = json.NewEncoder(a.buf)
	a.enc.SetEscapeHTML(false)
	return a
}

// Write implements io.Writer below the buffer.
func (a *answer) Write(b []byte) (int, error) {
	a.conn.SetWriteDeadline(time.Now().Add(writeWithin))
	return a.conn.Write(b)
}

// line reports whether there is still somebody to write to.
func (a *answer) line(l Line) bool { return a.enc.Encode(l) == nil }
func (a *answer) flush() bool      { return a.buf.Flush() == nil }

// end is the last line of a call that was refused.
func (a *answer) end(err error) {
	var e *api.Error
	if !errors.As(err, &e) {
		e = refusal(api.Failed, err.Error())
	}
	a.line(Line{Error: e})
	a.flush()
}

func (s *Server) call(ctx context.Context, c api.Caller, req Request, out *answer) (end End, err error) {
	switch req.Call {
	case "get", "names", "attributes", "watch", "status", "log":
		return end, s.read(ctx, c, req, out)
	case "set", "add", "delete":
		return s.write(ctx, c, req, out)
	case "notify":
		if req.Notification == nil {
			return end, refusal(api.InvalidArguments, "notify takes a notification, 0 to 6")
		}
		err = s.API.SetNotification(ctx, c, req.Paths, *req.Notification)
	case "inform":
		err = s.API.Inform(ctx, c, req.Event)
	case "provider":
		end.Fetched, err = s.API.ProviderCall(ctx, c, req.Event)
	case "reload":
		end.Changed, err = s.API.ReloadConfig(ctx, c)
	default:
		return end, refusal(api.InvalidArguments, "there is no call "+req.Call)
	}
	return end, err
}

// write carries out what changes the model, or tells what it would do.
func (s *Server) write(ctx context.Context, c api.Caller, req Request, out *answer) (end End, err error) {
	if req.Call == "add" && len(req.Paths) != 1 {
		return end, refusal(api.InvalidArguments, "add takes one table")
	}
	switch {
	case req.DryRun:
		e := api.Edit{Set: req.Set}
		switch req.Call {
		case "add":
			e.Add = req.Paths[0]
		case "delete":
			e = api.Edit{Delete: req.Paths}
		}
		var p api.Plan
		if p, err = s.API.Plan(ctx, c, e); err == nil {
			out.line(Line{Plan: &p})
		}
	case req.Call == "set":
		end.Deferred, err = s.API.Set(ctx, c, req.Set, false)
	case req.Call == "add":
		end.Path, err = s.API.Add(ctx, c, req.Paths[0], req.Set)
	default:
		err = s.API.Delete(ctx, c, req.Paths)
	}
	return end, err
}

// read answers the calls that tell something.
func (s *Server) read(ctx context.Context, c api.Caller, req Request, out *answer) error {
	switch req.Call {
	case "get":
		for v, err := range s.API.Get(ctx, c, req.Paths) {
			if err != nil || !out.line(Line{Value: &v}) {
				return err
			}
		}
	case "names":
		for _, p := range req.Paths {
			for n, err := range s.API.Names(ctx, c, p, req.Next) {
				if err != nil || !out.line(Line{Name: &n}) {
					return err
				}
			}
		}
	case "attributes":
		for a, err := range s.API.GetAttributes(ctx, c, req.Paths) {
			if err != nil || !out.line(Line{Attribute: &a}) {
				return err
			}
		}
	case "watch":
		return s.watch(ctx, c, req.Paths, out)
	case "status":
		st, err := s.API.Status(c)
		if err == nil {
			out.line(Line{Status: &st})
		}
		return err
	case "log":
		all, err := s.API.Sessions(c, req.Sessions)
		for i := range all {
			if !out.line(Line{Session: &all[i]}) {
				return err
			}
		}
		return err
	}
	return nil
}

// watch flushes each line: somebody is waiting for it.
func (s *Server) watch(ctx context.Context, c api.Caller, paths []string, out *answer) error {
	if !s.enter(&s.watches, maxWatches) {
		return refusal(api.Busy, "too many watches")
	}
	defer s.leave(&s.watches)
	for u, err := range s.API.Watch(ctx, c, paths) {
		if err != nil || !out.line(Line{Update: &u}) || !out.flush() {
			return err
		}
	}
	return nil
}
