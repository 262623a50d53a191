package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"gatehouse/lab/acs"
	"gatehouse/lab/pki"
)

// serveOptions are the options of `gatehouse-lab serve`.
type serveOptions struct {
	listen         string
	auth           acs.Auth
	user, password string
	tls            bool
	ca             string
	soap           bool
	reachURL       string
	reachUser      string
	reachPassword  string
	sessions       int
	chaos          chaos
	record         string  // folder
	files          string  // folder
	filesAt        string  // address
	each           []order // what to do in each session
}

// parseServe reads the command line; help and errors about flags go to out.
func parseServe(args []string, out io.Writer) (serveOptions, error) {
	var o serveOptions
	var auth, show, misbehave string
	fs := flag.NewFlagSet("gatehouse-lab serve", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` to listen on")
	fs.StringVar(&auth, "auth", "", "digest, basic or none; digest when there is a --user, else none")
	fs.StringVar(&o.user, "user", "", "user `name` that the CPE has to give")
	fs.StringVar(&o.password, "password", "", "and its password")
	fs.BoolVar(&o.tls, "tls", false, "speak TLS, with a certificate made now")
	fs.StringVar(&o.ca, "ca", "", "`file` for the authority's certificate with --tls; a temporary one when empty")
	fs.StringVar(&show, "show", "", "\"soap\" shows every envelope")
	fs.StringVar(&o.reachURL, "connreq", "", "`URL` for connection requests; the one of the Inform when empty")
	fs.StringVar(&o.reachUser, "connreq-user", "acs", "user `name` for connection requests, which a device is given when it bootstraps; \"\": leave its own")
	fs.StringVar(&o.reachPassword, "connreq-password", "lab", "and its password")
	fs.IntVar(&o.sessions, "sessions", 0, "end after this `number` of sessions; 0: with ctrl-c or quit")
	fs.StringVar(&misbehave, "chaos", "", "`NAME[=VALUE],…` in which the ACS misbehaves; help lists them")
	fs.StringVar(&o.record, "record", "", "`folder` for a file per session, without secrets; see replay")
	fs.StringVar(&o.files, "files", "", "`folder` whose files can be downloaded, and where uploads go; see download, upload")
	fs.StringVar(&o.filesAt, "files-listen", "127.0.0.1:8081", "`address` of the file server")
	o.orderFlags(fs)
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("what is %q? options come with --", fs.Arg(0))
	}
	if show != "" && show != "soap" {
		return o, fmt.Errorf("--show %s: only soap can be shown", show)
	}
	o.soap = show == "soap"
	if misbehave == "help" {
		chaosHelp(out)
		return o, flag.ErrHelp
	}
	var err error
	if o.chaos, err = parseChaos(misbehave); err != nil {
		return o, fmt.Errorf("--chaos %w", err)
	}
	if o.record != "" {
		if err := os.MkdirAll(o.record, 0o700); err != nil {
			return o, err
		}
	}
	if o.chaos.cert != "" && !o.tls {
		return o, errors.New("--chaos cert=… needs --tls")
	}
	return o, o.pickAuth(auth)
}

// orderFlags adds the options that are orders for each session.
func (o *serveOptions) orderFlags(fs *flag.FlagSet) {
	for _, verb := range []string{"names", "get", "set"} {
		usage := "`path` to " + verb + " in each session; may be repeated"
		if verb == "set" {
			usage = "`path=value` to set in each session; may be repeated"
		}
		fs.Func(verb, usage, func(s string) error {
			args := strings.Fields(s)
			if verb == "set" {
				args = []string{s} // a value may hold blanks
			}
			what, err := newOrder(verb, args)
			o.each = append(o.each, what)
			return err
		})
	}
}

// provision gives a device that bootstraps the credentials for connection
// requests, as an ACS does; a device that refuses keeps its own.
func (o serveOptions) provision(c *acs.Conversation) error {
	if o.reachUser == "" || !c.Inform().Has("0 BOOTSTRAP") {
		return nil
	}
	const server = "Device.ManagementServer."
	_, err := c.SetParameterValues("",
		acs.P(server+"ConnectionRequestUsername", "xsd:string", o.reachUser),
		acs.P(server+"ConnectionRequestPassword", "xsd:string", o.reachPassword))
	if acs.FaultOf(err) != nil {
		return nil
	}
	return err
}

func (o *serveOptions) pickAuth(auth string) error {
	switch {
	case auth == "none", auth == "" && o.user == "":
		o.auth = acs.AuthNone
	case auth == "basic":
		o.auth = acs.AuthBasic
	case auth == "digest", auth == "":
		o.auth = acs.AuthDigest
	default:
		return fmt.Errorf("--auth %s: digest, basic or none", auth)
	}
	return nil
}

// serve is the ACS at l until ctx ends, quit is typed or enough sessions were
// seen. It returns how many violations there were.
func serve(ctx context.Context, o serveOptions, l net.Listener, in io.Reader, out *screen) (broken int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := acs.Options{Auth: o.auth, Username: o.user, Password: o.password, Keep: 100}
	if err := options.Apply(o.chaos.knobs); err != nil {
		l.Close()
		return 0, err
	}
	if o.tls {
		if options.TLS, err = o.certificate(l.Addr(), out); err != nil {
			l.Close()
			return 0, err
		}
	}
	if o.files != "" {
		d, err := depot(o.files, o.filesAt, out)
		if err != nil {
			l.Close()
			return 0, err
		}
		defer d.Close()
	}
	ended := make(chan struct{}, 1)
	options.Observe = func(n acs.Note) {
		out.note(n)
		if n.Ended != nil {
			o.keep(n.Ended, out)
			select {
			case ended <- struct{}{}:
			default:
			}
		}
	}
	s := acs.New(options)
	s.Script(func(c *acs.Conversation) error {
		if err := o.provision(c); err != nil {
			return err
		}
		return play(c, o.each, out)
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	greet(o, l.Addr(), out)

	k := &console{s: s, o: o, out: out, quit: cancel}
	go k.run(ctx, in)
	err = o.wait(ctx, s, ended, served)
	s.Close()
	summary(s, out)
	return len(s.Violations()), err
}

// keep records a session, where that is wanted.
func (o serveOptions) keep(s *acs.Session, out *screen) {
	if o.record == "" {
		return
	}
	file, err := record(o.record, s)
	if err != nil {
		out.line(red, "!", err.Error())
		return
	}
	out.line("", "", "recorded in "+file)
}

// wait returns when it is time to end.
func (o serveOptions) wait(ctx context.Context, s *acs.Server, ended <-chan struct{}, served <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err
		case <-ended:
			if o.sessions > 0 && len(s.Sessions()) >= o.sessions {
				return nil
			}
		}
	}
}

// certificate makes an authority and a certificate for the address listened on,
// and tells where the agent finds the authority.
func (o serveOptions) certificate(addr net.Addr, out *screen) (*tls.Config, error) {
	ca, err := pki.New("gatehouse-lab")
	if err != nil {
		return nil, err
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(o.listen); err == nil && host != "" {
		names = append(names, host)
	}
	if host, _, err := net.SplitHostPort(addr.String()); err == nil {
		names = append(names, host)
	}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	config, err := ca.Config(o.chaos.cert, names...)
	if err != nil {
		return nil, err
	}
	f, err := o.caFile()
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(ca.PEM()); err != nil {
		f.Close()
		return nil, err
	}
	out.line("", "", "the authority to trust is in "+f.Name())
	return config, f.Close()
}

func (o serveOptions) caFile() (*os.File, error) {
	if o.ca != "" {
		return os.Create(o.ca)
	}
	return os.CreateTemp("", "gatehouse-lab-ca-*.pem")
}

func greet(o serveOptions, addr net.Addr, out *screen) {
	scheme := "http"
	if o.tls {
		scheme = "https"
	}
	who := map[acs.Auth]string{
		acs.AuthNone:   "everybody may come",
		acs.AuthBasic:  "basic, user " + o.user,
		acs.AuthDigest: "digest, user " + o.user,
	}[o.auth]
	out.line("", "", fmt.Sprintf("an ACS at %s://%s/acs (%s); type help for what it can ask of an agent", scheme, addr, who))
}

// summary counts what happened.
func summary(s *acs.Server, out *screen) {
	sessions, failed := s.Sessions(), 0
	for _, x := range sessions {
		if x.Err != nil {
			failed++
		}
	}
	parts := []string{fmt.Sprintf("%d sessions", len(sessions))}
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d of them failed", failed))
	}
	parts = append(parts, fmt.Sprintf("%d violations", len(s.Violations())))
	out.line("", "", strings.Join(parts, ", "))
}

// runServe serves where the options say, and talks to the terminal.
func runServe(ctx context.Context, o serveOptions) (broken int, err error) {
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return 0, err
	}
	return serve(ctx, o, l, os.Stdin, &screen{w: os.Stdout, colour: isTerminal(os.Stdout), soap: o.soap})
}
