// The machine as a whole: uptime, boot id, host name, memory.

package linux

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/platform"
)

type system struct{ paths paths }

// line reads a file of one line.
func line(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	b, err := readFile(name, 4096)
	if err != nil {
		return "", &platform.Unavailable{Source: name, Err: err}
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	return string(bytes.TrimSpace(first)), nil
}

func (s system) Uptime(ctx context.Context) (time.Duration, error) {
	text, err := line(ctx, s.paths.uptime)
	if err != nil {
		return 0, err
	}
	d, err := parseUptime(text)
	if err != nil {
		return 0, &platform.Unavailable{Source: s.paths.uptime, Err: err}
	}
	return d, nil
}

// parseUptime reads "1234.56 789.00": seconds, of which the first are meant.
func parseUptime(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(text, " ")
	return time.ParseDuration(first + "s")
}

func (s system) BootID(ctx context.Context) (string, error)   { return line(ctx, s.paths.bootID) }
func (s system) Hostname(ctx context.Context) (string, error) { return line(ctx, s.paths.hostname) }

func (s system) Memory(ctx context.Context) (platform.Memory, error) {
	if err := ctx.Err(); err != nil {
		return platform.Memory{}, err
	}
	b, err := readFile(s.paths.meminfo, fileLimit)
	var m platform.Memory
	if err == nil {
		m, err = parseMemory(b)
	}
	if err != nil {
		return m, &platform.Unavailable{Source: s.paths.meminfo, Err: err}
	}
	return m, nil
}

// TCP reads the kernel's TCP (tcp(7)): the window is at most the receive buffer.
func (s system) TCP(ctx context.Context) (platform.TCPSetup, error) {
	rmem, err := line(ctx, s.paths.ipv4+"/tcp_rmem")
	if err != nil {
		return platform.TCPSetup{}, err
	}
	fields := strings.Fields(rmem) // minimum, default, maximum
	if len(fields) != 3 {
		return platform.TCPSetup{}, &platform.Unavailable{Source: s.paths.ipv4 + "/tcp_rmem", Err: fmt.Errorf("%q", rmem)}
	}
	largest, err := strconv.ParseUint(fields[2], 10, 32)
	if err != nil {
		return platform.TCPSetup{}, &platform.Unavailable{Source: s.paths.ipv4 + "/tcp_rmem", Err: err}
	}
	congestion, err := line(ctx, s.paths.ipv4+"/tcp_congestion_control")
	return platform.TCPSetup{MaxWindow: uint32(largest), Congestion: congestion}, err
}

// parseMemory reads /proc/meminfo (proc(5)), which counts in KiB.
func parseMemory(b []byte) (m platform.Memory, err error) {
	for l := range bytes.Lines(b) {
		name, rest, _ := strings.Cut(string(l), ":")
		var to *uint64
		switch name {
		case "MemTotal":
			to = &m.Total
		case "MemFree":
			to = &m.Free
		case "MemAvailable":
			to = &m.Available
		default:
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return m, fmt.Errorf("%s has no value", name)
		}
		n, err := strconv.ParseUint(fields[0], 10, 54)
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
		*to = n << 10
	}
	if m.Total == 0 {
		return m, fmt.Errorf("MemTotal is missing")
	}
	if m.Available == 0 { // before Linux 3.14
		m.Available = m.Free
	}
	return m, nil
}
