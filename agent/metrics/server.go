package metrics

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"gatehouse/agent/api"
	"gatehouse/internal/accept"
)

// Limits of the door. Whoever stands there is on this machine, but need not
// mean well.
const (
	maxConns = 4
	maxHead  = 8 << 10
	patience = 5 * time.Second // for a request to arrive, and for the answer to be taken
)

// A Server answers GET /metrics.
type Server struct {
	// Status is asked for each request.
	Status func() api.Status
	// Port means that the listener is on a loopback port, where a web page in a
	// browser of this machine could ask too: it is known by its Host then.
	Port bool
}

// Serve serves l until ctx ends, which is no error, closes it, and waits for
// the answers under way.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	err := accept.Serve(ctx, l, maxConns, func(_ context.Context, conn net.Conn) {
		conn.SetDeadline(time.Now().Add(patience))
		if answer := s.answer(conn); answer != nil {
			conn.SetDeadline(time.Now().Add(patience))
			conn.Write(answer)
		}
	})
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// answer reads one request and returns the whole answer; nil when there is
// nobody to answer.
func (s *Server) answer(r io.Reader) []byte {
	method, path, host, err := readHead(bufio.NewReader(io.LimitReader(r, maxHead)))
	switch {
	case errors.Is(err, errRequest):
		return response("400 Bad Request", "this is no HTTP request\n", false)
	case err != nil:
		return nil
	case s.Port && !local(host):
		return response("403 Forbidden", "ask by the address of this machine\n", method == "HEAD")
	case path != "/metrics":
		return response("404 Not Found", "there is /metrics\n", method == "HEAD")
	case method != "GET" && method != "HEAD":
		return response("405 Method Not Allowed", "there is GET\n", false)
	}
	st := s.Status()
	var body bytes.Buffer
	Write(&body, &st) // memory takes all of it
	return response("200 OK", body.String(), method == "HEAD")
}

func response(status, body string, headOnly bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n", status, ContentType, len(body))
	if strings.HasPrefix(status, "405") {
		b.WriteString("Allow: GET, HEAD\r\n")
	}
	b.WriteString("\r\n")
	if !headOnly {
		b.WriteString(body)
	}
	return b.Bytes()
}

var errRequest = errors.New("not an HTTP request")

// readHead reads a request up to the end of its head; a body is left alone. An
// errRequest is answered, any other error is the connection's.
func readHead(in *bufio.Reader) (method, path, host string, err error) {
	line, err := headLine(in)
	if err != nil {
		return "", "", "", err
	}
	words := strings.Split(line, " ")
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/1.") || words[0] == "" {
		return "", "", "", errRequest
	}
	method = words[0]
	path, _, _ = strings.Cut(words[1], "?")
	for {
		line, err := headLine(in)
		if err != nil {
			return "", "", "", err
		}
		if line == "" {
			return method, path, host, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return "", "", "", errRequest
		}
		if strings.EqualFold(name, "Host") {
			host = strings.TrimSpace(value)
		}
	}
}

// headLine reads a line of a head without its end. A head that is too long
// ends early: that is a bad request too.
func headLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		return "", errRequest
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// local reports whether a Host header names this machine. A page that was
// fetched by another name, rebound to the loopback address, names itself.
func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "" || strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
