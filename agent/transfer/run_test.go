package transfer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/store/storetest"
	"gatehouse/platform"
)

// configured is a ConfigFile that takes everything.
type configured struct{ taken func() }

func (c configured) Export(context.Context, io.Writer) error { return nil }

func (c configured) Import(context.Context, io.Reader) error {
	c.taken()
	return nil
}

// runner carries out q; what it dials is served by server.
func runner(t *testing.T, q *Queue, server func(net.Conn)) *Runner {
	return &Runner{
		Queue: q, ConfigFile: configured{func() {}}, Spool: t.TempDir(),
		Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go server(theirs)
			return ours, nil
		},
		TLS:      func(string) (*tls.Config, error) { return nil, nil },
		CheckURL: func(string) error { return nil },
		Quiet:    func(ctx context.Context, f func(context.Context) error) error { return f(ctx) },
		Ended:    func(Transfer) {},
		Log:      slog.New(slog.DiscardHandler),
	}
}

// turns carries out what is due until ctx ends.
func turns(ctx context.Context, r *Runner) error {
	wake := make(chan struct{}, 1)
	r.Queue.Wake = func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil {
		again, err := r.Turn(ctx)
		if err != nil {
			return err
		}
		due := time.NewTimer(again)
		if again == 0 {
			due.Stop()
		}
		select {
		case <-wake:
		case <-due.C:
		case <-ctx.Done():
		}
		due.Stop()
	}
	return nil
}

var config = Order{Method: Download, CommandKey: "c", Kind: Config, FileType: "3 Vendor Configuration File", URL: "http://files.example/c"}

// answer reads one request and answers it with text, then ends.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			_, _ = io.WriteString(conn, text)
		}
	}
}

// A configuration can end the agent that has just taken it up. It is not
// fetched and put in place again at the next start.
func TestStoppedOnceItWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := storetest.New()
		q := opened(t, fsys, "boot", "1")
		must(q.Add(config))
		ctx, stop := context.WithCancel(t.Context())
		r := runner(t, q, answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"))
		r.ConfigFile = configured{stop}
		must(turns(ctx, r))
		if got := opened(t, fsys, "boot", "1").List(); len(got) != 1 || got[0].State != Done || got[0].Failure != NoFailure {
			t.Errorf("the next start finds %+v", got)
		}
	})
}

// full is a disk that takes no more.
type full struct{ Backing }

func (full) Save([]byte) error { return errors.New("read-only file system") }

// A configuration that ends the device is tried again at each start where
// nothing can be kept: there, none is put in place.
func TestConfigurationOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := storetest.New()
		q := opened(t, fsys, "boot", "1")
		must(q.Add(config))
		q.file = full{q.file}
		ctx, stop := context.WithCancel(t.Context())
		r := runner(t, q, answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"))
		r.ConfigFile = configured{func() { t.Error("it was put in place") }}
		var told Transfer
		r.Ended = func(x Transfer) { told = x; stop() }
		must(turns(ctx, r))
		if told.Failure != Internal {
			t.Errorf("told %v: %s", told.Failure, told.Text)
		}
	})
}

// A file server that sends those who come without TLS to itself, with TLS, may
// ask for the password there; nobody else may.
func TestWhoMayAskForThePassword(t *testing.T) {
	for _, x := range []struct {
		home, at string
		want     bool
	}{
		{"http://files.example/f", "http://files.example/g", true},
		{"http://files.example/f", "https://files.example/f", true},
		{"http://files.example:80/f", "https://FILES.example:443/f", true},
		{"https://files.example/f", "https://files.example/g", true},
		{"https://files.example:8443/f", "https://files.example:8443/g", true},
		{"http://files.example/f", "https://other.example/f", false},
		{"http://files.example/f", "https://files.example:8443/f", false},
		{"http://files.example:8080/f", "https://files.example/f", false},
		{"http://files.example/f", "http://files.example:8080/f", false},
		{"https://files.example/f", "http://files.example/f", false},
	} {
		home, at := address(x.home), address(x.at)
		w := &web{home: *home}
		if got := w.knows(at); got != x.want {
			t.Errorf("from %s, %s: %t", x.home, x.at, got)
		}
	}
}

func address(text string) *url.URL {
	u, err := url.Parse(text)
	must(err)
	return u
}

