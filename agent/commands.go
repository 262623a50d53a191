package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"syscall"

	"gatehouse/agent/api"
	"gatehouse/agent/control"
)

// errNoAgent is what a command says when nobody answers.
type errNoAgent struct{ socket string }

func (e errNoAgent) Error() string {
	return "no agent answers at " + e.socket + "; start it with `gatehouse run`, or say where it runs with --run DIR"
}

// report prints why a command failed, one line for each problem, and returns
// the exit code.
func report(stderr io.Writer, name string, err error) int {
	var (
		wrong   usageError
		nobody  errNoAgent
		refused *api.Error
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "gatehouse %s: %s; `gatehouse %s --help` tells how\n", name, wrong, name)
		return exitUsage
	case errors.As(err, &nobody):
		fmt.Fprintln(stderr, "gatehouse:", err)
		return exitNotRunning
	case errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(stderr, "gatehouse %s: %v; try as root, or as a member of the group that owns the socket\n", name, err)
		return exitDenied
	case errors.As(err, &refused):
		for _, p := range refused.Problems {
			fmt.Fprintln(stderr, "gatehouse "+name+":", sentence(p))
		}
		if refused.Name() == api.NotPermitted {
			return exitDenied
		}
		return exitFailed
	}
	fmt.Fprintf(stderr, "gatehouse %s: %v\n", name, err)
	return exitFailed
}

// sentence says what a problem was, and what to do about it.
func sentence(p api.Problem) string {
	text := printable(p.Message)
	if p.Path != "" {
		text = printable(p.Path) + ": " + text
	}
	switch p.Name {
	case api.InvalidName:
		text += "; `gatehouse names --next PATH.` lists what there is"
	case api.NotWritable:
		text += "; `gatehouse names PATH` marks with w what can be written"
	case api.Busy:
		text += "; try again"
	}
	return text
}

// call sends one request and hands each line of the answer to f.
func (c *invocation) call(ctx context.Context, req control.Request, f func(control.Line) error) error {
	socket := c.dirs.socket()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errNoAgent{socket}
	case err != nil:
		return err
	}
	for l, err := range control.Do(ctx, conn, req) {
		if err != nil {
			return err
		}
		if err := f(l); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// collect is call for a list that is printed as one table.
func (c *invocation) collect(ctx context.Context, req control.Request, row func(control.Line) (object any, cells []string), colors ...string) error {
	var rows [][]string
	err := c.call(ctx, req, func(l control.Line) error {
		object, cells := row(l)
		if object == nil {
			return nil
		}
		if c.out.json {
			return c.out.object(object)
		}
		rows = append(rows, cells)
		return nil
	})
	c.out.table(rows, colors...)
	return err
}

func get(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which PATH?")
	}
	one := len(c.args) == 1 && !strings.HasSuffix(c.args[0], ".") && c.out.width == 0
	return c.collect(ctx, control.Request{Call: "get", Paths: c.args}, func(l control.Line) (any, []string) {
		v := l.Value
		switch {
		case v == nil:
			return nil, nil
		case one && !c.options.origin: // a script wants the value and nothing else
			return v, []string{v.Value}
		case c.options.origin:
			return v, []string{v.Name, v.Value, v.Origin}
		}
		return v, []string{v.Name, v.Value}
	}, cyan, "", faint)
}

func set(ctx context.Context, c *invocation) error {
	as, err := assignments(c.args)
	if err != nil {
		return err
	}
	if len(as) == 0 {
		return usageError("which PATH=VALUE?")
	}
	return c.call(ctx, control.Request{Call: "set", Set: as, DryRun: c.options.dryRun}, func(l control.Line) error {
		switch {
		case c.out.json:
			return c.out.object(l.End)
		case c.options.dryRun:
			fmt.Fprintln(c.out.out, "could be set; nothing was changed")
		case l.End.Deferred:
			fmt.Fprintln(c.out.out, c.out.paint(green, "set")+", in effect as soon as the services were reloaded")
		default:
			fmt.Fprintln(c.out.out, c.out.paint(green, "set"))
		}
		return nil
	})
}

