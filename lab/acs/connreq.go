package acs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Style is whose manners a connection request has.
type Style int

const (
	// GenieACS's client: a GET without credentials, then the same with Digest on
	// the same connection, always nc=00000001; commas split the challenge; two
	// seconds of patience; one more try when the connection closed after the 401.
	GenieACS Style = iota
	// Curl as `curl --digest`: its own header fields, any challenge it understands.
	Curl
)

// ConnectionRequest is one HTTP connection request (TR-069 3.2.2).
type ConnectionRequest struct {
	URL                string
	Username, Password string
	Style              Style
	Timeout            time.Duration // 2 s when zero, as GenieACS
	Dial               func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Reached is how a CPE answered a connection request.
type Reached struct {
	Status     int      // of the last answer
	Statuses   []int    // of all answers
	Challenge  string   // WWW-Authenticate of the 401
	Sockets    int      // TCP connections it took
	Violations []string // what was wrong with the answers
	Took       time.Duration
}

// OK tells whether the CPE has taken the request.
func (r Reached) OK() bool { return r.Status == http.StatusOK || r.Status == http.StatusNoContent }

// maxAnswer bounds the body of an answer to a connection request.
const maxAnswer = 64 << 10

// Send sends the request. An error means that there was no answer at all.
func (c ConnectionRequest) Send(ctx context.Context) (Reached, error) {
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return Reached{}, fmt.Errorf("connection request URL: %w", err)
	}
	if u.Scheme != "http" || u.Host == "" {
		return Reached{}, fmt.Errorf("connection request URL %q is not http", c.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	begin := time.Now()
	k := &knock{c: c, url: u}
	defer k.close()
	err = k.run(ctx)
	k.got.Took = time.Since(begin)
	return k.got, err
}

// knock is a connection request under way.
type knock struct {
	c    ConnectionRequest
	url  *url.URL
	conn net.Conn
	rd   *bufio.Reader
	got  Reached
}

func (k *knock) close() {
	if k.conn != nil {
		k.conn.Close()
	}
}

func (k *knock) bad(format string, args ...any) {
	k.got.Violations = append(k.got.Violations, fmt.Sprintf(format, args...))
}

// run does the one or two GETs.
func (k *knock) run(ctx context.Context) error {
	resp, err := k.get(ctx, "")
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		if err == nil && k.got.OK() {
			k.bad("let in without credentials (TR-069 3.2.2: authentication is mandatory)")
		}
		return err
	}
	k.got.Challenge = resp.Header.Get("WWW-Authenticate")
	k.checkChallenge()
	auth, err := k.answer(k.got.Challenge)
	if err != nil {
		return err
	}
	if resp.Close {
		k.bad("the connection is closed after the 401 (genieacs 573d38f)")
		k.close()
		k.conn = nil
	}
	_, err = k.get(ctx, auth)
	if err != nil && ctx.Err() == nil && k.got.Sockets == 1 {
		k.bad("the connection was closed after the 401 (genieacs 573d38f)")
		k.close()
		k.conn = nil
		_, err = k.get(ctx, auth) // GenieACS tries once more
	}
	return err
}

// get sends one GET and reads its answer.
func (k *knock) get(ctx context.Context, auth string) (*http.Response, error) {
	if k.conn == nil {
		host := k.url.Host
		if k.url.Port() == "" {
			host = net.JoinHostPort(k.url.Hostname(), "80")
		}
		conn, err := k.c.Dial(ctx, "tcp", host)
		if err != nil {
			return nil, fmt.Errorf("connection request: %w", err)
		}
		k.conn, k.rd = conn, bufio.NewReader(conn)
		k.got.Sockets++
	}
	if t, ok := ctx.Deadline(); ok {
		k.conn.SetDeadline(t)
	}
	defer context.AfterFunc(ctx, func() { k.conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(k.conn, k.request(auth)); err != nil {
		return nil, fmt.Errorf("connection request: %w", err)
	}
	resp, err := http.ReadResponse(k.rd, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, fmt.Errorf("connection request: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("connection request: %w", err)
	}
	k.got.Status = resp.StatusCode
	k.got.Statuses = append(k.got.Statuses, resp.StatusCode)
	if k.got.OK() && len(body) > 0 {
		k.bad("%d bytes of body in the %d", len(body), resp.StatusCode)
	}
	if k.got.OK() && resp.StatusCode == http.StatusOK && resp.ContentLength != 0 {
		k.bad("the 200 does not say Content-Length: 0")
	}
	return resp, nil
}

func (k *knock) request(auth string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\n", k.url.RequestURI(), k.url.Host)
	if auth != "" {
		b.WriteString("Authorization: " + auth + "\r\n")
	}
	if k.c.Style == Curl {
		b.WriteString("User-Agent: curl/7.88.1\r\nAccept: */*\r\n")
	} else {
		b.WriteString("Connection: keep-alive\r\n")
	}
	return b.String() + "\r\n"
}

// checkChallenge looks for what the clients in the field need.
func (k *knock) checkChallenge() {
	ch, err := parseChallenge(k.got.Challenge)
	switch {
	case err != nil:
		k.bad("challenge %q: %v", k.got.Challenge, err)
	case ch["qop"] != "auth":
		k.bad(`qop is %q; GenieACS needs a single "auth"`, ch["qop"])
	case strings.Contains(k.got.Challenge, `\`):
		k.bad("a backslash in the challenge, which GenieACS cannot read")
	}
}

// answer computes the Authorization for a challenge.
func (k *knock) answer(challenge string) (string, error) {
	ch, err := parseChallenge(challenge)
	if err != nil {
		return "", fmt.Errorf("challenge of the connection request: %w", err)
	}
	const nc = "00000001"
	h := hashOf(ch["algorithm"])
	uri, cnonce := k.url.RequestURI(), token()[:16]
	ha1 := h(k.c.Username + ":" + ch["realm"] + ":" + k.c.Password)
	if strings.HasSuffix(strings.ToLower(ch["algorithm"]), "-sess") {
		ha1 = h(ha1 + ":" + ch["nonce"] + ":" + cnonce)
	}
	ha2 := h("GET:" + uri)
	parts := []string{
		"username=" + quote(k.c.Username), "realm=" + quote(ch["realm"]),
		"nonce=" + quote(ch["nonce"]), "uri=" + quote(uri),
	}
	if ch["qop"] == "" {
		parts = append(parts, "response="+quote(h(ha1+":"+ch["nonce"]+":"+ha2)))
	} else {
		response := h(strings.Join([]string{ha1, ch["nonce"], nc, cnonce, "auth", ha2}, ":"))
		parts = append(parts, "qop=auth", "nc="+nc, "cnonce="+quote(cnonce), "response="+quote(response))
	}
	for _, same := range []string{"algorithm", "opaque"} {
		if v, ok := ch[same]; ok && same == "opaque" {
			parts = append(parts, same+"="+quote(v))
		} else if ok {
			parts = append(parts, same+"="+v)
		}
	}
	return "Digest " + strings.Join(parts, ", "), nil
}

// parseChallenge reads a challenge as GenieACS does: split at commas, each part
// at its first equals sign, quoted values unquoted.
func parseChallenge(header string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(header, "Digest ")
	if !ok {
		return nil, errors.New("not Digest")
	}
	all := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, fmt.Errorf("no value in %q: is there a comma inside quotes?", part)
		}
		if strings.HasPrefix(value, `"`) {
			var err error
			if value, err = strconv.Unquote(value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		all[name] = value
	}
	if all["nonce"] == "" || all["realm"] == "" {
		return nil, errors.New("realm or nonce is missing")
	}
	return all, nil
}

// ConnectionRequest calls the device key (DeviceID.Key) to a session, at the
// URL of its latest Inform, in the manner of GenieACS. What is wrong with the
// answers becomes violations, so does an Inform with 6 CONNECTION REQUEST
// that comes before the answer.
func (s *Server) ConnectionRequest(ctx context.Context, key, username, password string) (Reached, error) {
	s.mu.Lock()
	d := s.devices[key]
	url := ""
	if d != nil {
		url = d.ConnectionRequestURL
	}
	s.mu.Unlock()
	if url == "" {
		return Reached{}, fmt.Errorf("device %q has told no ConnectionRequestURL", key)
	}
	return s.Knock(ctx, key, ConnectionRequest{URL: url, Username: username, Password: password})
}

// Knock is ConnectionRequest with everything chosen by the caller.
func (s *Server) Knock(ctx context.Context, key string, c ConnectionRequest) (Reached, error) {
	if c.Dial == nil {
		c.Dial = s.o.Dial
	}
	s.mu.Lock()
	s.knocking[key]++
	s.mu.Unlock()
	s.note(Note{Device: key, Summary: "connection request to " + c.URL})
	got, err := c.Send(ctx)
	s.mu.Lock()
	s.knocking[key]--
	s.mu.Unlock()
	for _, v := range got.Violations {
		s.fault(nil, RuleReach, "TR-069 3.2.2", "%s: %s", key, v)
	}
	if err != nil {
		s.note(Note{Device: key, Summary: "connection request failed: " + err.Error()})
		return got, err
	}
	s.note(Note{Device: key, Status: got.Status, Summary: fmt.Sprintf("connection request answered %v in %v", got.Statuses, got.Took.Round(time.Millisecond))})
	return got, nil
}

// reachGrace is how much later than the Inform the answer to a connection
// request may be read here, although it was sent first: two connections race.
const reachGrace = 20 * time.Millisecond

// checkReach tells of a session that was opened before the connection request
// which caused it had its answer (qacafe: connection request timing bug).
func (r *run) checkReach(p *post, i *Inform) {
	key := i.Device.Key()
	early := func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return i.Has("6 CONNECTION REQUEST") && r.s.knocking[key] > 0
	}
	if early() && p.sleep(reachGrace) && early() {
		r.s.fault(r, RuleReach, "TR-069 3.2.2", "the session begins before the connection request is answered")
	}
}
