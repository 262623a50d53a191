package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/agent/control"
	"gatehouse/agent/doctor"
)

func doctorFlags(f *flag.FlagSet, c *invocation) {
	f.BoolVar(&c.options.offline, "offline", false, "look at nothing but this device")
	f.BoolVar(&c.options.inform, "inform", false, "have the agent hold a session, too")
}

// examine runs the doctor. It needs no agent, and asks the one that runs.
func examine(ctx context.Context, c *invocation) error {
	checks := doctor.Run
	switch {
	case len(c.args) == 1 && c.args[0] == "nat":
		checks = doctor.NAT
		if c.options.offline || c.options.inform {
			return usageError("doctor nat has no options")
		}
	case len(c.args) > 0:
		return usageError("doctor has no such argument: nat, or none")
	}
	if c.options.offline && c.options.inform {
		return usageError("--offline holds no session: leave out one of --offline and --inform")
	}
	cfg, err := c.doctorConfig(ctx)
	if err != nil {
		return err
	}
	bad := 0
	for f := range checks(ctx, cfg) {
		if f.Verdict == doctor.Wrong {
			bad++
		}
		if c.out.json {
			err = c.out.object(f)
		} else {
			c.showFinding(f)
		}
		if err := errors.Join(err, c.out.flush()); err != nil { // somebody is waiting for it
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case bad == 1:
		return errors.New("something is wrong; what to do stands above")
	case bad > 1:
		return fmt.Errorf("%d things are wrong; what to do stands above", bad)
	}
	return nil
}

// doctorConfig reads the files as the agent does, and finds the agent.
func (c *invocation) doctorConfig(ctx context.Context) (doctor.Config, error) {
	for name, path := range map[string]string{"--config": c.dirs.config, "--factory": c.dirs.factory} {
		if err := readable(path); err != nil {
			return doctor.Config{}, fmt.Errorf("%s %s: %w", name, path, err)
		}
	}
	c.dirs.fill() // only a file that nobody named may be missing
	router, err := openPlatform(c.dirs.root, c.dirs.state, slog.New(slog.DiscardHandler))
	if err != nil {
		return doctor.Config{}, err
	}
	var said remarks
	view, mistakes := app.Look(ctx, app.Config{
		Platform: router, Version: version,
		ConfigFile: c.dirs.config, FactoryFile: c.dirs.factory, State: c.dirs.state,
		ResolvConf: filepath.Join(c.dirs.root, "etc/resolv.conf"),
		Hosts:      filepath.Join(c.dirs.root, "etc/hosts"),
		Built:      built(),
		Log:        slog.New(&said),
	})
	cfg := doctor.Config{
		ConfigFile: c.dirs.config, State: c.dirs.state, Mistakes: mistakes,
		Warnings: said.lines,
		Identity: view.Identity, TLS: view.TLS, Dialer: view.Dialer, Clock: view.Clock, Links: view.Links(), Offers: view.Offers,
		Offline: c.options.offline, Inform: c.options.inform, UserAgent: "Gatehouse-doctor/" + version,
	}
	if mistakes == nil {
		cfg.Settings = view.Settings()
	}
	door := agentDoor{c}
	if _, err := door.Status(ctx); err != nil {
		cfg.NoAgent = err
	} else {
		cfg.Agent = door
	}
	return cfg, nil
}

// remarks is a log that keeps its warnings as lines for a person.
type remarks struct{ lines []string }

// Enabled implements slog.Handler.
func (r *remarks) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle implements slog.Handler.
func (r *remarks) Handle(_ context.Context, rec slog.Record) error {
	line := rec.Message
	for a := range rec.Attrs {
		line += ", " + strings.ReplaceAll(a.Key, "_", " ") + " " + a.Value.String()
	}
	r.lines = append(r.lines, line)
	return nil
}

// WithAttrs implements slog.Handler; whose remark it is does not matter.
func (r *remarks) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements slog.Handler.
func (r *remarks) WithGroup(string) slog.Handler { return r }

// agentDoor is the running agent behind its socket.
type agentDoor struct{ c *invocation }

// Status implements doctor.Agent.
func (d agentDoor) Status(ctx context.Context) (st *api.Status, err error) {
	err = d.c.call(ctx, control.Request{Call: "status"}, func(l control.Line) error {
		if l.Status != nil {
			st = l.Status
		}
		return nil
	})
	if err == nil && st == nil {
		err = control.ErrCut
	}
	return st, err
}

// Inform implements doctor.Agent.
func (d agentDoor) Inform(ctx context.Context) error {
	return d.c.call(ctx, control.Request{Call: "inform"}, func(control.Line) error { return nil })
}

// Last implements doctor.Agent.
func (d agentDoor) Last(ctx context.Context) (last *api.SessionLog, err error) {
	err = d.c.call(ctx, control.Request{Call: "log", Sessions: 1}, func(l control.Line) error {
		if l.Session != nil {
			last = l.Session
		}
		return nil
	})
	return last, err
}

// showFinding prints a verdict, what was found, and below it what to do.
func (c *invocation) showFinding(f doctor.Finding) {
	color := map[doctor.Verdict]string{
		doctor.OK: green, doctor.Warning: yellow, doctor.Wrong: red, doctor.Note: cyan, doctor.Skipped: faint,
	}[f.Verdict]
	c.out.say(c.out.paint(color, fmt.Sprintf("%-8s", f.Verdict)) + fmt.Sprintf(" %-15s ", f.Check) + printable(f.Found))
	const indent = "                         "
	for _, d := range f.Details {
		c.out.say(indent + c.out.paint(faint, printable(d)))
	}
	if f.Advice != "" {
		c.out.say(indent + "-> " + printable(f.Advice))
	}
}
