package cwmp

// Bodies that are compressed, cut short, or never end.

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestBrokenReplies: replies that end early, or do not end.
func TestBrokenReplies(t *testing.T) {
	raw := func(s string) step {
		return func(w http.ResponseWriter, _ post) {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			rw.WriteString(s)
			rw.Flush()
			conn.Close()
		}
	}
	tests := map[string]struct {
		step step
		want error
		word string
	}{
		"cut_short":      {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<a"), io.ErrUnexpectedEOF, "broke off"},
		"cut_in_chunk":   {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n<a"), io.ErrUnexpectedEOF, "broke off"},
		"not_http":       {raw("SSH-2.0-OpenSSH_9\r\n"), nil, "malformed"},
		"header_bomb":    {raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 50_000) + "\r\n"), nil, "headers exceeded"},
		"too_long":       {answer(strings.Repeat(" ", 2<<20)), ErrTooLong, "1048576"},
		"unknown_coding": {status(200, "Content-Encoding", "br"), nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, srv := newACS(t, tt.step)
			_, err := exchange(t, newClient(srv.URL), testBody(t))
			if name == "unknown_coding" {
				if err != nil {
					t.Errorf("an empty body needs no decoding: %v", err)
				}
				return
			}
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.word) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func compress(t *testing.T, coding, s string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, 5)
	}
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.String()
}

func TestCompressedReplies(t *testing.T) {
	reply := func(header, body string) step {
		return func(w http.ResponseWriter, p post) { w.Header().Set("Content-Encoding", header); answer(body)(w, p) }
	}
	const text = "<some>envelope</some>"
	for name, s := range map[string]step{
		"gzip": reply("gzip", compress(t, "gzip", text)), "x-gzip": reply("X-GZIP", compress(t, "gzip", text)),
		"deflate": reply("deflate", compress(t, "deflate", text)), "raw_deflate": reply("deflate", compress(t, "raw", text)),
		"identity": reply("identity", text), "twice": reply("deflate, gzip", compress(t, "gzip", compress(t, "deflate", text))),
	} {
		_, srv := newACS(t, s)
		if got, err := exchange(t, newClient(srv.URL), nil); got != text || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, s := range map[string]step{
		"bomb":      reply("gzip", compress(t, "gzip", strings.Repeat("x", 4<<20))),
		"bomb_2":    reply("gzip, gzip", compress(t, "gzip", compress(t, "gzip", strings.Repeat("x", 4<<20)))),
		"thrice":    reply("gzip, gzip, gzip", "x"),
		"garbage":   reply("gzip", "garbage"),
		"truncated": reply("gzip", compress(t, "gzip", text)[:20]),
		"unknown":   reply("br", text),
	} {
		_, srv := newACS(t, s)
		if got, err := exchange(t, newClient(srv.URL), nil); err == nil {
			t.Errorf("%s: read as %d bytes", name, len(got))
		}
	}
}

// TestCompressedRequests: the coding that is configured is used, the same bytes
// go out again after a 401, and after a 415 nothing is compressed any more.
func TestCompressedRequests(t *testing.T) {
	plain := answer(soap("", rInformed))
	for setting, coding := range map[string]string{"GZIP": "gzip", "Deflate": "deflate"} {
		a, srv := newACS(t, status(401, "WWW-Authenticate", digestN1), plain, status(415), plain, plain)
		c := newClient(srv.URL)
		c.Compression = setting
		body := testBody(t)
		for range 3 {
			if _, err := exchange(t, c, body); err != nil {
				t.Fatalf("%s: %v", setting, err)
			}
		}
		want := read(t, body)
		for i, coding := range []string{coding, coding, coding, "", ""} {
			p := a.seen()[i]
			got := p.header.Get("Content-Encoding")
			text, err := decodeBody(got, []byte(p.body), 1<<20)
			if got != coding || err != nil || string(text) != want || p.length != int64(len(p.body)) {
				t.Errorf("%s: POST %d in %q, want %q; %v", setting, i, got, coding, err)
			}
		}
	}
	for _, setting := range []string{"Compress", "Disabled", "NONE"} {
		a, srv := newACS(t, plain)
		c := newClient(srv.URL)
		c.Compression = setting
		if _, err := exchange(t, c, testBody(t)); err != nil || a.seen()[0].header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// FuzzReply: the HTTP headers of an ACS and its coded bodies, whatever they
// hold, stay within bounds, and what we send because of them is a header.
func FuzzReply(f *testing.F) {
	f.Add("session=abc; Path=/", "60", "gzip", []byte("x"))
	f.Add(`a="b c"; Expires=Thu, 01 Jan 1970 00:00:00 GMT; max-age=-1; path=`, "Sat, 21 Nov 2026 12:02:00 GMT", "deflate, gzip", []byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, cookie, retry, coding string, body []byte) {
		var j jar
		h := http.Header{"Set-Cookie": {cookie, cookie + "2"}, "Retry-After": {retry}, "Date": {"Sat, 21 Nov 2026 12:00:00 GMT"}}
		j.store("h", h)
		if got := j.header(&url.URL{Host: "h", Path: "/a"}); strings.ContainsAny(got, "\r\n\x00") || len(got) > 2*maxJarBytes {
			t.Fatalf("Cookie: %q", got)
		}
		if d := retryAfter(h); d < 0 || d > maxRetryAfter {
			t.Fatalf("Retry-After %q is %s", retry, d)
		}
		if b, err := decodeBody(coding, body, 1000); err == nil && len(b) > max(1000, len(body)) {
			t.Fatalf("%d bytes", len(b))
		}
	})
}
