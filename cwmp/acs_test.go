package cwmp

// A scripted ACS for the tests: it writes its envelopes by hand and shares
// nothing with the code that it checks.

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A post is what the ACS was sent.
type post struct {
	header http.Header
	body   string
	remote string // address and port: tells connections apart
	path   string
	length int64
	te     []string // Transfer-Encoding
	proto  string
}

// id returns the cwmp:ID of an envelope of ours.
func (p post) id() string { return between(p.body, `mustUnderstand="1">`, "<") }

func between(s, from, to string) string {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	s, _, _ = strings.Cut(s, to)
	return s
}

// A step answers one POST.
type step func(w http.ResponseWriter, p post)

// An acs answers one POST after the other with the next step.
type acs struct {
	t     testing.TB
	mu    sync.Mutex
	steps []step
	posts []post
}

func (a *acs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	p := post{r.Header.Clone(), string(body), r.RemoteAddr, r.URL.RequestURI(), r.ContentLength, r.TransferEncoding, r.Proto}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.t.Errorf("reading a POST: %v", err)
	}
	a.posts = append(a.posts, p)
	if len(a.steps) == 0 {
		a.t.Errorf("one POST too many: %.300s", p.body)
		w.WriteHeader(http.StatusGone)
		return
	}
	next := a.steps[0]
	a.steps = a.steps[1:]
	next(w, p)
}

// newACS starts an ACS that wants to see every step taken.
func newACS(t testing.TB, steps ...step) (*acs, *httptest.Server) {
	t.Helper()
	a := &acs{t: t, steps: steps}
	s := httptest.NewServer(a)
	t.Cleanup(func() {
		s.Close()
		a.done()
	})
	return a, s
}

func (a *acs) done() {
	if len(a.steps) > 0 {
		a.t.Errorf("%d steps of the ACS were never reached", len(a.steps))
	}
}

// seen is what the ACS was sent so far.
func (a *acs) seen() []post {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.posts[:len(a.posts):len(a.posts)]
}

func answer(s string) step {
	return func(w http.ResponseWriter, _ post) {
		w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
		io.WriteString(w, s)
	}
}

func informed(w http.ResponseWriter, p post) {
	answer(soap(acsID(p.id()), "<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>"))(w, p)
}

func ask(id, rpc string) step { return answer(soap(acsID(id), rpc)) }

func status(code int, header ...string) step {
	return func(w http.ResponseWriter, _ post) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

var noContent = status(http.StatusNoContent)

// noted is a Handler that answers plainly and notes the requests.
type noted struct{ requests []Request }

func (n *noted) Handle(_ context.Context, req Request) (Response, error) {
	n.requests = append(n.requests, req)
	switch req.(type) {
	case GetRPCMethods:
		return GetRPCMethodsResponse{MethodList: []string{"GetRPCMethods"}}, nil
	case SetParameterValues:
		return SetParameterValuesResponse{}, nil
	case GetParameterValues:
		return GetParameterValuesResponse{ParameterList: seq(ParameterValue{"Device.DeviceInfo.UpTime", "77", "xsd:unsignedInt"})}, nil
	case Reboot:
		return RebootResponse{}, nil
	}
	return nil, &Fault{Code: FaultMethodNotSupported}
}

// testSession is a session with an ACS at url, with a handler that notes.
func testSession(url string) (*Session, *Client, *noted) {
	c := &Client{URL: url, Username: "cpe", Password: "secret", UserAgent: "gatehouse-test"}
	n := &noted{}
	return &Session{Exchange: c, Handler: n, Inform: *testInform(), ID: "f00dcafe"}, c, n
}

func md5sum(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
