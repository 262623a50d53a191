package core

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An entry is an event that waits to be delivered.
type entry struct {
	Event
	line  string // what stands for it on disk; "": its event line
	sent  bool   // the running session has it
	stuck bool   // a session has failed to deliver it, or the agent stops
}

// A schedule is a ScheduleInform that is not due yet.
type schedule struct {
	key   string
	wall  time.Time     // when it is due, by the wall clock at the time of asking
	delay time.Duration // as asked for: never waited longer than this
	due   time.Time     // the same by the monotonic clock
	ours  bool          // due was counted in this process, and is the truth
}

func (s schedule) line() string {
	return fmt.Sprintf("inform %s %d %s", s.wall.UTC().Format(time.RFC3339), s.delay/time.Second, strconv.Quote(s.key))
}

// durable is what survives a power cut. A promise stands here before it is
// made, and leaves when it has been kept.
type durable struct {
	contacted string     // the last URL whose BOOTSTRAP Inform was answered
	bootstrap string     // while contacted is "": the URL that is to get one; its occurrence has discarded what it had to
	events    []entry    // undelivered
	schedules []schedule // not due yet
	reboots   []string   // keys of the Reboot calls of this boot
	restart   bool       // a restart is due, without a key
	factory   bool       // and it is to reset the platform, too
	wipe      bool       // a factory reset is due
}

func (d durable) clone() durable {
	d.events = slices.Clone(d.events)
	d.schedules = slices.Clone(d.schedules)
	d.reboots = slices.Clone(d.reboots)
	return d
}

// volatile is what survives the process, not the boot.
type volatile struct {
	told      bool      // 1 BOOT was delivered, or discarded by a BOOTSTRAP
	retry     uint32    // failed attempts since the last session that went well
	notBefore time.Time // wall time before which the ACS at busy does not want us
	busy      string    // its URL
	leaves    uint32    // restarts of the device that were asked for during this boot
	spent     bool      // DelayReboot still stands as an earlier boot has carried it out
}

// inFlash tells whether e must survive a power cut. A 2 PERIODIC that the
// first session delivers never wears the flash.
func (e entry) inFlash() bool {
	return e.Code != Bootstrap && e.Code != Scheduled && kindOf(e.Code).keep == keepAlways && (e.Code != Periodic || e.stuck)
}

// inRun tells whether e must survive the process only. BOOT, BOOTSTRAP and
// VALUE CHANGE are found again at the start from what was told.
func (e entry) inRun() bool {
	switch e.Code {
	case Bootstrap, Boot, Scheduled, ValueChanged:
		return false
	}
	return kindOf(e.Code).keep != keepSession && !e.inFlash()
}

func (e entry) text() string {
	if e.line != "" {
		return e.line
	}
	return "event " + strconv.Quote(e.Code) + " " + strconv.Quote(e.CommandKey)
}

// encode returns the text of d, as New reads it. The lines are sorted, so
// that a line that changes its meaning by a reboot need not be written again.
func (d durable) encode(boot string) []byte {
	var lines []string
	for _, e := range d.events {
		if e.inFlash() {
			lines = append(lines, e.text())
		}
	}
	for _, s := range d.schedules {
		lines = append(lines, s.line())
	}
	for _, key := range d.reboots {
		lines = append(lines, rebootLine(boot, key))
	}
	switch {
	case d.factory:
		lines = append(lines, "factory "+strconv.Quote(boot))
	case d.restart:
		lines = append(lines, "restart "+strconv.Quote(boot))
	}
	if d.wipe {
		lines = append(lines, "wipe")
	}
	switch {
	case d.contacted != "":
		lines = append(lines, "contacted "+strconv.Quote(d.contacted))
	case d.bootstrap != "" && len(lines) > 0: // without other events there is nothing that it could discard again
		lines = append(lines, "bootstrap "+strconv.Quote(d.bootstrap))
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n") + "\n")
}

func rebootLine(boot, key string) string {
	return fmt.Sprintf("reboot %s %s", strconv.Quote(boot), strconv.Quote(key))
}

// encodeRun returns the text of what survives the process.
func (a *Agent) encodeRun() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "boot %q\n", a.cfg.BootID)
	if a.r.told {
		fmt.Fprintln(&b, "told")
	}
	if a.r.retry > 0 {
		fmt.Fprintf(&b, "retry %d\n", a.r.retry)
	}
	if !a.r.notBefore.IsZero() {
		fmt.Fprintf(&b, "notbefore %s %q\n", a.r.notBefore.UTC().Format(time.RFC3339), a.r.busy)
	}
	if a.r.leaves > 0 {
		fmt.Fprintf(&b, "leaves %d\n", a.r.leaves)
	}
	if a.r.spent {
		fmt.Fprintln(&b, "spent")
	}
	for _, e := range a.d.events {
		if e.inRun() {
			fmt.Fprintln(&b, e.text())
		}
	}
	return b.Bytes()
}

// load reads both files. Lines that it does not understand are left out with
// a warning: an agent that forgot something can still be managed.
func (a *Agent) load() (booted bool) {
	booted = a.loadRun()
	gone := booted || a.r.leaves >= maxLeaves
	a.parseFlash(a.flash.load(a), gone)
	return booted
}

func (a *Agent) parseFlash(text []byte, booted bool) {
	for line := range strings.Lines(string(text)) {
		if err := a.d.parse(strings.TrimSuffix(line, "\n"), a.cfg.BootID, booted); err != nil {
			a.log.Warn("a line of the event file is left out", "line", line, "err", err)
		}
	}
}

