package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/tape"
)

// record writes a finished session to a folder: <device>-<time>-<number>.txt.
func record(dir string, s *acs.Session) (string, error) {
	name := fmt.Sprintf("%s-%s-%d.txt", fileName(s.Device.Key()), s.Start.UTC().Format("20060102T150405"), s.Number)
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = tape.Of(s).WriteTo(f)
	return f.Name(), errors.Join(err, f.Close())
}

// fileName keeps what a CPE calls itself from leading out of the folder.
func fileName(s string) string {
	const most = 80
	b := []byte(s[:min(len(s), most)])
	for i, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

// replayOptions are the options of `gatehouse-lab replay`.
type replayOptions struct {
	listen string
	values bool
	tape   *tape.Tape
}

func parseReplay(args []string, out io.Writer) (replayOptions, error) {
	var o replayOptions
	fs := flag.NewFlagSet("gatehouse-lab replay", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` to listen on")
	fs.BoolVar(&o.values, "values", false, "tell of values that are not the recorded ones, too")
	fs.Usage = func() {
		fmt.Fprint(out, "gatehouse-lab replay [options] FILE\nplays the ACS of a session recorded with serve --record, once, against an agent,\nand tells where the agent answers otherwise.\n")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() != 1 {
		return o, errors.New("which file?")
	}
	f, err := os.Open(fs.Arg(0))
	if err != nil {
		return o, err
	}
	defer f.Close()
	if o.tape, err = tape.Read(f); err != nil {
		return o, fmt.Errorf("%s: %w", fs.Arg(0), err)
	}
	return o, nil
}

// replay plays the tape at l until one session was played, or ctx ends. It
// returns how many grave differences there were.
func replay(ctx context.Context, o replayOptions, l net.Listener, out *screen) (grave int, err error) {
	values, complete := 0, false
	over := make(chan struct{}, 1)
	p := o.tape.NewPlayer(func(d tape.Difference) {
		switch {
		case d.Grave:
			grave++
			out.line(red, "!", fmt.Sprintf("exchange %d: %s", d.Exchange, d.Text))
		case o.values:
			out.line("", "", fmt.Sprintf("exchange %d: %s", d.Exchange, d.Text))
		}
		if !d.Grave {
			values++
		}
	}, func(whole bool) {
		complete = complete || whole
		select {
		case over <- struct{}{}:
		default:
		}
	})
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	out.line("", "", fmt.Sprintf("session %d of %s, %d exchanges, is played at http://%s/", o.tape.Session, o.tape.Device, len(o.tape.Exchanges), l.Addr()))
	select {
	case <-ctx.Done():
	case <-over:
	case err = <-served:
		return grave, err
	}
	const patience = 2 * time.Second // for the last answer to be written
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if server.Shutdown(last) != nil {
		server.Close()
	}
	if !complete {
		return grave, errors.New("no agent played it to its end")
	}
	out.line("", "", fmt.Sprintf("played to its end: %d differences, and %d other values", grave, values))
	return grave, nil
}

// runReplay plays where the options say.
func runReplay(ctx context.Context, o replayOptions) (grave int, err error) {
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return 0, err
	}
	return replay(ctx, o, l, &screen{w: os.Stdout, colour: isTerminal(os.Stdout)})
}
