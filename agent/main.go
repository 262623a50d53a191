// Gatehouse is the management agent of a home router, and its command line:
// `gatehouse run` is the daemon, every other command talks to it over a unix
// socket in the run directory.
//
// It reads its configuration (/etc/config/gatehouse or
// /etc/gatehouse/gatehouse), keeps its state in /etc/gatehouse/state and what
// need not survive a boot in /var/run/gatehouse. docs/architecture.md lists
// every file and socket.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// version is set by the linker.
var version = "dev"

// Exit codes, for scripts.
const (
	exitOK         = 0
	exitFailed     = 1 // refused: the message says by what
	exitUsage      = 2 // the command line is wrong
	exitNotRunning = 3 // no agent answers
	exitDenied     = 4 // the caller may not
)

// A command is one word of the command line.
type command struct {
	name, args, help string
	run              func(ctx context.Context, c *invocation) error
	flags            func(*flag.FlagSet, *invocation)
}

// An invocation is one use of a command.
type invocation struct {
	dirs    dirs
	out     *screen
	args    []string
	options options
	stderr  io.Writer
}

// options are the flags of single commands.
type options struct {
	json                 bool
	next, dryRun, origin bool
	session              bool
	offline, inform      bool
	soap                 bool
	notification         int
	logLevel             string
}

func commands() []command {
	return []command{
		{"run", "", "be the agent, in the foreground", runAgent, daemonFlags},
		{"get", "PATH…", "values at or below paths", get, func(f *flag.FlagSet, c *invocation) {
			f.BoolVar(&c.options.origin, "origin", false, "show who decided each setting")
		}},
		{"set", "PATH=VALUE…", "set parameters, all of them or none", set, writeFlags},
		{"add", "TABLE [NAME=VALUE…]", "make an instance, with parameters", add, writeFlags},
		{"del", "PATH…", "delete instances", del, writeFlags},
		{"names", "[PATH…]", "what there is at or below paths; w: can be set, added to, deleted", names, func(f *flag.FlagSet, c *invocation) {
			f.BoolVar(&c.options.next, "next", false, "the next level only")
		}},
		{"attrs", "PATH…", "notification attributes; with --notify, set them", attrs, func(f *flag.FlagSet, c *invocation) {
			f.IntVar(&c.options.notification, "notify", -1, "the `notification` to set: 0 off, 1 passive, 2 active")
		}},
		{"watch", "PATH…", "values, and each change of them", watch, nil},
		{"status", "", "how the agent is doing", status, nil},
		{"log", "--session [N]", "what the last sessions were about: methods, names, faults, durations", showLog, logFlags},
		{"doctor", "[nat]", "find out why the ACS is not reached, and what to do; nat: how it could reach us", examine, doctorFlags},
		{"inform", "[EVENT]", "start a session with the ACS", inform, nil},
		{"rue", "fetch|show|reset|reload", "the provider's configuration", rue, nil},
		{"reload", "", "read the configuration file anew", reload, nil},
		{"completion", "bash", "print a completion script", completion, nil},
		{"version", "", "print the version", printVersion, nil},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who cannot wait for a clean end asks a second time
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdout *os.File, stderr io.Writer) int {
	all := commands()
	switch {
	case len(args) == 0:
		usage(stderr, all)
		return exitUsage
	case args[0] == "--version" || args[0] == "-version":
		args = append([]string{"version"}, args[1:]...)
	case args[0] == "help" && len(args) > 1:
		args = []string{args[1], "--help"}
	case slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]):
		usage(stdout, all)
		return exitOK
	}
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		fmt.Fprintf(stderr, "gatehouse: there is no command %q; `gatehouse help` lists them\n", args[0])
		return exitUsage
	}
	inv, err := all[i].parse(args[1:], stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err == nil {
		err = errors.Join(all[i].run(ctx, inv), inv.out.flush())
	}
	return report(stderr, args[0], err)
}

// parse reads the flags of a command, before, between and after its arguments.
func (c command) parse(args []string, stdout *os.File, stderr io.Writer) (*invocation, error) {
	inv := &invocation{stderr: stderr, options: options{notification: -1}}
	f := c.flagSet(inv)
	for rest := args; ; {
		if err := f.Parse(rest); errors.Is(err, flag.ErrHelp) {
			c.usage(stdout, f)
			return nil, err
		} else if err != nil {
			return nil, usageError(err.Error())
		}
		rest = f.Args()
		if len(rest) == 0 {
			break
		}
		if done := len(args) > len(rest) && args[len(args)-len(rest)-1] == "--"; done {
			inv.args = append(inv.args, rest...)
			break
		}
		inv.args = append(inv.args, rest[0])
		args, rest = rest[1:], rest[1:]
	}
	inv.out = newScreen(stdout, inv.options.json)
	return inv, nil
}

func (c command) flagSet(inv *invocation) *flag.FlagSet {
	f := flag.NewFlagSet("gatehouse "+c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	inv.dirs.flags(f)
	f.BoolVar(&inv.options.json, "json", false, "print JSON, one object a line")
	if c.flags != nil {
		c.flags(f, inv)
	}
	return f
}

// usage tells of the flags that mean something to this command; the others are
// taken so that one set of them does for every command.
func (c command) usage(w io.Writer, all *flag.FlagSet) {
	fmt.Fprintf(w, "usage: gatehouse %s\n%s\n\n", strings.TrimSpace(c.name+" [flags] "+c.args), c.help)
	all.VisitAll(func(f *flag.Flag) {
		if !c.shows(f.Name) {
			return
		}
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %-20s %s\n", strings.TrimSpace("--"+f.Name+" "+strings.ToUpper(value)), text)
	})
}

func (c command) shows(name string) bool {
	switch name {
	case "config", "factory", "state", "root":
		return c.name == "run" || c.name == "doctor"
	case "json":
		return c.name != "run" && c.name != "completion"
	case "run":
		return c.name != "completion" && c.name != "version"
	}
	return true
}

func usage(w io.Writer, all []command) {
	fmt.Fprint(w, "Gatehouse, the management agent of this router.\n\nusage: gatehouse COMMAND [flags] [arguments]\n\n")
	for _, c := range all {
		fmt.Fprintf(w, "  %-30s %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
	}
	fmt.Fprint(w, `
Every command takes --json, and --run DIR, --state DIR, --config FILE where the
agent was started with them. `+"`gatehouse COMMAND --help`"+` tells the rest.

exit status: 0 done, 1 refused, 2 wrong usage, 3 no agent is running, 4 not permitted
`)
}

func printVersion(_ context.Context, c *invocation) error {
	if c.out.json {
		return c.out.object(map[string]string{"version": version})
	}
	c.out.say("gatehouse " + version)
	return nil
}
