package cwmp

// The HTTP side against servers that do what servers do.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/digest"
)

// exchange makes one exchange.
func exchange(t *testing.T, c *Client, body *Body) (string, error) {
	t.Helper()
	b, err := c.Exchange(t.Context(), body)
	return string(b), err
}

func testBody(t testing.TB) *Body {
	t.Helper()
	b, err := encode(t.Context(), dialect{4}, header{id: "1"}, testInform(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newClient(url string) *Client {
	return &Client{URL: url, Username: "cpe", Password: "secret"}
}

// TestRedirects: the POST goes again, as a POST, with the same body, and the
// new URL holds for the rest of the session.
func TestRedirects(t *testing.T) {
	for _, code := range []int{301, 302, 307, 308} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			second, there := newACS(t, informed, noContent)
			first, here := newACS(t, status(code, "Location", there.URL+"/new?a=b", "Set-Cookie", "old=1"))
			c := newClient(here.URL + "/acs")
			body := testBody(t)
			if _, err := exchange(t, c, body); err != nil {
				t.Fatal(err)
			}
			if _, err := exchange(t, c, nil); err != nil {
				t.Fatal(err)
			}
			p := second.seen()
			if p[0].body != first.seen()[0].body || p[0].path != "/new?a=b" || p[1].path != "/new?a=b" || p[1].body != "" {
				t.Errorf("posts %+v", p)
			}
			if p[0].header.Get("Cookie") != "old=1" { // same host: 127.0.0.1, another port
				t.Errorf("cookie %q", p[0].header.Get("Cookie"))
			}
		})
	}
}

func TestRedirectChain(t *testing.T) {
	hop := func(n int) step { return status(307, "Location", fmt.Sprintf("/hop%d", n)) }
	a, srv := newACS(t, hop(1), hop(2), hop(3), hop(4), hop(5), informed)
	c := newClient(srv.URL + "/acs")
	if _, err := exchange(t, c, testBody(t)); err != nil {
		t.Fatal(err)
	}
	for i, p := range a.seen() {
		if p.body != a.seen()[0].body || i > 0 && p.path != fmt.Sprintf("/hop%d", i) || p.remote != a.seen()[0].remote {
			t.Errorf("hop %d: %+v", i, p)
		}
	}
	a, srv = newACS(t, hop(1), hop(1), hop(1), hop(1), hop(1), hop(1))
	var re *RedirectError
	if _, err := exchange(t, newClient(srv.URL), testBody(t)); !errors.As(err, &re) || len(a.seen()) != 6 {
		t.Errorf("loop: %v after %d posts", err, len(a.seen()))
	}
}

func TestRedirectsRefused(t *testing.T) {
	for location, word := range map[string]string{
		"": "no Location", "ftp://x/": "not an http", "http://": "not an http", "http://%zz/": "not a URL", "javascript:alert(1)": "not an http",
	} {
		_, srv := newACS(t, status(302, "Location", location))
		if _, err := exchange(t, newClient(srv.URL), nil); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v", location, err)
		}
	}
	srv := httptest.NewTLSServer(status(302, "Location", "http://127.0.0.1:1/").handler())
	defer srv.Close()
	c := newClient(srv.URL)
	c.TLS = srv.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := exchange(t, c, nil); err == nil || !strings.Contains(err.Error(), "leaves TLS") {
		t.Errorf("https to http: %v", err)
	}
}

func (s step) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s(w, post{}) })
}

// TestCredentialsStayAtHome: a host that we are redirected to gets none unless
// it asks, and Basic in clear not even then.
func TestCredentialsStayAtHome(t *testing.T) {
	basic := status(401, "WWW-Authenticate", `Basic realm="x"`)
	foreign, there := newACS(t, basic)
	home, here := newACS(t, basic, status(307, "Location", strings.Replace(there.URL, "127.0.0.1", "localhost", 1)))
	c := newClient(here.URL)
	c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, strings.Replace(addr, "localhost", "127.0.0.1", 1))
	}
	_, err := exchange(t, c, testBody(t))
	if !errors.Is(err, digest.ErrBasicForbidden) {
		t.Errorf("error %v", err)
	}
	if got := home.seen()[1].header.Get("Authorization"); got != "Basic Y3BlOnNlY3JldA==" {
		t.Errorf("home got %q", got)
	}
	if got := foreign.seen()[0].header.Get("Authorization"); got != "" {
		t.Errorf("the foreign host got %q unasked", got)
	}
	if got := foreign.seen()[0].header.Get("Cookie"); got != "" {
		t.Errorf("the foreign host got cookies %q", got)
	}
}

