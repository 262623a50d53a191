package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/acs"
)

// console takes commands from standard input. What is meant for a session
// waits for the next one; `cr` calls the device to it.
type console struct {
	s    *acs.Server
	o    serveOptions
	out  *screen
	quit func()
	to   string // the device that commands are for, "" for any
}

// run reads until the input ends; the ACS then goes on without it.
func (k *console) run(ctx context.Context, in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() && ctx.Err() == nil {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			k.do(ctx, line)
		}
	}
}

// do does one command.
func (k *console) do(ctx context.Context, line string) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "help", "?":
		k.help()
	case "quit", "exit":
		k.quit()
	case "cr":
		k.call(ctx, strings.TrimSpace(rest))
	case "devices":
		k.devices()
	case "use":
		k.to = strings.TrimSpace(rest)
	case "soap":
		k.out.showSOAP(rest != "off")
	case "violations":
		for _, v := range k.s.Violations() {
			k.out.line(red, "!", v.String())
		}
	default:
		k.queue(line)
	}
}

// queue keeps an order for the next session.
func (k *console) queue(line string) {
	o, err := parseOrder(line)
	if err != nil {
		k.out.line(red, "!", err.Error())
		return
	}
	k.s.Queue(k.to, func(c *acs.Conversation) error { return play(c, []order{o}, k.out) })
	k.out.line("", "", "kept for the next session; cr calls for one")
}

// call sends a connection request, without waiting for its answer.
func (k *console) call(ctx context.Context, key string) {
	all := k.s.Devices()
	if key == "" {
		key = k.to
	}
	if key == "" && len(all) == 1 {
		for only := range all {
			key = only
		}
	}
	url := k.o.reachURL
	if url == "" {
		url = all[key].ConnectionRequestURL
	}
	switch {
	case url == "" && key == "" && len(all) > 1:
		k.out.line(red, "!", "which device? devices lists them")
		return
	case url == "":
		k.out.line(red, "!", "no device has told a ConnectionRequestURL yet; it does so in its Inform")
		return
	}
	req := acs.ConnectionRequest{URL: url, Username: k.o.reachUser, Password: k.o.reachPassword}
	go func() { // the observer tells the rest
		if got, err := k.s.Knock(ctx, key, req); err == nil && got.Status == http.StatusUnauthorized {
			k.out.line(yellow, "!", "the device does not know user "+req.Username+" with this password; see --connreq-user")
		}
	}()
}

func (k *console) devices() {
	all := k.s.Devices()
	if len(all) == 0 {
		k.out.line("", "", "no device has come yet")
	}
	var rows [][]string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		d := all[key]
		rows = append(rows, []string{key, d.ID.Manufacturer, d.ID.ProductClass, fmt.Sprintf("%d sessions", d.Informs), d.ConnectionRequestURL})
	}
	k.out.table(rows)
}

func (k *console) help() {
	var rows [][]string
	for _, verb := range slices.Sorted(maps.Keys(orders)) {
		rows = append(rows, []string{verb, orders[verb].args, "in the next session"})
	}
	k.out.table(append(rows,
		[]string{"cr", "[DEVICE]", "connection request: call the device to a session now"},
		[]string{"devices", "", "who has come"},
		[]string{"use", "[DEVICE]", "whom commands are for; nobody: whoever comes next"},
		[]string{"soap", "[off]", "show every envelope"},
		[]string{"violations", "", "what was against the rules so far"},
		[]string{"quit", "", ""},
	))
}
