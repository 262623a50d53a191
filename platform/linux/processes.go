// The process table and the load of the CPU, from /proc.

package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"gatehouse/platform"
)

// processes reads /proc/<pid>/stat and cmdline. It keeps the CPU counters of
// the call before, to tell the load since then.
type processes struct {
	paths paths

	mu   sync.Mutex
	last cpuTimes
	load uint32
}

// commandLimit bounds the command line of a process.
const commandLimit = 512

// Processes yields what runs. A process that ends meanwhile is left out.
func (p *processes) Processes(ctx context.Context) iter.Seq2[platform.Process, error] {
	return func(yield func(platform.Process, error) bool) {
		dir, err := os.Open(p.paths.proc)
		if err != nil {
			yield(platform.Process{}, &platform.Unavailable{Source: p.paths.proc, Err: err})
			return
		}
		defer dir.Close()
		for {
			names, err := dir.Readdirnames(64)
			for _, name := range names {
				if err := ctx.Err(); err != nil {
					yield(platform.Process{}, err)
					return
				}
				pid, err := strconv.ParseUint(name, 10, 32)
				if err != nil {
					continue // not a process
				}
				row, err := p.process(filepath.Join(p.paths.proc, name))
				if err != nil {
					continue // it has ended
				}
				row.PID = uint32(pid)
				if !yield(row, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) || len(names) == 0 && err == nil {
				return
			}
			if err != nil {
				yield(platform.Process{}, &platform.Unavailable{Source: p.paths.proc, Err: err})
				return
			}
		}
	}
}

func (p *processes) process(dir string) (platform.Process, error) {
	stat, err := readFile(filepath.Join(dir, "stat"), 4096)
	if err != nil {
		return platform.Process{}, err
	}
	row, err := parseProcess(string(stat), uint64(os.Getpagesize()))
	if err != nil {
		return row, err
	}
	// A kernel thread, and a zombie, have an empty command line.
	if cmd, err := readFile(filepath.Join(dir, "cmdline"), commandLimit); err == nil && len(cmd) > 0 {
		row.Command = commandLine(cmd)
	}
	return row, nil
}

// commandLine prints arguments that are separated by NUL.
func commandLine(b []byte) string {
	b = bytes.TrimRight(b, "\x00")
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, string(b)), "?")
}

var errEnded = errors.New("the process has ended")

// parseProcess reads /proc/<pid>/stat (proc(5)): the name stands in brackets
// and may itself contain them, so the last one counts.
func parseProcess(stat string, page uint64) (row platform.Process, err error) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return row, fmt.Errorf("stat has no name")
	}
	row.Command = "[" + commandLine([]byte(stat[open+1:end])) + "]"
	f := strings.Fields(stat[end+1:]) // f[0] is field 3 of the manual
	if len(f) < 22 {
		return row, fmt.Errorf("stat has %d fields", len(f)+2)
	}
	switch f[0] {
	case "R":
		row.State = "Running"
	case "D":
		row.State = "Uninterruptible"
	case "T", "t":
		row.State = "Stopped"
	case "Z":
		row.State = "Zombie"
	case "I":
		row.State = "Idle"
	case "X", "x":
		return row, errEnded
	default:
		row.State = "Sleeping"
	}
	user, err1 := strconv.ParseUint(f[11], 10, 48)
	sys, err2 := strconv.ParseUint(f[12], 10, 48)
	prio, err3 := strconv.ParseInt(f[15], 10, 32)
	resident, err4 := strconv.ParseInt(f[21], 10, 48)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return row, err
	}
	row.CPUTime = ticks(user + sys)
	row.Size = uint64(max(0, resident)) * page
	row.Priority = priority(prio)
	return row, nil
}

// priority maps the kernel's -100 (real time) .. 39 (nice 19) to the 0
// (highest) .. 99 of TR-181.
func priority(kernel int64) uint32 {
	return uint32((min(max(kernel, -100), 39) + 100) * 99 / 139)
}

type cpuTimes struct{ busy, all uint64 }

// CPUUsage is the load of all processors since the call before.
func (p *processes) CPUUsage(ctx context.Context) (uint32, error) {
	text, err := line(ctx, p.paths.stat)
	if err != nil {
		return 0, err
	}
	now, err := parseCPU(text)
	if err != nil {
		return 0, &platform.Unavailable{Source: p.paths.stat, Err: err}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := now.all - p.last.all; now.all > p.last.all && now.busy >= p.last.busy {
		p.load = uint32(min(100, (100*(now.busy-p.last.busy)+all/2)/all))
	}
	p.last = now
	return p.load, nil
}

// parseCPU reads the first line of /proc/stat: user nice system idle iowait
// irq softirq steal guest guest_nice, where guests are part of user.
func parseCPU(text string) (t cpuTimes, err error) {
	f := strings.Fields(text)
	if len(f) < 5 || f[0] != "cpu" {
		return t, fmt.Errorf("%q is not the line of all processors", text)
	}
	for i, s := range f[1:min(len(f), 9)] {
		n, err := strconv.ParseUint(s, 10, 57)
		if err != nil {
			return t, err
		}
		t.all += n
		if i != 3 && i != 4 { // idle, iowait
			t.busy += n
		}
	}
	return t, nil
}