const (
	digestN1 = `Digest realm="acs", nonce="N1", qop="auth"`
	digestN2 = `Digest realm="acs", nonce="N2", qop="auth"`
)

// TestAuthentication runs through challenges at every point of a session.
func TestAuthentication(t *testing.T) {
	challenge := func(v string, more ...string) step {
		return status(401, append([]string{"WWW-Authenticate", v}, more...)...)
	}
	tests := map[string]struct {
		steps []step
		nonce string // of the last POST, "" if none
		err   error
	}{
		// S002-15: a new nonce for every 401.
		"fresh_nonce_in_mid_session": {[]step{challenge(digestN1), informed, challenge(digestN2), noContent}, "N2", nil},
		"stale_at_once":              {[]step{challenge(digestN1), challenge(digestN2 + `, stale=true`), informed, noContent}, "N2", nil},
		"nextnonce": {[]step{challenge(digestN1), func(w http.ResponseWriter, p post) {
			w.Header().Set("Authentication-Info", `nextnonce="N9"`)
			informed(w, p)
		}, noContent}, "N9", nil},
		"never_asked":    {[]step{informed, noContent}, "", nil},
		"wrong_password": {[]step{challenge(digestN1), challenge(digestN2)}, "", digest.ErrRefused},
		"wrong_password_in_mid_session": {[]step{challenge(digestN1), informed, challenge(digestN2), challenge(digestN1)}, "",
			digest.ErrRefused},
		"stale_for_ever": {[]step{challenge(digestN1), challenge(digestN1 + ",stale=true"), challenge(digestN1 + ",stale=true"),
			challenge(digestN1 + ",stale=true"), challenge(digestN1 + ",stale=true")}, "", digest.ErrRefused},
		"no_challenge":      {[]step{status(401)}, "", digest.ErrNoChallenge},
		"downgrade_refused": {[]step{challenge(digestN1), informed, challenge(`Basic realm="acs"`)}, "", digest.ErrBasicForbidden},
		"two_challenges":    {[]step{challenge(`Basic realm="x"`, "WWW-Authenticate", digestN1), informed, noContent}, "N1", nil},
		"other_connection":  {[]step{challenge(digestN1, "Connection", "close"), informed, noContent}, "N1", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, srv := newACS(t, tt.steps...)
			c := newClient(srv.URL + "/acs")
			_, err := exchange(t, c, testBody(t))
			if err == nil {
				_, err = exchange(t, c, nil)
			}
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v", err)
			}
			var he *HTTPError
			if err != nil && (!errors.As(err, &he) || he.Status != 401 || strings.Contains(err.Error(), "secret")) {
				t.Errorf("error %v", err)
			}
			last := a.seen()[len(a.seen())-1].header.Get("Authorization")
			if got := between(last, `nonce="`, `"`); err == nil && got != tt.nonce {
				t.Errorf("last Authorization: %s", last)
			}
			if same := a.seen()[0].remote == a.seen()[len(a.seen())-1].remote; same == (name == "other_connection") {
				t.Errorf("same connection: %t", same)
			}
		})
	}
}

// TestLargeRefusal: a 401 with a page of HTML is drained, so that the answer
// goes over the same connection (FRITZ!Box, genieacs#364).
func TestLargeRefusal(t *testing.T) {
	a, srv := newACS(t, func(w http.ResponseWriter, _ post) {
		w.Header().Set("WWW-Authenticate", digestN1)
		w.WriteHeader(401)
		for range 50 {
			io.WriteString(w, strings.Repeat("<p>no</p>", 1000))
		}
	}, informed)
	if _, err := exchange(t, newClient(srv.URL), testBody(t)); err != nil {
		t.Fatal(err)
	}
	if a.seen()[0].remote != a.seen()[1].remote {
		t.Error("answered over another connection")
	}
}

