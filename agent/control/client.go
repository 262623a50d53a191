package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
)

// ErrCut says that the agent hung up before its answer was at its end.
var ErrCut = errors.New("the agent hung up in the middle of its answer")

// Do sends req over conn and yields the lines of the answer; the last one is
// the End. A refusal is an *api.Error. When ctx ends, so does the answer,
// without a word. It closes conn.
func Do(ctx context.Context, conn net.Conn, req Request) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		text, err := json.Marshal(req)
		if err != nil {
			yield(Line{}, err)
			return
		}
		// An agent may refuse a request before it has read it all: it says why,
		// and hangs up on whoever is still writing.
		sent := make(chan error, 1)
		go func() {
			_, err := conn.Write(append(text, '\n'))
			sent <- err
		}()
		in := bufio.NewReader(conn)
		for {
			l, err := receive(in)
			if ctx.Err() != nil {
				return
			}
			if err == nil && l.Error != nil {
				err = l.Error
			}
			if err != nil {
				yield(Line{}, err)
				return
			}
			if !yield(l, nil) || l.End != nil {
				return
			}
		}
	}
}

func receive(in *bufio.Reader) (l Line, err error) {
	text, err := readLine(in, maxLine)
	switch {
	case errors.Is(err, io.EOF):
		return l, ErrCut
	case err != nil:
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("the agent's answer is not JSON: %w", err)
	}
	return l, nil
}
