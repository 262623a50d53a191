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

// Do sends req over conn and yields the lines of the answer; the last one is
// the End. A refusal is an *api.Error. It closes conn.
func Do(ctx context.Context, conn net.Conn, req Request) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		text, err := json.Marshal(req)
		if err != nil {
			yield(Line{}, err)
			return
		}
		if _, err := conn.Write(append(text, '\n')); err != nil {
			yield(Line{}, err)
			return
		}
		in := bufio.NewReader(conn)
		for {
			l, err := readLine(in)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(Line{}, err)
				return
			}
			if l.Error != nil {
				yield(Line{}, l.Error)
				return
			}
			if !yield(l, nil) || l.End != nil {
				return
			}
		}
	}
}

var errCut = errors.New("the agent hung up in the middle of its answer")

func readLine(in *bufio.Reader) (l Line, err error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		if err == nil {
			break
		}
		if errors.Is(err, io.EOF) || len(text) > maxLine {
			return l, errCut
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l, err
		}
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("the agent's answer is not JSON: %w", err)
	}
	return l, nil
}
