// Package files is a file server for the bench: files to be downloaded, a place
// for uploads, with Basic or Digest, and knobs for all that goes wrong on the
// way. It shares no code with the agent.
package files

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Auth is how a file wants to be asked for.
type Auth int

// Ways to authenticate.
const (
	None Auth = iota
	Basic
	Digest
)

// A File is what lies at a path, and how it misbehaves.
type File struct {
	Data               []byte
	Auth               Auth
	Username, Password string

	Status   int           // answer with it instead of the file
	Redirect string        // send who asks elsewhere
	Cut      int           // hang up after so many bytes; negative: after the head
	Stall    int           // fall silent after so many bytes; negative: after the head
	Pace     time.Duration // after each 64 KiB
	Times    int           // the misbehaviour ends after so many requests; 0: never
	Chunked  bool          // without a Content-Length
}

// A Request is one request that was answered.
type Request struct {
	At           time.Time
	Method, Path string
	User         string // by which it was authenticated; "": by none
	Authorized   bool   // it carried credentials, right or wrong
	Status       int
	Body         []byte // of a PUT
	Header       http.Header
}

// A Server serves files. Its methods may be used from any goroutine.
type Server struct {
	// Uploaded hears of each upload; set before Serve, nil: nobody does.
	Uploaded func(path string, data []byte)

	http *http.Server

	mu       sync.Mutex
	files    map[string]*File
	uploads  map[string][]byte
	requests []Request
	closed   chan struct{}
}

// MaxUpload bounds what is taken of a PUT.
const MaxUpload = 64 << 20

// New returns a server without files. Anything may be put anywhere below /up/.
func New() *Server {
	s := &Server{files: map[string]*File{}, uploads: map[string][]byte{}, closed: make(chan struct{})}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	return s
}

// Serve takes connections from l until Close.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Close ends every connection.
func (s *Server) Close() error {
	close(s.closed)
	return s.http.Close()
}

// Put places a file at a path, which begins with a slash.
func (s *Server) Put(path string, f File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = &f
}

// Upload returns what was put at a path.
func (s *Server) Upload(path string) (data []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok = s.uploads[path]
	return data, ok
}

// Requests returns what was asked so far, in the order of the answers.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := s.take(r.URL.Path)
	req := Request{At: time.Now(), Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Authorized: r.Header.Get("Authorization") != ""}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, req)
	}()
	answer := func(code int) {
		req.Status = code
		http.Error(w, http.StatusText(code), code)
	}
	if !ok && !strings.HasPrefix(r.URL.Path, "/up/") {
		answer(http.StatusNotFound)
		return
	}
	if file.Auth != None && !file.admits(r) {
		w.Header().Set("WWW-Authenticate", file.challenge())
		answer(http.StatusUnauthorized)
		return
	}
	if file.Auth != None {
		req.User = file.Username
	}
	switch {
	case file.Redirect != "":
		w.Header().Set("Location", file.Redirect)
		req.Status = http.StatusTemporaryRedirect
		w.WriteHeader(req.Status)
	case file.Status != 0:
		answer(file.Status)
	case r.Method == http.MethodPut:
		body, err := io.ReadAll(io.LimitReader(r.Body, MaxUpload))
		if err != nil {
			return
		}
		req.Status, req.Body = http.StatusCreated, body
		s.mu.Lock()
		s.uploads[r.URL.Path] = body
		s.mu.Unlock()
		if s.Uploaded != nil {
			s.Uploaded(r.URL.Path, body)
		}
		w.WriteHeader(req.Status)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		req.Status = http.StatusOK
		s.send(w, file)
	default:
		answer(http.StatusMethodNotAllowed)
	}
}

// take returns how the file at path behaves this time.
func (s *Server) take(path string) (File, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[path]
	if !ok {
		return File{}, false
	}
	now := *f
	if f.Times > 0 {
		if f.Times--; f.Times == 0 {
			f.Status, f.Redirect, f.Cut, f.Stall = 0, "", 0, 0
		}
	}
	return now, true
}

// send sends the file, or a part of it.
func (s *Server) send(w http.ResponseWriter, f File) {
	if !f.Chunked {
		w.Header().Set("Content-Length", strconv.Itoa(len(f.Data)))
	}
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	data := f.Data
	if f.Cut != 0 {
		data = data[:max(0, min(f.Cut, len(data)))]
	}
	if f.Stall != 0 {
		data = data[:max(0, min(f.Stall, len(data)))]
	}
	for len(data) > 0 {
		n := min(len(data), 64<<10)
		if _, err := w.Write(data[:n]); err != nil {
			return
		}
		data = data[n:]
		if f.Pace > 0 && !s.wait(f.Pace) {
			return
		}
	}
	_ = flush.Flush() // it hangs up, or not, anyway
	if f.Stall != 0 {
		s.wait(24 * time.Hour)
	}
	if f.Cut != 0 || f.Stall != 0 {
		panic(http.ErrAbortHandler)
	}
}

// wait waits, and tells whether the server is still there.
func (s *Server) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closed:
		return false
	}
}

const realm, nonce = "files", "f1le-n0nce"

func (f File) challenge() string {
	if f.Auth == Basic {
		return `Basic realm="` + realm + `"`
	}
	return fmt.Sprintf(`Digest realm=%q, nonce=%q, qop="auth", algorithm=MD5`, realm, nonce)
}

// admits checks Basic, or Digest by MD5 with qop=auth (RFC 7616 3.4).
func (f File) admits(r *http.Request) bool {
	header := r.Header.Get("Authorization")
	if f.Auth == Basic {
		user, pass, ok := r.BasicAuth()
		return ok && user == f.Username && pass == f.Password
	}
	text, ok := strings.CutPrefix(header, "Digest ")
	if !ok {
		return false
	}
	p := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		p[name] = strings.Trim(value, `"`)
	}
	ha1 := sum(f.Username + ":" + realm + ":" + f.Password)
	ha2 := sum(r.Method + ":" + r.URL.RequestURI())
	want := sum(strings.Join([]string{ha1, nonce, p["nc"], p["cnonce"], "auth", ha2}, ":"))
	return p["username"] == f.Username && p["uri"] == r.URL.RequestURI() && p["nonce"] == nonce && p["response"] == want
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// Some returns n bytes that are not all the same.
func Some(n int) []byte { return bytes.Repeat([]byte("Gatehouse."), n/10+1)[:n] }