// TestAuthInt: the body is hashed as it is sent.
func TestAuthInt(t *testing.T) {
	a, srv := newACS(t, status(401, "WWW-Authenticate", `Digest realm="acs", nonce="N1", qop="auth-int"`), informed, noContent)
	c := newClient(srv.URL + "/acs")
	for _, b := range []*Body{testBody(t), nil} {
		if _, err := exchange(t, c, b); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range a.seen()[1:] {
		auth := p.header.Get("Authorization")
		want := md5sum(strings.Join([]string{md5sum("cpe:acs:secret"), "N1", fmt.Sprintf("%08x", i+1),
			between(auth, `cnonce="`, `"`), "auth-int", md5sum("POST:/acs:" + md5sum(p.body))}, ":"))
		if got := between(auth, `response="`, `"`); got != want {
			t.Errorf("POST %d: %s", i, auth)
		}
	}
}

func TestHTTPErrors(t *testing.T) {
	long := strings.Repeat("x", 500)
	tests := map[string]struct {
		step step
		want HTTPError
		text string
	}{
		// S002-18: 403 refuses the device.
		"forbidden":         {status(403), HTTPError{Status: 403}, "the ACS answers 403 Forbidden"},
		"overload":          {status(503, "Retry-After", "60"), HTTPError{Status: 503, RetryAfter: time.Minute}, "retry after 1m0s"},
		"overload_by_date":  {status(503, "Retry-After", "Sat, 21 Nov 2026 12:02:00 GMT", "Date", "Sat, 21 Nov 2026 12:00:00 GMT"), HTTPError{Status: 503, RetryAfter: 2 * time.Minute}, "503"},
		"overload_forever":  {status(503, "Retry-After", "99999999"), HTTPError{Status: 503, RetryAfter: maxRetryAfter}, "503"},
		"overload_nonsense": {status(503, "Retry-After", "soon"), HTTPError{Status: 503}, "503"},
		"genieacs_session": {func(w http.ResponseWriter, _ post) {
			w.WriteHeader(400)
			io.WriteString(w, "Invalid session\nmore")
		}, HTTPError{Status: 400, Text: "Invalid session"}, `400 Bad Request: "Invalid session"`},
		"long_text": {func(w http.ResponseWriter, _ post) {
			w.WriteHeader(500)
			io.WriteString(w, long)
		}, HTTPError{Status: 500, Text: long[:120]}, "500 Internal Server Error"},
		"html":         {func(w http.ResponseWriter, _ post) { w.Header().Set("Content-Type", "text/html"); w.WriteHeader(404) }, HTTPError{Status: 404}, "404 Not Found"},
		"see_other":    {status(303, "Location", "/x"), HTTPError{Status: 303}, "303"},
		"not_modified": {status(304), HTTPError{Status: 304}, "304"},
		"unsupported":  {status(415), HTTPError{Status: 415}, "415"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, srv := newACS(t, tt.step)
			_, err := exchange(t, newClient(srv.URL), testBody(t))
			var he *HTTPError
			if !errors.As(err, &he) || *he != tt.want || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, %+v", err, he)
			}
		})
	}
}

// S003-25: without keep-alive every POST says so and has its own connection;
// the session's cookie goes on.
func TestWithoutKeepAlive(t *testing.T) {
	a, srv := newACS(t, status(200, "Set-Cookie", "s=1"), noContent)
	c := newClient(srv.URL)
	c.Closes = true
	for range 2 {
		if _, err := exchange(t, c, testBody(t)); err != nil {
			t.Fatal(err)
		}
	}
	p := a.seen()
	if len(p) != 2 || p[0].header.Get("Connection") != "close" || p[1].header.Get("Connection") != "close" || p[0].remote == p[1].remote {
		t.Errorf("%+v", p)
	}
	if p[1].header.Get("Cookie") != "s=1" {
		t.Errorf("cookie %q", p[1].header.Get("Cookie"))
	}
}

// TestConnectionCloses: an ACS that ends the connection after each answer has
// its session all the same (TR-069 3.4.2).
func TestConnectionCloses(t *testing.T) {
	closing := func(s step) step {
		return func(w http.ResponseWriter, p post) { w.Header().Set("Connection", "close"); s(w, p) }
	}
	a, srv := newACS(t, closing(informed), closing(ask("1", rReboot)), closing(noContent))
	s, _, _ := testSession(srv.URL)
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.seen()[0].remote == a.seen()[1].remote {
		t.Error("the connection was not closed")
	}
}

// TestCnoncePerConnection: credentials go on over a new connection, the nonce
// counted on, with a cnonce of its own (TR-069 3.4.5).
func TestCnoncePerConnection(t *testing.T) {
	closing := func(s step) step {
		return func(w http.ResponseWriter, p post) { w.Header().Set("Connection", "close"); s(w, p) }
	}
	challenge := closing(status(401, "WWW-Authenticate", digestN1))
	a, srv := newACS(t, challenge, closing(informed), closing(ask("1", rReboot)), noContent)
	s, client, _ := testSession(srv.URL)
	client.Username, client.Password = "u", "p"
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, p := range a.seen()[1:] {
		auth := p.header.Get("Authorization")
		cnonce := between(auth, `cnonce="`, `"`)
		if want := fmt.Sprintf("nc=%08x", i+1); cnonce == "" || seen[cnonce] || !strings.Contains(auth, want) {
			t.Errorf("POST %d: want %s and a new cnonce in %s", i+1, want, auth)
		}
		seen[cnonce] = true
	}
}

