package pipe_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/pipe"
)

// pair is a connected pair on a new network.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	n := pipe.New()
	l, err := n.Listen("tcp", "192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = n.Dial(t.Context(), "tcp", "192.0.2.1:80"); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestRoundTrip(t *testing.T) {
	client, server := pair(t)
	if client.LocalAddr().String() != server.RemoteAddr().String() || client.RemoteAddr().String() != "192.0.2.1:80" {
		t.Errorf("addresses %v %v", client.LocalAddr(), client.RemoteAddr())
	}
	if _, err := io.WriteString(client, "hello"); err != nil { // nobody reads yet
		t.Fatal(err)
	}
	client.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(server); err != nil || string(got) != "hello" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := io.WriteString(server, "back"); err != nil { // half-closed only
		t.Error(err)
	}
	server.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "back" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := client.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after CloseWrite: %v", err)
	}
}

func TestWriteToClosed(t *testing.T) {
	client, server := pair(t)
	server.Close()
	if _, err := io.WriteString(client, "x"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error %v", err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// A full window makes the writer wait; a deadline ends the waiting, and virtual
// time passes meanwhile.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t)
		begin := time.Now()
		client.SetDeadline(begin.Add(time.Hour))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		client.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := client.Write(make([]byte, 1<<20))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || n >= 1<<20 || n == 0 {
			t.Errorf("wrote %d: %v", n, err)
		}
		client.SetDeadline(time.Time{})
		go io.CopyN(io.Discard, server, 2<<20)
		if n, err := client.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
			t.Errorf("wrote %d: %v", n, err)
		}
		client.SetReadDeadline(time.Now()) // in the past: at once
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		client.Close()
		server.Close()
	})
}

func TestPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := pipe.New()
		n.Name("acs.example", "192.0.2.1")
		dial := func(addr string) error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			c, err := n.Dial(ctx, "tcp", addr)
			if err == nil {
				c.Close()
			}
			return err
		}
		if err := dial("acs.example:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		l, err := n.Listen("tcp", "192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen("tcp", "acs.example:80"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening twice: %v", err)
		}
		if err := dial("acs.example:80"); err != nil {
			t.Error(err)
		}
		n.Set("acs.example", pipe.Drop)
		if err := dial("acs.example:80"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dropped: %v", err)
		}
		n.Set("acs.example", pipe.Open)
		n.Set("acs.example:80", pipe.Refuse)
		if err := dial("192.0.2.1:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("refused: %v", err)
		}
		n.Set("acs.example:80", pipe.Open)
		l.Close()
		if err := dial("acs.example:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("closed: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
	})
}

// A host's own Listen is for its address; without a host it is for all.
func TestHosts(t *testing.T) {
	n := pipe.New()
	cpe := n.From("192.0.2.7")
	if _, err := cpe.Listen("tcp", ":7547"); err != nil {
		t.Fatal(err)
	}
	c, err := n.Dial(t.Context(), "tcp", "192.0.2.7:7547")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := n.Dial(t.Context(), "tcp", "192.0.2.8:7547"); err == nil {
		t.Error("reached a host that does not listen")
	}
	if _, err := n.Listen("tcp", ":9000"); err != nil {
		t.Fatal(err)
	}
	if c, err = cpe.Dial(t.Context(), "tcp", "192.0.2.9:9000"); err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(c.LocalAddr().String()); host != "192.0.2.7" {
		t.Errorf("dialled from %s", host)
	}
	c.Close()
}
