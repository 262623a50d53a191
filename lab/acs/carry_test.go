package acs

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Each way of carrying an answer does what its name says, and the envelope that
// a patient reader gets is whole.
func TestWire(t *testing.T) {
	unzip := func(r io.Reader, err error) string {
		if err != nil {
			return err.Error()
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	for _, row := range []struct {
		knob  string
		check func(resp *http.Response, body string, took time.Duration, c *cpe) (envelope string, ok bool)
	}{
		{"chunked=7", func(r *http.Response, body string, _ time.Duration, _ *cpe) (string, bool) {
			return body, len(r.TransferEncoding) == 1 && r.ContentLength < 0
		}},
		{"coding=gzip", func(r *http.Response, body string, _ time.Duration, _ *cpe) (string, bool) {
			return unzip(gzip.NewReader(strings.NewReader(body))), r.Header.Get("Content-Encoding") == "gzip"
		}},
		{"coding=deflate", func(r *http.Response, body string, _ time.Duration, _ *cpe) (string, bool) {
			return unzip(zlib.NewReader(strings.NewReader(body))), r.Header.Get("Content-Encoding") == "deflate"
		}},
		{"coding=raw-deflate", func(r *http.Response, body string, _ time.Duration, _ *cpe) (string, bool) {
			return unzip(flate.NewReader(strings.NewReader(body)), nil), r.Header.Get("Content-Encoding") == "deflate"
		}},
		{"slow=10ms", func(_ *http.Response, body string, took time.Duration, _ *cpe) (string, bool) {
			return body, took >= time.Duration(len(body))*10*time.Millisecond
		}},
		{"close=politely", func(r *http.Response, body string, _ time.Duration, _ *cpe) (string, bool) { return body, r.Close }},
		{"close=after", func(r *http.Response, body string, _ time.Duration, c *cpe) (string, bool) {
			return body, !r.Close && ended(c)
		}},
		{"half-close", func(r *http.Response, body string, _ time.Duration, c *cpe) (string, bool) {
			_, err := io.WriteString(c.conn, "still open")
			return body, !r.Close && ended(c) && err == nil
		}},
	} {
		t.Run(row.knob, func(t *testing.T) {
			var o Options
			if err := o.Apply(row.knob); err != nil {
				t.Fatal(err)
			}
			bench(t, o, func(t *testing.T, s *Server, c *cpe) {
				begin := time.Now()
				resp, body := c.post(goodInform().String())
				text, ok := row.check(resp, body, time.Since(begin), c)
				if m, err := readMessage([]byte(text)); !ok || err != nil || m.Method != "InformResponse" {
					t.Errorf("%t, %v: %v %q", ok, err, resp.Header, body)
				}
			})
		})
	}
}

// ended tells whether our side reads the end of the connection.
func ended(c *cpe) bool {
	c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	_, err := c.rd.ReadByte()
	return err == io.EOF
}

// What is nothing can be said in several ways.
func TestNothing(t *testing.T) {
	for knob, want := range map[string]int{"nothing=200": 200, "nothing=202": 202, "blank": 200, "": 204} {
		var o Options
		if err := o.Apply(knob); err != nil {
			t.Fatal(err)
		}
		bench(t, o, func(t *testing.T, s *Server, c *cpe) {
			c.want(200, goodInform().String())
			resp, body := c.post("")
			if resp.StatusCode != want || strings.TrimSpace(body) != "" || (knob == "blank") != (body != "") {
				t.Errorf("%s: %d %q", knob, resp.StatusCode, body)
			}
			clean(t, s)
		})
	}
}

// An element out of order, a text of its own with a status, a counted redirect
// and challenges in every shape reach the CPE as they were asked for.
func TestKnobsOnTheWire(t *testing.T) {
	for knob, want := range map[string]string{
		"say=RebootResponse":           "<cwmp:RebootResponse></cwmp:RebootResponse>",
		"already":                      "CPE already in session",
		"body=<a>":                     "<a>",
		"status=418":                   "chaos",
		"fault=8001,broken-fault":      "<soap-env:Body:Fault>",
		"fault=8003":                   "<FaultCode>8003</FaultCode>",
		"prefix=SOAP-ENV,comments,bom": "<SOAP-ENV:Body>",
	} {
		var o Options
		if err := o.Apply(knob); err != nil {
			t.Fatal(err)
		}
		bench(t, o, func(t *testing.T, _ *Server, c *cpe) {
			if _, body := c.post(goodInform().String()); !strings.Contains(body, want) {
				t.Errorf("%s: %s", knob, body)
			}
		})
	}
	bench(t, Options{Chaos: Chaos{Inform: Trouble{Redirect: "/hop{n}", Skip: 1}}}, func(t *testing.T, _ *Server, c *cpe) {
		for _, want := range []string{"", "/hop1", "/hop2"} {
			resp, _ := c.post(goodInform().String())
			if got := resp.Header.Get("Location"); got != want {
				t.Errorf("redirected to %q, want %q", got, want)
			}
			c.bye()
		}
	})
	for name, shape := range ChallengeShapes {
		o := Options{Auth: AuthDigest}
		if err := o.Apply("realm=R,challenge=" + name); err != nil {
			t.Fatal(err)
		}
		bench(t, o, func(t *testing.T, _ *Server, c *cpe) {
			resp, _ := c.post(goodInform().String())
			if n := len(resp.Header["Www-Authenticate"]); resp.StatusCode != 401 || shape != "" && n != strings.Count(shape, "\n")+1 {
				t.Errorf("%s: %d with %q", name, resp.StatusCode, resp.Header["Www-Authenticate"])
			}
			if text := strings.Join(resp.Header["Www-Authenticate"], "\n"); strings.ContainsAny(text, "{}") || bytes.Count([]byte(shape), []byte("{realm}")) > 0 && !strings.Contains(text, `"R"`) {
				t.Errorf("%s: %s", name, text)
			}
		})
	}
}
