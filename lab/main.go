// Command gatehouse-lab is the bench: peers of the agent that a person can try
// it against and that tests are written with. `serve` is an ACS with a story on
// the terminal; `replay` plays a recorded session; `demo` tells the agent's main
// job as a story. With --tls it writes its authority's certificate where told,
// with --record one file per session.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `gatehouse-lab: peers to try an agent against

  gatehouse-lab serve [options]    an ACS; what happens is told on the terminal,
                                   and commands are read from standard input
  gatehouse-lab replay [options] FILE
                                   the ACS of a recorded session, which tells
                                   where an agent answers otherwise
  gatehouse-lab ubusd --root DIR   OpenWrt's bus with the daemons of a router on
                                   it, from the UCI files below the root
  gatehouse-lab provider [options] the provider's side: DNS and an HTTPS server with
                                   a subscriber's configuration, step by step
  gatehouse-lab demo [--soap] [--log]
                                   an agent and an ACS tell the main job, and
                                   check every sentence of it

"gatehouse-lab serve --help" lists the options.
`

func main() {
	// A background job that reads the terminal would be stopped by SIGTTIN;
	// ignored, its read fails and the ACS goes on without a console.
	signal.Ignore(syscall.SIGTTIN)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run is the command; it returns the exit code: 0 when all went well, 1 when
// something failed or a CPE broke a rule, 2 when it was not understood.
func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	switch args[0] {
	case "serve":
		return command(ctx, args, parseServe, runServe)
	case "replay":
		return command(ctx, args, parseReplay, runReplay)
	case "ubusd":
		return command(ctx, args, parseBus, runBus)
	case "provider":
		return command(ctx, args, parseProvide, runProvide)
	case "demo":
		return runDemo(ctx, args[1:])
	case "help", "-h", "--help":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "gatehouse-lab: there is no %q\n\n%s", args[0], usage)
	return 2
}

// command is the subcommand args[0]: parse reads its options, and do tells how
// many rules a CPE broke.
func command[O any](ctx context.Context, args []string, parse func([]string, io.Writer) (O, error), do func(context.Context, O) (int, error)) int {
	o, err := parse(args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	code := 2
	if err == nil {
		var broken int
		broken, err = do(ctx, o)
		code = min(broken, 1)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "gatehouse-lab %s: %v\n", args[0], err)
		code = max(code, 1)
	}
	return code
}

// isTerminal tells whether f is one and colours are welcome (no-color.org).
func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
