// Package provider is the provider's side of the RUE configuration: a store of
// subscribers, settings for all of them, and an HTTPS server that authenticates
// by Digest and hands out what the two make together. Knobs let it go wrong.
package provider

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Subscriber is a customer: a password, and settings of his own.
type Subscriber struct {
	Password string
	Settings map[string]any
}

// Options of a server.
type Options struct {
	Realm      string   // of the challenge; "": "provider"
	Algorithms []string // "MD5", "SHA-256", a challenge for each; nil: MD5
	QOP        string   // as it stands in the challenge; "": "auth,auth-int"
	APIKey     string   // that resources of RFC 9248 want; "": none
	Token      string   // that the device's document may be had with; "": none
	// Step is told what happens, by the number of the founding diagram; nil:
	// nobody cares.
	Step func(step int, what string)
}

// A Server is an http.Handler. Its methods are safe for concurrent use.
type Server struct {
	o Options

	mu          sync.Mutex
	global      map[string]any
	subscribers map[string]Subscriber
	nonces      map[string]int // how often each was used
	faults      []Fault
	requests    []Request
	cookie      int
}

// A Request is one that came.
type Request struct {
	Method, Path, Host, Query, Authorization, Cookie string
	Header                                           http.Header
	Status                                           int
}

// A Fault makes one or all of the next answers wrong.
type Fault struct {
	Name string // see Faults
	Arg  string
	All  bool // from now on; else once
}

// Faults names what a server can do wrong, and what its argument is.
var Faults = [...][2]string{
	{"status", "status"}, {"retry-after", "seconds"}, {"redirect", "URL"}, {"body", "text instead of the document"},
	{"type", "content type"}, {"gzip", ""}, {"large", "bytes"}, {"basic", ""}, {"stale", ""}, {"same-nonce", ""}, {"no-proof", ""}, {"cut", ""},
	{"slow", "time"}, {"no-etag", ""},
}

// New makes a server of provider-wide settings.
func New(o Options, global map[string]any) *Server {
	if o.Realm == "" {
		o.Realm = "provider"
	}
	if o.Algorithms == nil {
		o.Algorithms = []string{"MD5"}
	}
	if o.QOP == "" {
		o.QOP = "auth,auth-int"
	}
	if o.Step == nil {
		o.Step = func(int, string) {}
	}
	return &Server{o: o, global: global, subscribers: map[string]Subscriber{}, nonces: map[string]int{}}
}

// Subscribe adds a customer, or changes one.
func (s *Server) Subscribe(name string, sub Subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers[name] = sub
}

// SetGlobal replaces the settings for all.
func (s *Server) SetGlobal(global map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.global = global
}

// SetToken has the device's document be had with another token.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Token = token
}

// Go wrong in this way.
func (s *Server) Break(f ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f...)
}

// Mend ends every fault.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Requests returns what came so far, and forgets it.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests
	s.requests = nil
	return r
}

// fault takes the next fault of that name.
func (s *Server) fault(name string) (Fault, bool) {
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		return Fault{}, false
	}
	f := s.faults[i]
	if !f.All {
		s.faults = slices.Delete(s.faults, i, i+1)
	}
	return f, true
}

