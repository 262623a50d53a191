package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"gatehouse/lab/demo"
)

// runDemo tells the story; exit code 0 when all of it held.
func runDemo(ctx context.Context, args []string) int {
	f := flag.NewFlagSet("gatehouse-lab demo", flag.ContinueOnError)
	o := demo.Options{Out: os.Stdout, Color: isTerminal(os.Stdout)}
	f.BoolVar(&o.SOAP, "soap", false, "show every envelope, secrets masked")
	f.BoolVar(&o.Log, "log", false, "show the agent's log on standard error")
	f.BoolVar(&o.Memory, "memory", false, "use the router in memory even as root")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if demo.NeedsNamespace() && !o.Memory {
		if code, err := again(args); err == nil {
			return code
		} else {
			fmt.Fprintln(os.Stderr, "no network namespace can be had here, so the router lives in memory:", err)
		}
	}
	if err := demo.Run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse-lab demo:", err)
		return 1
	}
	return 0
}

// again runs the same command in a network namespace of its own, which dies
// with it.
func again(args []string) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), demo.Namespace())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	signal.Ignore(os.Interrupt) // the terminal sends it to the child, too
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