// TestDeadKeepAlive: a connection that the ACS closed in between costs one
// repetition, with the same bytes; a long list is replayed too.
func TestDeadKeepAlive(t *testing.T) {
	a := &acs{t: t, steps: []step{informed, informed}}
	idle := make(chan net.Conn, 1)
	srv := httptest.NewUnstartedServer(a)
	srv.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateIdle {
			c.Close()
			idle <- c
		}
	}
	srv.Start()
	t.Cleanup(func() { srv.Close(); a.done() })
	c := newClient(srv.URL)
	if _, err := exchange(t, c, testBody(t)); err != nil {
		t.Fatal(err)
	}
	<-idle
	values := make([]ParameterValue, 5000)
	for i := range values {
		values[i] = ParameterValue{fmt.Sprintf("Device.Hosts.Host.%d.HostName", i), strings.Repeat("n", 60), "xsd:string"}
	}
	body, err := encode(t.Context(), dialect{4}, header{id: "1"}, GetParameterValuesResponse{seq(values...)}, 1<<24)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(t, c, body); err != nil {
		t.Fatal(err)
	}
	if a.seen()[1].body != read(t, body) || a.seen()[0].remote == a.seen()[1].remote {
		t.Error("the repetition differs, or went over the same connection")
	}
}

// TestHangUp: an ACS that takes a POST and hangs up is asked no second time
// over a new connection: it may have acted.
func TestHangUp(t *testing.T) {
	hang := func(w http.ResponseWriter, _ post) { panic(http.ErrAbortHandler) }
	a, srv := newACS(t, hang)
	if _, err := exchange(t, newClient(srv.URL), testBody(t)); err == nil || len(a.seen()) != 1 {
		t.Errorf("error %v, %d posts", err, len(a.seen()))
	}
	// Over a kept-alive connection nobody can tell; one repetition, then the end.
	a, srv = newACS(t, informed, hang, hang)
	c := newClient(srv.URL)
	if _, err := exchange(t, c, testBody(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(t, c, nil); err == nil || len(a.seen()) != 3 {
		t.Errorf("error %v, %d posts", err, len(a.seen()))
	}
}

func TestBadURL(t *testing.T) {
	for _, u := range []string{"", "acs.example.net", "ftp://x/", "http://", "://", "http://a b/", "https://u:hunter2@%/"} {
		_, err := exchange(t, newClient(u), nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", u, err)
		}
	}
}

// TestSecretsDoNotPrint looks at everything under every verb.
func TestSecretsDoNotPrint(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, srv := newACS(t, status(401, "WWW-Authenticate", `Basic realm="x"`), informed,
		ask("1", `<c:SetParameterValues><ParameterList><s><Name>Device.WiFi.AccessPoint.1.Security.KeyPassphrase</Name><Value>hunter2</Value></s></ParameterList><ParameterKey/></c:SetParameterValues>`),
		ask("2", `<c:Download><CommandKey/><FileType>1 x</FileType><URL>http://f</URL><Username/><Password>hunter2</Password></c:Download>`), noContent)
	s, c, handled := testSession(srv.URL)
	c.Password, c.Log, s.Log = "hunter2", logger, logger
	s.Dump = func(sent bool, envelope string) { fmt.Fprintln(&log, sent, envelope) }
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&log, verb+"\n", c)
		fmt.Fprintf(&log, verb+"\n", handled.requests[1])
		if verb != "%#v" { // Go syntax of a text shows it; nobody logs that
			fmt.Fprintf(&log, verb+"\n", handled.requests[0])
		}
	}
	if i := strings.Index(log.String(), "hunter2"); i >= 0 {
		t.Errorf("leaked: …%s", log.String()[max(0, i-200):i+8])
	}
	for _, want := range []string{"in clear", "***", "session=f00dcafe", "KeyPassphrase"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// TestHTTP10: an ACS behind an old server.
func TestHTTP10(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\n"+soap("", rInformed))
		}
	}()
	got, err := exchange(t, newClient("http://"+l.Addr().String()), nil)
	if err != nil || !strings.Contains(got, "InformResponse") {
		t.Errorf("%q, %v", got, err)
	}
	<-done
}