// ServeHTTP answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if f, ok := s.fault("slow"); ok {
		d, _ := time.ParseDuration(f.Arg)
		s.mu.Unlock()
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	rec := &recorder{ResponseWriter: w}
	s.serve(rec, r)
	s.requests = append(s.requests, Request{
		r.Method, r.URL.Path, r.Host, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Clone(), rec.status,
	})
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (s *Server) serve(w *recorder, r *http.Request) {
	authorized := r.Header.Get("Authorization") != ""
	if !authorized {
		s.o.Step(12, "GET https://"+r.Host+r.URL.Path)
	}
	if s.broken(w, r, authorized) {
		return
	}
	s.cookie++
	w.Header().Set("Set-Cookie", "server="+strconv.Itoa(s.cookie)+"; Secure; HttpOnly")
	switch path := r.URL.Path; {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", "GET")
		w.WriteHeader(http.StatusMethodNotAllowed)
	case strings.HasSuffix(path, "/rum/v1/Providers"):
		s.send(w, r, map[string]any{"providers": []any{map[string]any{"name": "Provider A", "providerEntryPoint": r.Host}}})
	case strings.HasSuffix(path, "/rum/Versions"):
		s.send(w, r, map[string]any{"versions": []any{map[string]any{"major": 1, "minor": 6}}})
	case strings.HasSuffix(path, "/rum/v1/ProviderConfig"):
		if s.keyed(w, r) {
			s.send(w, r, s.global)
		}
	case strings.HasSuffix(path, "/rum/v1/RueConfig"):
		if sub, ok := s.subscriber(w, r); ok && s.keyed(w, r) {
			s.send(w, r, sub.Settings)
		}
	case strings.HasSuffix(path, "/device.json"):
		if s.o.Token != "" && r.Header.Get("Authorization") == "Bearer "+s.o.Token {
			s.send(w, r, s.global)
		} else if sub, ok := s.subscriber(w, r); ok {
			s.send(w, r, sub.Settings)
		}
	case strings.HasSuffix(path, "/v1"):
		if sub, ok := s.subscriber(w, r); ok {
			s.o.Step(17, "the settings of the provider are looked up")
			s.o.Step(18, "the provider has "+strconv.Itoa(len(s.global))+" settings for all")
			merged := maps.Clone(s.global)
			maps.Copy(merged, sub.Settings)
			s.o.Step(19, "200 OK, one JSON document of "+strconv.Itoa(len(merged))+" keys")
			s.send(w, r, merged)
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// keyed checks what RFC 9248 wants of each call.
func (s *Server) keyed(w *recorder, r *http.Request) bool {
	q := r.URL.Query()
	if q.Get("instanceId") == "" || s.o.APIKey != "" && q.Get("apiKey") != s.o.APIKey {
		w.WriteHeader(http.StatusForbidden)
		return false
	}
	return true
}

// broken answers as a fault says, if there is one. Those of the document wait
// for somebody who may have it.
func (s *Server) broken(w *recorder, r *http.Request, authorized bool) bool {
	if f, ok := s.fault("status"); ok {
		if after, ok := s.fault("retry-after"); ok {
			w.Header().Set("Retry-After", after.Arg)
		}
		status, _ := strconv.Atoi(f.Arg)
		w.WriteHeader(status)
		return true
	}
	if f, ok := s.fault("redirect"); ok {
		w.Header().Set("Location", f.Arg)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
	if !authorized {
		return false
	}
	if _, ok := s.fault("cut"); ok {
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(`{"version":`))
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return false
}

// send writes a document, with its entity tag.
func (s *Server) send(w *recorder, r *http.Request, doc map[string]any) {
	body, err := json.Marshal(doc)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if f, ok := s.fault("type"); ok {
		w.Header().Set("Content-Type", f.Arg)
	}
	if f, ok := s.fault("body"); ok {
		body = []byte(f.Arg)
	}
	large, ok := s.fault("large")
	if _, bomb := s.fault("gzip"); ok {
		n, _ := strconv.Atoi(large.Arg)
		flood(w, n, bomb)
		return
	} else if bomb {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body)
		_ = z.Close()
		body = b.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	if _, ok := s.fault("no-etag"); !ok {
		w.Header().Set("ETag", tag)
	}
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

// flood sends a document of so many bytes, until the client has had enough; as a
// bomb, they come compressed.
func flood(w *recorder, n int, bomb bool) {
	var to io.Writer = w
	if bomb {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		to = z
	}
	w.WriteHeader(http.StatusOK)
	piece := bytes.Repeat([]byte("x"), 64<<10)
	_, err := io.WriteString(to, `{"x":"`)
	for ; n > 0 && err == nil; n -= len(piece) {
		_, err = to.Write(piece[:min(n, len(piece))])
	}
}

// subscriber authenticates, RFC 7616 3.4 in its own words.
func (s *Server) subscriber(w *recorder, r *http.Request) (Subscriber, bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		s.challenge(w, false)
		return Subscriber{}, false
	}
	s.o.Step(14, "the same GET with Authorization: Digest")
	p := parameters(header)
	if _, ok := s.fault("stale"); ok {
		s.challenge(w, true)
		return Subscriber{}, false
	}
	sub, known := s.subscribers[p["username"]]
	used, issued := s.nonces[p["nonce"]]
	count, err := strconv.ParseInt(p["nc"], 16, 32)
	if !known || !issued || err != nil || int(count) != used+1 || p["uri"] != r.RequestURI || !strings.HasPrefix(header, "Digest ") {
		s.challenge(w, issued && known && int(count) != used+1)
		return Subscriber{}, false
	}
	a1, a2 := p["username"]+":"+s.o.Realm+":"+sub.Password, r.Method+":"+p["uri"]
	middle := ":" + p["nonce"] + ":" + p["nc"] + ":" + p["cnonce"] + ":" + p["qop"] + ":"
	h := hashOf(p["algorithm"])
	if p["qop"] == "auth-int" {
		a2 += ":" + sum(h, "")
	}
	if p["response"] != sum(h, sum(h, a1)+middle+sum(h, a2)) {
		s.challenge(w, false)
		return Subscriber{}, false
	}
	s.nonces[p["nonce"]]++
	proof := sum(h, sum(h, a1)+middle+sum(h, ":"+p["uri"]))
	if _, ok := s.fault("no-proof"); ok {
		proof = strings.Repeat("0", len(proof))
	}
	if p["qop"] == "auth" {
		w.Header().Set("Authentication-Info", fmt.Sprintf(`rspauth=%q, cnonce=%q, nc=%s, qop=%s`, proof, p["cnonce"], p["nc"], p["qop"]))
	}
	s.o.Step(15, "the subscriber "+p["username"]+" is looked up")
	s.o.Step(16, "the subscriber has "+strconv.Itoa(len(sub.Settings))+" settings of his own")
	return sub, true
}

// challenge sends 401.
func (s *Server) challenge(w *recorder, stale bool) {
	if _, ok := s.fault("basic"); ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.o.Realm+`"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	nonce := rand.Text()
	if _, ok := s.fault("same-nonce"); ok {
		nonce = "again"
	}
	if _, there := s.nonces[nonce]; !there {
		s.nonces[nonce] = 0
	}
	for _, a := range s.o.Algorithms {
		line := fmt.Sprintf(`Digest realm=%q, qop=%q, nonce=%q, algorithm=%s, charset="UTF-8"`, s.o.Realm, s.o.QOP, nonce, a)
		if stale {
			line += ", stale=true"
		}
		w.Header().Add("WWW-Authenticate", line)
	}
	s.o.Step(13, "401, Digest realm=\""+s.o.Realm+"\" qop=\""+s.o.QOP+"\"")
	w.WriteHeader(http.StatusUnauthorized)
}

var parameter = regexp.MustCompile(`([a-z]+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^", ]+))`)

func parameters(header string) map[string]string {
	p := map[string]string{}
	for _, m := range parameter.FindAllStringSubmatch(header, -1) {
		p[m[1]] = strings.ReplaceAll(m[2], `\`, "") + m[3]
	}
	// RFC 7616 3.4: a name that is not ASCII comes as RFC 8187 has it.
	if name, ok := strings.CutPrefix(p["username*"], "UTF-8''"); ok {
		p["username"], _ = url.PathUnescape(name)
	}
	return p
}

func hashOf(algorithm string) func() hash.Hash {
	if algorithm == "SHA-256" {
		return sha256.New
	}
	return md5.New
}

func sum(h func() hash.Hash, s string) string {
	d := h()
	d.Write([]byte(s))
	return hex.EncodeToString(d.Sum(nil))
}
