package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/agent/control"
)

// call sends one request and hands each line of the answer to f.
func (c *invocation) call(ctx context.Context, req control.Request, f func(control.Line) error) error {
	socket, err := c.dirs.socket()
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errNoAgent{socket}
	case errors.Is(err, fs.ErrPermission):
		return errNoAccess{socket}
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

// done is call for a request that is answered by a word.
func (c *invocation) done(ctx context.Context, req control.Request, word func(*control.End) string) error {
	return c.call(ctx, req, func(l control.Line) error {
		if c.out.json {
			return c.out.object(l.End)
		}
		c.out.say(word(l.End))
		return nil
	})
}

// collect is call for a list: a table on a terminal, which is printed when all
// of it is there, because a column is as wide as its widest cell.
func (c *invocation) collect(ctx context.Context, req control.Request, row func(control.Line) (object any, cells []string), colors ...string) error {
	var rows [][]string
	err := c.call(ctx, req, func(l control.Line) error {
		object, cells := row(l)
		switch {
		case object == nil:
		case c.out.json:
			return c.out.object(object)
		case c.out.width == 0:
			c.out.table([][]string{cells})
		default:
			rows = append(rows, cells)
		}
		return nil
	})
	c.out.table(rows, colors...)
	return err
}

func get(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which PATH?")
	}
	req := control.Request{Call: "get", Paths: c.args}
	if one := c.args[0]; len(c.args) == 1 && !strings.HasSuffix(one, ".") && !strings.Contains(one, "*") &&
		c.out.width == 0 && !c.out.json && !c.options.origin {
		return c.bare(ctx, req)
	}
	return c.collect(ctx, req, func(l control.Line) (any, []string) {
		v := l.Value
		switch {
		case v == nil:
			return nil, nil
		case v.LeftOut != "":
			fmt.Fprintf(c.stderr, "gatehouse get: %s is left out: %s\n", printable(v.Name), printable(v.LeftOut))
			return nil, nil
		case c.options.origin:
			return v, []string{v.Name, v.Value, v.Origin}
		}
		return v, []string{v.Name, v.Value}
	}, cyan, "", faint)
}

// bare prints the value of one parameter as it is: that is what a script
// wants.
func (c *invocation) bare(ctx context.Context, req control.Request) error {
	return c.call(ctx, req, func(l control.Line) error {
		if l.Value != nil {
			c.out.say(l.Value.Value)
		}
		return nil
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
		return c.done(ctx, control.Request{Call: "notify", Paths: c.args, Notification: &n}, func(*control.End) string {
			return c.out.paint(green, "set")
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

// watch ends when somebody interrupts it, which is then what they wanted.
func watch(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which PATH?")
	}
	err := c.call(ctx, control.Request{Call: "watch", Paths: c.args}, func(l control.Line) error {
		u := l.Update
		switch {
		case u == nil:
			return nil
		case c.out.json:
			if err := c.out.object(u); err != nil {
				return err
			}
		case u.Added:
			c.news(u.Name, "added", green)
		case u.Gone:
			c.news(u.Name, "gone", red)
		default:
			c.news(u.Name, u.Value, "")
		}
		return c.out.flush()
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// news prints one line of a watch; on a terminal with the time, because what is
// further up was some time ago.
func (c *invocation) news(name, text, color string) {
	if c.out.width == 0 {
		c.out.table([][]string{{name, text}})
		return
	}
	c.out.table([][]string{{time.Now().Format(time.TimeOnly), name, text}}, faint, cyan, color)
}

func inform(ctx context.Context, c *invocation) error {
	if len(c.args) > 1 {
		return usageError(`one EVENT at most; quote it: "X 0011AA Button"`)
	}
	req := control.Request{Call: "inform"}
	if len(c.args) == 1 {
		req.Event = c.args[0]
	}
	return c.done(ctx, req, func(*control.End) string { return "a session will start; `gatehouse status` tells how it went" })
}

func reload(ctx context.Context, c *invocation) error {
	if len(c.args) > 0 {
		return usageError("reload takes no arguments")
	}
	return c.done(ctx, control.Request{Call: "reload"}, func(end *control.End) string {
		if len(end.Changed) == 0 {
			return "read; nothing has changed"
		}
		return "read; changed: " + strings.Join(end.Changed, ", ")
	})
}
