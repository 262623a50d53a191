package main

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/lab/acs"
)

// order is one thing to do in a session.
type order func(c *acs.Conversation, out *screen) error

// orders are the verbs that a session can be given.
var orders = map[string]struct {
	args string // for help
	make func(args []string) (order, error)
}{
	"get":      {"PATH…", makeGet},
	"set":      {"PATH=VALUE…", makeSet},
	"names":    {"[PATH] [next]", makeNames},
	"attrs":    {"PATH…", makeAttrs},
	"notify":   {"PATH 0…6", makeNotify},
	"add":      {"TABLE.", makeAdd},
	"del":      {"ROW.", makeDelete},
	"methods":  {"", makeMethods},
	"reboot":   {"[KEY]", makeReboot},
	"reset":    {"", makeReset},
	"schedule": {"SECONDS [KEY]", makeSchedule},
	"download": {"firmware|config|TYPE URL [KEY]", makeDownload},
	"upload":   {"config|log|TYPE URL [KEY]", makeUpload},
	"cancel":   {"KEY", makeCancel},
	"queue":    {"", makeQueue},
}

// parseOrder reads one line: a verb and its arguments, in quotes where they
// hold blanks.
func parseOrder(line string) (order, error) {
	words, err := split(line)
	if err != nil {
		return nil, err
	}
	return newOrder(words[0], words[1:])
}

func newOrder(name string, args []string) (order, error) {
	verb := orders[name]
	if verb.make == nil {
		return nil, fmt.Errorf("there is no %q; help lists what there is", name)
	}
	o, err := verb.make(args)
	if err != nil {
		return nil, fmt.Errorf("%w; say: %s %s", err, name, verb.args)
	}
	return o, nil
}

// split takes a line apart at blanks that are not between double quotes.
func split(line string) ([]string, error) {
	var words []string
	var b strings.Builder
	inside, some := false, false
	for _, r := range line {
		switch {
		case r == '"':
			inside, some = !inside, true
		case r == ' ' && !inside:
			if some {
				words = append(words, b.String())
			}
			b.Reset()
			some = false
		default:
			b.WriteRune(r)
			some = true
		}
	}
	if some {
		words = append(words, b.String())
	}
	switch {
	case inside:
		return nil, fmt.Errorf("a quote is not closed")
	case len(words) == 0:
		return nil, fmt.Errorf("nothing said")
	}
	return words, nil
}

// play does orders in a session. A fault is told and the next order follows; a
// lost session ends it.
func play(c *acs.Conversation, all []order, out *screen) error {
	for _, o := range all {
		err := o(c, out)
		if err != nil && acs.FaultOf(err) == nil {
			return err
		}
	}
	return nil
}

func makeGet(args []string) (order, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("get what?")
	}
	return func(c *acs.Conversation, out *screen) error {
		got, err := c.GetParameterValues(args...)
		rows := make([][]string, len(got))
		for i, p := range got {
			rows[i] = []string{p.Name, strings.TrimPrefix(p.Type, "xsd:"), acs.Mask(p.Name, p.Value)}
		}
		out.table(rows)
		return err
	}, nil
}

// makeSet sets with the type that the CPE gives the parameter itself; a path
// that cannot be read first is set as a string.
func makeSet(args []string) (order, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("set what?")
	}
	ps := make([]acs.Parameter, len(args))
	for i, a := range args {
		path, value, ok := strings.Cut(a, "=")
		if !ok || path == "" {
			return nil, fmt.Errorf("%q has no value", a)
		}
		ps[i] = acs.P(path, "xsd:string", value)
	}
	return func(c *acs.Conversation, out *screen) error {
		typed := append([]acs.Parameter(nil), ps...)
		for i, p := range typed {
			got, err := c.GetParameterValues(p.Name)
			if err != nil && acs.FaultOf(err) == nil {
				return err
			}
			if len(got) == 1 && got[0].Type != "" {
				typed[i].Type = "xsd:" + got[0].Type[strings.IndexByte(got[0].Type, ':')+1:]
			}
		}
		status, err := c.SetParameterValues("lab", typed...)
		if err == nil && status == 1 {
			out.line("", "", "accepted; in force after the session")
		}
		return err
	}, nil
}

func makeNames(args []string) (order, error) {
	next := len(args) > 0 && args[len(args)-1] == "next"
	if next {
		args = args[:len(args)-1]
	}
	if len(args) > 1 {
		return nil, fmt.Errorf("one path at a time")
	}
	path := strings.Join(args, "")
	return func(c *acs.Conversation, out *screen) error {
		got, err := c.GetParameterNames(path, next)
		rows := make([][]string, len(got))
		for i, p := range got {
			rows[i] = []string{p.Name, map[bool]string{true: "writable"}[p.Writable]}
		}
		out.table(rows)
		return err
	}, nil
}

func makeAttrs(args []string) (order, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("whose?")
	}
	return func(c *acs.Conversation, out *screen) error {
		got, err := c.GetParameterAttributes(args...)
		rows := make([][]string, len(got))
		for i, a := range got {
			rows[i] = []string{a.Name, strconv.Itoa(a.Notification), strings.Join(a.AccessList, ",")}
		}
		out.table(rows)
		return err
	}, nil
}

func makeNotify(args []string) (order, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("a path and a number")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, fmt.Errorf("%q is no number", args[1])
	}
	return func(c *acs.Conversation, _ *screen) error {
		return c.SetParameterAttributes(acs.Notify(args[0], n))
	}, nil
}

func makeAdd(args []string) (order, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("one table")
	}
	return func(c *acs.Conversation, out *screen) error {
		n, _, err := c.AddObject(args[0], "lab")
		if err == nil {
			out.line("", "", fmt.Sprintf("added %s%d.", args[0], n))
		}
		return err
	}, nil
}

func makeDelete(args []string) (order, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("one row")
	}
	return func(c *acs.Conversation, _ *screen) error {
		_, err := c.DeleteObject(args[0], "lab")
		return err
	}, nil
}

func makeMethods([]string) (order, error) {
	return func(c *acs.Conversation, _ *screen) error {
		_, err := c.GetRPCMethods()
		return err
	}, nil
}

func makeReboot(args []string) (order, error) {
	return func(c *acs.Conversation, _ *screen) error { return c.Reboot(strings.Join(args, " ")) }, nil
}

func makeReset([]string) (order, error) {
	return func(c *acs.Conversation, _ *screen) error { return c.FactoryReset() }, nil
}

func makeSchedule(args []string) (order, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("when?")
	}
	n, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%q is no number of seconds", args[0])
	}
	return func(c *acs.Conversation, _ *screen) error {
		return c.ScheduleInform(uint32(n), strings.Join(args[1:], " "))
	}, nil
}
