// Package demo tells the agent's main job as a story: an agent and an ACS in
// one process, on a real network stack (a namespace of its own, as root) or on
// a router in memory. Every sentence of the story is checked; what was proved
// is summed up at the end.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"gatehouse/agent/app"
	"gatehouse/lab/acs"
)

// limit is how long the whole story may take.
const limit = 30 * time.Second

// Options say how the story is told.
type Options struct {
	Out    io.Writer
	Color  bool
	SOAP   bool // show every envelope
	Log    bool // show the agent's log
	Memory bool // the router in memory, even as root
}

// What the ACS and the agent know of each other.
const (
	acsUser, acsPassword = "00005E-HG-1-demo", "correct horse"
	crUser, crPassword   = "acs", "battery staple"
)

// A stage is everything that a chapter needs.
type stage struct {
	*teller
	world world
	acs   *acs.Server
	dir   string
	port  string // of connection requests
	url   string // of the ACS

	agent *app.Agent
	stop  func() error // the agent
}

// Run tells the story. It returns an error when something was not as told.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "gatehouse-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &stage{teller: &teller{w: o.Out, color: o.Color, soap: o.SOAP}, dir: dir}
	if s.world, err = newWorld(ctx, o.logger("platform")); err != nil {
		return err
	}
	if err := s.openACS(); err != nil {
		return err
	}
	defer s.acs.Close()
	s.say("%s", s.world.what())
	s.say("An ACS waits at %s and wants Digest credentials.", s.url)

	began := time.Now()
	var failed error
	for i, c := range chapters {
		s.chapter(i+1, c.title)
		if err := c.play(ctx, s, o); err != nil {
			failed = fmt.Errorf("chapter %d, %s: %w", i+1, c.title, err)
			s.prove(false, "%s", err)
			break
		}
	}
	if s.stop != nil {
		if err := s.stop(); err != nil && failed == nil {
			failed = err
		}
	}
	for _, v := range s.acs.Violations() {
		s.prove(false, "the ACS complains: %v", v)
	}
	s.prove(len(s.acs.Violations()) == 0, "the ACS, strict about order, cookies and digest, had nothing to complain of")
	s.summary(time.Since(began))
	if failed == nil && s.failures > 0 {
		failed = fmt.Errorf("%d of %d checks failed", s.failures, s.checks)
	}
	return failed
}

func (o Options) logger(component string) *slog.Logger {
	if !o.Log {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("component", component)
}

func (s *stage) openACS() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + l.Addr().String() + "/acs"
	s.acs = acs.New(acs.Options{
		Path: "/acs",
		Auth: acs.AuthDigest, Username: acsUser, Password: acsPassword,
		Digest:  acs.Digest{Algorithms: []string{"SHA-256", "MD5"}},
		Observe: s.note,
	})
	go s.acs.Serve(l)
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, s.port, err = net.SplitHostPort(probe.Addr().String())
	return errors.Join(err, probe.Close())
}

// startAgent starts an agent on the state that is there.
func (s *stage) startAgent(ctx context.Context, o Options) error {
	return s.startWith(ctx, o, s.dir, fmt.Sprintf(`config acs 'acs'
	option url '%s'
	option userid '%s'
	option passwd '%s'

config cpe 'cpe'
	option manufacturer 'Example Networks'
	option manufacturer_oui '00005E'
	option product_class 'HG-1'
	option serial_number 'demo'
	option userid '%s'
	option passwd '%s'
	option port '%s'
`, s.url, acsUser, acsPassword, crUser, crPassword, s.port), app.Config{})
}

// startWith starts an agent with a configuration and a directory of its own;
// more says what the stage does not.
func (s *stage) startWith(ctx context.Context, o Options, dir, text string, more app.Config) error {
	config := filepath.Join(dir, "gatehouse")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		more.Platform, more.Version, more.ConfigFile = s.world.platform(), "demo", config
		more.State, more.Run = filepath.Join(dir, "state"), filepath.Join(dir, "run")
		more.Ready = func(a *app.Agent) { s.agent = a; close(ready) }
		more.Log = o.logger("agent")
		done <- app.Run(ctx, more)
	}()
	s.stop = func() error {
		cancel()
		s.stop = nil
		return <-done
	}
	select {
	case <-ready:
		return nil
	case err := <-done:
		s.stop = nil
		return fmt.Errorf("the agent does not start: %w", err)
	}
}