func assignments(args []string) ([]api.Assignment, error) {
	var as []api.Assignment
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, usageError(strconv.Quote(a) + " is not NAME=VALUE")
		}
		as = append(as, api.Assignment{Name: name, Value: value})
	}
	return as, nil
}

func add(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which TABLE?")
	}
	as, err := assignments(c.args[1:])
	if err != nil {
		return err
	}
	table := c.args[0]
	if !strings.HasSuffix(table, ".") {
		table += "."
	}
	return c.call(ctx, control.Request{Call: "add", Paths: []string{table}, Set: as}, func(l control.Line) error {
		if c.out.json {
			return c.out.object(l.End)
		}
		_, err := fmt.Fprintln(c.out.out, l.End.Path)
		return err
	})
}

func del(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which PATH?")
	}
	paths := make([]string, len(c.args))
	for i, p := range c.args {
		paths[i] = strings.TrimSuffix(p, ".") + "."
	}
	return c.call(ctx, control.Request{Call: "delete", Paths: paths}, func(l control.Line) error {
		if c.out.json {
			return c.out.object(l.End)
		}
		_, err := fmt.Fprintln(c.out.out, c.out.paint(green, "deleted"))
		return err
	})
}

func names(ctx context.Context, c *invocation) error {
	paths := c.args
	if len(paths) == 0 {
		paths = []string{"Device."}
	}
	return c.collect(ctx, control.Request{Call: "names", Paths: paths, Next: c.options.next}, func(l control.Line) (any, []string) {
		if l.Name == nil {
			return nil, nil
		}
		w := "r"
		if l.Name.Writable {
			w = "w"
		}
		return l.Name, []string{l.Name.Name, w, l.Name.Type}
	}, cyan, yellow, faint)
}

func attrs(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which PATH?")
	}
	if n := c.options.notification; n >= 0 {
		return c.call(ctx, control.Request{Call: "notify", Paths: c.args, Notification: &n}, func(l control.Line) error {
			if c.out.json {
				return c.out.object(l.End)
			}
			_, err := fmt.Fprintln(c.out.out, c.out.paint(green, "set"))
			return err
		})
	}
	words := [...]string{"off", "passive", "active", "passive lightweight", "passive, passive lightweight",
		"active lightweight", "passive, active lightweight"}
	return c.collect(ctx, control.Request{Call: "attributes", Paths: c.args}, func(l control.Line) (any, []string) {
		a := l.Attribute
		if a == nil {
			return nil, nil
		}
		word := "unknown"
		if a.Notification >= 0 && a.Notification < len(words) {
			word = words[a.Notification]
		}
		return a, []string{a.Name, strconv.Itoa(a.Notification), word, strings.Join(a.AccessList, ",")}
	}, cyan, "", "", faint)
}

func watch(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which PATH?")
	}
	return c.call(ctx, control.Request{Call: "watch", Paths: c.args}, func(l control.Line) error {
		u := l.Update
		switch {
		case u == nil:
			return nil
		case c.out.json:
			return c.out.object(u)
		case u.Gone:
			c.out.table([][]string{{u.Name, "gone"}}, cyan, red)
		default:
			c.out.table([][]string{{u.Name, u.Value}}, cyan)
		}
		return nil
	})
}

func inform(ctx context.Context, c *invocation) error {
	if len(c.args) > 1 {
		return usageError("one EVENT at most; quote it: \"X 0011AA Hot\"")
	}
	req := control.Request{Call: "inform"}
	if len(c.args) == 1 {
		req.Event = c.args[0]
	}
	return c.call(ctx, req, func(l control.Line) error {
		if c.out.json {
			return c.out.object(l.End)
		}
		_, err := fmt.Fprintln(c.out.out, "a session will start; `gatehouse status` tells how it went")
		return err
	})
}

func reload(ctx context.Context, c *invocation) error {
	return c.call(ctx, control.Request{Call: "reload"}, func(l control.Line) error {
		switch {
		case c.out.json:
			return c.out.object(l.End)
		case len(l.End.Changed) == 0:
			fmt.Fprintln(c.out.out, "read; nothing has changed")
		default:
			fmt.Fprintln(c.out.out, "read; changed:", strings.Join(l.End.Changed, ", "))
		}
		return nil
	})
}
