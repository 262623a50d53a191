package main

// The subcommands that write: set, add, del; and their --dry-run.

import (
	"context"
	"flag"
	"strconv"
	"strings"

	"gatehouse/agent/api"
	"gatehouse/agent/control"
)

func writeFlags(f *flag.FlagSet, c *invocation) {
	f.BoolVar(&c.options.dryRun, "dry-run", false, "change nothing: show what would be written where, what would be reloaded, and whether the WAN would drop")
}

func set(ctx context.Context, c *invocation) error {
	as, err := assignments(c.args)
	if err != nil {
		return err
	}
	if len(as) == 0 {
		return usageError("which PATH=VALUE?")
	}
	return c.write(ctx, control.Request{Call: "set", Set: as}, func(end *control.End) string {
		if end.Deferred {
			return c.out.paint(green, "set") + ", in effect once the services are reloaded"
		}
		return c.out.paint(green, "set")
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
	return c.write(ctx, control.Request{Call: "add", Paths: []string{table}, Set: as}, func(end *control.End) string { return end.Path })
}

func del(ctx context.Context, c *invocation) error {
	if len(c.args) == 0 {
		return usageError("which PATH?")
	}
	paths := make([]string, len(c.args))
	for i, p := range c.args {
		paths[i] = strings.TrimSuffix(p, ".") + "."
	}
	return c.write(ctx, control.Request{Call: "delete", Paths: paths}, func(*control.End) string { return c.out.paint(green, "deleted") })
}

// write is done, or the plan of a dry run.
func (c *invocation) write(ctx context.Context, req control.Request, word func(*control.End) string) error {
	if !c.options.dryRun {
		return c.done(ctx, req, word)
	}
	req.DryRun = true
	return c.call(ctx, req, func(l control.Line) error {
		switch {
		case l.Plan == nil:
			return nil
		case c.out.json:
			return c.out.object(l.Plan)
		}
		c.plan(l.Plan)
		return nil
	})
}

// plan shows what would be written, and what would follow.
func (c *invocation) plan(p *api.Plan) {
	var rows [][]string
	for _, w := range p.Writes {
		change := w.Old + " → " + w.New
		if w.Old == "" {
			change = "→ " + w.New
		}
		rows = append(rows, []string{w.Name, strings.TrimSpace(w.Where + " " + w.What), change})
	}
	c.out.table(rows, cyan, faint)
	after := "no service would be reloaded"
	if len(p.Reloads) > 0 {
		after = "to be reloaded: " + strings.Join(p.Reloads, ", ")
	}
	if p.Uplink {
		after += "; " + c.out.paint(yellow, "the way to the ACS would be interrupted")
	} else {
		after += "; the way to the ACS stays"
	}
	c.out.say(after + "; nothing was changed")
}