// maxLeaves is how often a restart is tried when the boot id does not change
// by it. Then it counts as done: a device must not restart for ever because
// of what it is run in.
const maxLeaves = 3

// loadRun reads what survives the process. It tells whether the device has
// booted since it was written: another boot id, or no file (a container keeps
// its boot id, and loses its file system in memory).
func (a *Agent) loadRun() (booted bool) {
	text := a.run.load(a)
	first := true
	for line := range strings.Lines(string(text)) {
		f, err := fields(strings.TrimSuffix(line, "\n"))
		if err == nil && first {
			if len(f) != 2 || f[0] != "boot" || f[1] != a.cfg.BootID {
				return true
			}
			first = false
			continue
		}
		if err == nil {
			err = a.parseRun(f)
		}
		if err != nil {
			a.log.Warn("a line of the run file is left out", "line", line, "err", err)
		}
	}
	return first && a.cfg.Run != nil
}

func (a *Agent) parseRun(f []string) (err error) {
	switch {
	case f[0] == "told":
		a.r.told = true
	case f[0] == "spent":
		a.r.spent = true
	case f[0] == "retry" && len(f) == 2:
		a.r.retry, err = number(f[1])
	case f[0] == "leaves" && len(f) == 2:
		a.r.leaves, err = number(f[1])
	case f[0] == "notbefore" && len(f) == 3:
		a.r.notBefore, err = time.Parse(time.RFC3339, f[1])
		a.r.busy = f[2]
	case f[0] == "event" && len(f) == 3:
		a.d.add(entry{Event: Event{f[1], f[2]}})
	default:
		err = errors.New("not understood")
	}
	return err
}

// parse takes in one line of the flash file. Calls of Reboot become events
// when the device has booted since, and remain promises when it has not.
func (d *durable) parse(line, boot string, booted bool) error {
	f, err := fields(line)
	if err != nil {
		return err
	}
	switch {
	case f[0] == "contacted" && len(f) == 2:
		d.contacted = f[1]
	case f[0] == "bootstrap" && len(f) == 2:
		d.bootstrap = f[1]
	case f[0] == "event" && len(f) == 3:
		d.add(entry{Event: Event{f[1], f[2]}, stuck: true})
	case f[0] == "inform" && len(f) == 4:
		s := schedule{key: f[3]}
		if s.wall, err = time.Parse(time.RFC3339, f[1]); err != nil {
			return err
		}
		n, err := number(f[2])
		if err != nil {
			return err
		}
		s.delay = time.Duration(n) * time.Second
		d.schedules = append(d.schedules, s)
	case f[0] == "reboot" && len(f) == 3:
		switch e := (entry{Event: Event{MReboot, f[2]}, stuck: true}); {
		case f[1] != boot: // the usual way: nothing to write before it is delivered
			e.line = line
			d.add(e)
		case booted:
			d.add(e)
		default:
			d.reboots = append(d.reboots, f[2])
		}
	case f[0] == "restart" && len(f) == 2:
		d.restart = f[1] == boot && !booted
	case f[0] == "factory" && len(f) == 2:
		d.factory = f[1] == boot && !booted
		d.restart = d.factory
	case f[0] == "wipe":
		d.wipe = true
	default:
		return errors.New("not understood")
	}
	return nil
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// fields splits a line into bare words and quoted strings; at least one.
func fields(line string) ([]string, error) {
	var out []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			out, line = append(out, word), rest
			continue
		}
		q, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, err
		}
		s, err := strconv.Unquote(q)
		if err != nil {
			return nil, err
		}
		out, line = append(out, s), line[len(q):]
	}
	if len(out) == 0 {
		return nil, errors.New("empty")
	}
	return out, nil
}

// A saver writes a file when its text is another one than what lies there.
type saver struct {
	b      Backing
	unread bool // what lies there could not be read yet
	last   []byte
	unsure bool      // a Save failed: nobody knows what lies there
	again  time.Time // when to try again; zero: nothing is left to save
}

func (s *saver) load(a *Agent) []byte {
	if s.b == nil {
		return nil
	}
	text, err := s.b.Load()
	if s.unread = err != nil && !errors.Is(err, fs.ErrNotExist); s.unread {
		a.log.Error("the state cannot be read, starting without it", "err", err)
	}
	s.last = text
	return text
}

var errUnread = errors.New("the undelivered events could not be read, and are not written over")

// reread tries again to read the flash, once a minute or now, for it is not
// written over before that: what lies there joins what has come since.
func (a *Agent) reread(now bool) error {
	s := &a.flash
	if !s.unread {
		return nil
	}
	if !now && a.now.Before(s.again) {
		return errUnread
	}
	text, err := s.b.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.unsure, s.again = true, a.now.Add(time.Minute)
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	a.log.Warn("the undelivered events can be read again")
	s.unread, s.last, s.unsure, s.again = false, text, false, time.Time{}
	contacted, bootstrap := a.d.contacted, a.d.bootstrap
	a.parseFlash(text, false)
	if contacted != "" || bootstrap != "" {
		a.d.contacted, a.d.bootstrap = contacted, bootstrap
	}
	return nil
}

// save brings text to disk. After a failure it waits a minute before it
// tries again, unless somebody waits for the answer: now.
func (s *saver) save(text []byte, at time.Time, now bool) error {
	if s.b == nil || !s.unsure && bytes.Equal(text, s.last) || !now && at.Before(s.again) {
		return nil
	}
	if err := s.b.Save(text); err != nil {
		s.unsure, s.again = true, at.Add(time.Minute)
		return err
	}
	s.last, s.unsure, s.again = text, false, time.Time{}
	return nil
}
