package connreq

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"gatehouse/internal/digest"
	"gatehouse/internal/guard"
)

// BenchmarkHonest times a whole connection request (two round trips on a new
// connection) over loopback, among 1,000 silent and 100 slow clients.
func BenchmarkHonest(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &Server{
		Path:        func() string { return "/cr" },
		Credentials: func() (string, string) { return "acs", "secret" },
		Guard:       guard.New(guard.Config{Total: guard.Rate{N: 1 << 30, Per: 1}, PerSource: guard.Rate{N: 1 << 30, Per: 1}, Accept: func(string) {}}),
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	for i := range 1100 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if i%11 == 0 {
			_, _ = fmt.Fprintf(c, "GET /cr HTTP/1.1\r\nX: ")
		}
	}
	for b.Loop() {
		honest(b, l.Addr().String())
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// honest makes one connection request.
func honest(b *testing.B, addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	d := digest.NewClient("acs", "secret", digest.Options{})
	for range 2 {
		v, err := d.Authorize("GET", "/cr", nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.WriteString(c, get("/cr", v))
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			b.Fatal(err)
		}
		if res.StatusCode == 200 {
			return
		}
		if ok, err := d.Challenge(res.Header); !ok {
			b.Fatal(err)
		}
	}
	b.Fatal("refused")
}