// A file server that sends a byte a minute does not hold up the queue for ever.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := opened(t, storetest.New(), "boot", "1")
		must(q.Add(config))
		ctx, stop := context.WithCancel(t.Context())
		r := runner(t, q, func(conn net.Conn) {
			defer conn.Close()
			_, err := conn.Read(make([]byte, 4096))
			for text := "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"; err == nil; text = "x" {
				_, err = io.WriteString(conn, text)
				time.Sleep(50 * time.Second)
			}
		})
		began := time.Now()
		r.Ended = func(Transfer) { stop() }
		must(turns(ctx, r))
		if got, took := q.List()[0], time.Since(began); got.Failure != Incomplete || took > longest+time.Minute {
			t.Errorf("after %v: %v, %s", took, got.Failure, got.Text)
		}
		time.Sleep(2 * time.Minute) // the server ends, too
	})
}

// images is a Firmware that takes every image, and leaves the restart to others.
type images struct{ taken func() }

func (images) Validate(context.Context, string) (platform.Image, error) {
	return platform.Image{Version: "2"}, nil
}

func (i images) Apply(context.Context, string, bool) error {
	i.taken()
	return nil
}

// A window that closes while the device is about to restart does not make a
// success of the image: only the next start knows.
func TestWindowClosesBeforeTheRestart(t *testing.T) {
	o := order
	o.Method, o.URL, o.Delay, o.Windows = ScheduleDownload, config.URL, 0, []Window{{End: 5 * time.Minute}}
	for boot, want := range map[string]Failure{"second": NoFailure, "first": Internal} {
		synctest.Test(t, func(t *testing.T) {
			fsys := storetest.New()
			q := opened(t, fsys, "first", "1")
			must(q.Add(o))
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r := runner(t, q, answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"))
			r.Boot, r.Version = "first", func(context.Context) string { return "1" }
			r.Firmware = images{func() { time.AfterFunc(6*time.Minute, stop) }}
			r.Ended = func(x Transfer) { t.Errorf("told before the restart: %v", x.Failure) }
			must(turns(ctx, r))
			version := map[string]string{"first": "1", "second": "2"}[boot]
			if got := opened(t, fsys, boot, version).Results(); len(got) != 1 || got[0].Failure != want {
				t.Errorf("after boot %s: %+v, want %v", boot, got, want)
			}
		})
	}
}

// Headers without an end cost no memory.
func TestEndlessHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := opened(t, storetest.New(), "boot", "1")
		must(q.Add(config))
		ctx, stop := context.WithCancel(t.Context())
		sent := 0
		r := runner(t, q, func(conn net.Conn) {
			defer conn.Close()
			_, err := conn.Read(make([]byte, 4096))
			line := "X-Long: " + strings.Repeat("x", 1000) + "\r\n"
			for text := "HTTP/1.1 200 OK\r\n"; err == nil; text = line {
				_, err = io.WriteString(conn, text)
				sent += len(text)
			}
		})
		r.Ended = func(Transfer) { stop() }
		must(turns(ctx, r))
		synctest.Wait()
		if sent > 2*maxAnswer {
			t.Errorf("%d bytes of headers were read", sent)
		}
	})
}

// logFile is a log of the platform.
type logFile struct{ *bytes.Reader }

func (logFile) Close() error { return nil }

func (l logFile) OpenLog(context.Context, string) (io.ReadCloser, error) { return l, nil }

// The end of a log begins with a line: half a line may be half a secret, with
// nothing left before it that says so.
func TestEndOfLog(t *testing.T) {
	lines := strings.Repeat("password=hunter2hunter2\n", 100)
	for limit := range int64(200) {
		var b bytes.Buffer
		if err := copyLog(t.Context(), logFile{bytes.NewReader([]byte(lines))}, "syslog", &b, limit); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "ter2") {
			t.Fatalf("limit %d: %s", limit, b.String())
		}
	}
	// Nor does a line that is too long come in pieces.
	for before := maxLine - 30; before < maxLine+30; before++ {
		var b bytes.Buffer
		line := strings.Repeat("x", before) + " password=hunter2hunter2\nnext\n"
		must(copyLog(t.Context(), logFile{bytes.NewReader([]byte(line))}, "syslog", &b, maxText))
		if text := b.String(); strings.Contains(text, "ter2") || !strings.HasSuffix(text, "\nnext\n") {
			t.Fatalf("%d bytes before the secret: … %s", before, text[before-10:])
		}
	}
	var all bytes.Buffer
	must(copyLog(t.Context(), logFile{bytes.NewReader([]byte("one\ntwo\n"))}, "syslog", &all, 100))
	if all.String() != "one\ntwo\n" {
		t.Errorf("a short log became %q", all.String())
	}
}

var _ platform.LogFiles = logFile{}
