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
)

const (
	maxConns    = 32               // callers at a time; the next one waits in the kernel's queue
	patience    = 10 * time.Second // for a request to arrive
	writeWithin = 10 * time.Second // for a line of an answer to be taken
)

// A Server serves the socket.
type Server struct {
	API *api.Service
	// Who says who stands at the other end of a connection.
	Who func(net.Conn) api.Caller
	Log *slog.Logger
}

// Serve serves l until ctx ends, closes it, and waits for the calls under way.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	slots := make(chan struct{}, maxConns)
	for {
		slots <- struct{}{}
		conn, err := l.Accept()
		if err != nil {
			cancel()
			if errors.Is(err, net.ErrClosed) && context.Cause(ctx) != nil {
				return nil
			}
			return fmt.Errorf("control socket: %w", err)
		}
		calls.Go(func() {
			defer func() { <-slots }()
			s.serve(ctx, conn)
		})
	}
}

// serve answers the one request of a connection.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	conn.SetReadDeadline(time.Now().Add(patience))
	in := bufio.NewReader(io.LimitReader(conn, maxLine))
	text, err := in.ReadBytes('\n')
	if err != nil {
		return // whoever it was has gone, or says nothing
	}
	conn.SetReadDeadline(time.Time{})
	go func() { // a caller that hangs up ends the call
		io.Copy(io.Discard, conn)
		cancel()
	}()

	out := &answer{conn: conn, enc: json.NewEncoder(conn)}
	out.enc.SetEscapeHTML(false)
	var req Request
	if err := json.Unmarshal(text, &req); err != nil {
		out.line(Line{Error: refusal(api.InvalidArguments, "the request is not JSON: "+err.Error())})
		return
	}
	end, err := s.call(ctx, s.Who(conn), req, out)
	if ctx.Err() != nil && err == nil {
		return
	}
	if err != nil {
		var e *api.Error
		if !errors.As(err, &e) {
			e = refusal(api.Failed, err.Error())
		}
		out.line(Line{Error: e})
		return
	}
	out.line(Line{End: &end})
}

func refusal(name, text string) *api.Error {
	return &api.Error{Problems: []api.Problem{{Name: name, Message: text}}}
}

// An answer writes lines to a caller that may be slow, or gone.
type answer struct {
	conn net.Conn
	enc  *json.Encoder
}

func (a *answer) line(l Line) bool {
	a.conn.SetWriteDeadline(time.Now().Add(writeWithin))
	return a.enc.Encode(l) == nil
}

func (s *Server) call(ctx context.Context, c api.Caller, req Request, out *answer) (end End, err error) {
	switch req.Call {
	case "get":
		for v, err := range s.API.Get(ctx, c, req.Paths) {
			if err != nil || !out.line(Line{Value: &v}) {
				return end, err
			}
		}
	case "names":
		for _, p := range req.Paths {
			for n, err := range s.API.Names(ctx, c, p, req.Next) {
				if err != nil || !out.line(Line{Name: &n}) {
					return end, err
				}
			}
		}
	case "set":
		end.Deferred, err = s.API.Set(ctx, c, req.Set, req.DryRun)
	case "add":
		if len(req.Paths) != 1 {
			return end, refusal(api.InvalidArguments, "add takes one table")
		}
		end.Path, err = s.API.Add(ctx, c, req.Paths[0], req.Set)
	case "delete":
		err = s.API.Delete(ctx, c, req.Paths)
	case "attributes":
		for a, err := range s.API.GetAttributes(ctx, c, req.Paths) {
			if err != nil || !out.line(Line{Attribute: &a}) {
				return end, err
			}
		}
	case "notify":
		if req.Notification == nil {
			return end, refusal(api.InvalidArguments, "notify takes a notification, 0 to 6")
		}
		err = s.API.SetNotification(ctx, c, req.Paths, *req.Notification)
	case "watch":
		for u, err := range s.API.Watch(ctx, c, req.Paths) {
			if err != nil || !out.line(Line{Update: &u}) {
				return end, err
			}
		}
	case "status":
		st, err := s.API.Status(c)
		if err == nil {
			out.line(Line{Status: &st})
		}
		return end, err
	case "inform":
		err = s.API.Inform(ctx, c, req.Event)
	case "reload":
		end.Changed, err = s.API.ReloadConfig(ctx, c)
	default:
		return end, refusal(api.InvalidArguments, "no such call: "+req.Call)
	}
	return end, err
}
