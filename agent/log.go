package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/control"
)

func logFlags(f *flag.FlagSet, c *invocation) {
	f.BoolVar(&c.options.session, "session", false, "the last sessions with the ACS, or the last N")
}

// showLog tells what the agent remembers. The log of the process itself is
// where the system puts it: logread, journalctl.
func showLog(ctx context.Context, c *invocation) error {
	n := 0
	switch {
	case !c.options.session:
		return usageError("--session tells of the last sessions; the agent's own log is in logread or journalctl")
	case len(c.args) > 1:
		return usageError("--session takes one number at most")
	case len(c.args) == 1:
		var err error
		if n, err = strconv.Atoi(c.args[0]); err != nil || n < 1 {
			return usageError(strconv.Quote(c.args[0]) + " is no number of sessions")
		}
	}
	none := true
	err := c.call(ctx, control.Request{Call: "log", Sessions: n}, func(l control.Line) error {
		switch {
		case l.Session == nil:
			return nil
		case c.out.json:
			return c.out.object(l.Session)
		}
		if !none {
			c.out.say("")
		}
		none = false
		c.showSession(l.Session)
		return nil
	})
	if err == nil && none && !c.out.json {
		c.out.say("no session yet")
	}
	return err
}

// showSession prints one session: a head, then a line for each step.
func (c *invocation) showSession(s *api.SessionLog) {
	head := "session " + s.ID + " of " + s.Started.Local().Format("2006-01-02 15:04:05") + " with " + s.ACS
	if s.Address != "" {
		head += " at " + s.Address
	}
	if s.RetryCount > 0 {
		head += fmt.Sprintf(", retry %d", s.RetryCount)
	}
	c.out.say(c.out.paint(cyan, printable(head)))
	var rows [][]string
	for i, step := range s.Steps {
		rows = append(rows, stepRow(step))
		if i == 0 && s.LeftOut > 0 {
			rows = append(rows, []string{"  …", "", fmt.Sprintf("%d steps are left out", s.LeftOut), "", ""})
		}
	}
	c.out.table(rows, faint, "", "", "", faint)
	switch took := s.Ended.Sub(s.Started).Round(time.Millisecond); {
	case s.Ended.IsZero():
		c.out.say("  it is still running")
	case s.Error != "":
		c.out.say("  " + c.out.paint(red, fmt.Sprintf("failed after %v (%s)", took, s.Kind)) + ": " + printable(s.Error))
	default:
		c.out.say("  " + c.out.paint(green, "went well") + fmt.Sprintf(", %v", took))
	}
}

// stepRow: when, who asks, what for, the answer, how long each side needed.
func stepRow(s api.SessionStep) []string {
	who := map[string]string{"cpe": "we", "acs": "ACS"}[s.From]
	what := strings.TrimSpace(s.Method + " " + s.About)
	if s.Method == "" {
		what = "nothing more to ask"
	}
	answer := s.Result
	if s.Fault != "" {
		answer = "fault " + s.Fault
	}
	return []string{
		fmt.Sprintf("  %.3f", float64(s.At)/1000), who, what, answer,
		fmt.Sprintf("%d ms, %d B, ACS %d ms", s.Took, s.Bytes, s.Waited),
	}
}
