package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"gatehouse/agent/api"
)

// A usageError is a mistake on the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

// errNoAgent is what a command says when nobody answers.
type errNoAgent struct{ socket string }

func (e errNoAgent) Error() string {
	return "no agent answers at " + e.socket + "; start it with `gatehouse run`, or say where it runs with --run DIR"
}

// errNoAccess is what a command says when the socket is not for this user.
type errNoAccess struct{ socket string }

func (e errNoAccess) Error() string {
	return "you may not open " + e.socket + "; try as root, or as a member of the group gatehouse"
}

// report prints why a command failed, one line for each problem, and returns
// the exit code.
func report(stderr io.Writer, name string, err error) int {
	var (
		wrong   usageError
		nobody  errNoAgent
		closed  errNoAccess
		refused *api.Error
	)
	code := exitFailed
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		err = errors.New("interrupted")
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "gatehouse %s: %s (`gatehouse %s --help` tells how)\n", name, wrong, name)
		return exitUsage
	case errors.As(err, &nobody):
		code = exitNotRunning
	case errors.As(err, &closed):
		code = exitDenied
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; try as root, or choose other places with --state and --run", err)
		code = exitDenied
	case errors.As(err, &refused):
		for _, p := range refused.Problems {
			fmt.Fprintf(stderr, "gatehouse %s: %s\n", name, sentence(p))
		}
		if refused.Name() == api.NotPermitted {
			return exitDenied
		}
		return exitFailed
	}
	fmt.Fprintf(stderr, "gatehouse %s: %v\n", name, err)
	return code
}

// sentence says what a problem was, and what to do about it.
func sentence(p api.Problem) string {
	text := printable(p.Message)
	if p.Path != "" {
		text = printable(p.Path) + ": " + text
	}
	parent := printable(p.Path[:strings.LastIndexByte(strings.TrimSuffix(p.Path, "."), '.')+1])
	switch p.Name {
	case api.InvalidName:
		text += strings.TrimSuffix("; `gatehouse names --next "+parent, " ") + "` lists what there is"
		if !strings.HasSuffix(p.Path, ".") {
			text += ", and an object's name ends in a dot"
		}
	case api.NotWritable:
		text += "; `gatehouse names " + parent + "` shows with a w what can be written"
	case api.Busy:
		text += "; try again"
	}
	return text
}
