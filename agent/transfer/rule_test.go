package transfer

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/store/storetest"
)

// served reads one request, body and all, pauses before the answer, and keeps
// the headers of what it has read.
type served struct {
	pause   time.Duration
	slow    time.Duration // between two pieces of the request's body
	headers []http.Header
}

func (s *served) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		for buf := make([]byte, 1<<20); err == nil; _, err = req.Body.Read(buf) {
			time.Sleep(s.slow)
		}
		if req.Close {
			req.Header.Set("Connection", "close")
		}
		s.headers = append(s.headers, req.Header)
		time.Sleep(s.pause)
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"); err != nil {
			return
		}
	}
}

// exported is a configuration of so many bytes.
type exported int

func (e exported) Export(_ context.Context, w io.Writer) error {
	_, err := w.Write(make([]byte, e))
	return err
}

func (exported) Import(context.Context, io.Reader) error { return nil }

// S003-01, S003-14, S003-21, S003-25, S003-32: the rules of a place say how long
// its answer may take, from the last byte of the request on, and whether the
// connection ends with it. Without a rule it is a minute.
func TestRulesOfTransfers(t *testing.T) {
	put := Order{Method: Upload, CommandKey: "c", Kind: Config, FileType: "1 Vendor Configuration File", URL: config.URL}
	for _, row := range []struct {
		name  string
		order Order
		rule  Rule
		s     served
		after time.Duration // negative: more than a minute
		want  Failure
	}{
		{"no rule", config, Rule{}, served{pause: 59 * time.Second}, 59 * time.Second, NoFailure},
		{"no rule, too late", config, Rule{}, served{pause: 61 * time.Second}, time.Minute, Contact},
		{"short", config, Rule{Response: 5 * time.Second}, served{pause: 6 * time.Second}, 5 * time.Second, Contact},
		{"short enough", config, Rule{Response: 5 * time.Second}, served{pause: 4 * time.Second}, 4 * time.Second, NoFailure},
		{"long", config, Rule{Response: 2 * time.Minute}, served{pause: 90 * time.Second}, 90 * time.Second, NoFailure},
		{"closed", config, Rule{Closes: true}, served{}, 0, NoFailure},
		{"upload, a slow line", put, Rule{Response: 5 * time.Second}, served{slow: 20 * time.Second, pause: 4 * time.Second}, -1, NoFailure},
		{"upload, no answer", put, Rule{Response: 5 * time.Second}, served{pause: 6 * time.Second}, 5 * time.Second, Contact},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := opened(t, storetest.New(), "boot", "1")
				must(q.Add(row.order))
				log := &bytes.Buffer{}
				r := runner(t, q, row.s.serve)
				r.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				r.UserAgent = "Gatehouse/test"
				r.ConfigFile = exported(100 << 10)
				r.Rule = func(u *url.URL) Rule {
					if u.String() != config.URL {
						t.Errorf("asked for the rule of %s", u)
					}
					return row.rule
				}
				ctx, stop := context.WithCancel(t.Context())
				began := time.Now()
				r.Ended = func(Transfer) { stop() }
				must(turns(ctx, r))
				if got, took := q.List()[0], time.Since(began); got.Failure != row.want || took != row.after && (row.after >= 0 || took < time.Minute) {
					t.Errorf("%v (%s) after %v", got.Failure, got.Text, took)
				}
				// S003-09, S003-22: a line for the request and one for what became of it,
				// under one id, with how long it took; a time-out is called one.
				text := log.String()
				want := []string{"msg=request id=transfer-1", "msg=answer id=transfer-1"}
				if row.want != NoFailure {
					want = []string{"msg=request id=transfer-1", `msg="no answer" id=transfer-1`, "timeout=true", "after=" + row.rule.Response.String()}
					if row.rule.Response == 0 {
						want[3] = "after=1m0s"
					}
				}
				for _, w := range want {
					if !strings.Contains(text, w) {
						t.Errorf("no %s in the log:\n%s", w, text)
					}
				}
				time.Sleep(time.Hour) // the server ends, too
				synctest.Wait()
				// S003-16, S003-17: nothing goes out but what is on our list.
				list := []string{"User-Agent"}
				if row.order.Method == Upload {
					list = []string{"Content-Length", "Content-Type", "User-Agent"}
				}
				if row.rule.Closes {
					list = append([]string{"Connection"}, list...)
				}
				for _, h := range row.s.headers {
					if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, list) || h.Get("User-Agent") != "Gatehouse/test" {
						t.Errorf("headers %v", h)
					}
				}
			})
		})
	}
}
