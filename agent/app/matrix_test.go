package app_test

// The crash matrix: nothing lost, nothing twice. An ACS with a plan meets an
// agent that is killed, loses its power or finds its disk broken at every
// single step; whatever was answered must be so, whatever was not answered
// must be so or not at all, and in the end the plan is carried out.

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
)

const (
	pcode  = "Device.DeviceInfo.ProvisioningCode"
	lan2   = "Device.Ethernet.Interface.3.Enable" // eth2
	silent = "Device.DeviceInfo.HostName"
	table  = ms + "InformParameter."
)

// row is a row of table.
type row struct{ alias, name string }

// held is what the ACS knows of the device, as far as it can be read.
type held struct {
	code, key, link string
	active, passive int // notification of lan1 and of silent
	rows            map[uint32]row
}

func (h held) with(edit func(*held)) held {
	h.rows = maps.Clone(h.rows)
	edit(&h)
	return h
}

// An errand is one step of the ACS's plan. It is tried until it is answered.
type errand struct {
	name  string
	ask   func(c *acs.Conversation, p *planner) error
	after func(h *held, found held) // what it makes of the device
}

// planner is the ACS with its plan, and its ledger.
type planner struct {
	turn    chan struct{} // one session at a time, or who asks how it goes; a mutex would stop virtual time
	w       *world
	plan    []errand
	done    int  // errands that are done
	asked   bool // the next one was asked for, and no answer came
	want    held
	a, b    uint32          // rows that were added
	numbers map[uint32]bool // every row that was ever seen
	tries   int
	owed    []string        // events that an answer promised
	open    map[string]bool // events that may come: asked for, and not answered
	acked   map[string]int  // events that came, and the device went on
	looked  bool            // the last session has found everything as it should be
	wrong   []string
}

func (p *planner) complain(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
}

func newPlanner(w *world) *planner {
	p := &planner{w: w, turn: make(chan struct{}, 1), numbers: map[uint32]bool{}, open: map[string]bool{}, acked: map[string]int{},
		want: held{link: "true", rows: map[uint32]row{}}}
	const newAlias, told = "of-the-ACS", "Device.DeviceInfo.ModelName"
	at := func(n uint32) string { return fmt.Sprintf("%s%d.", table, n) }
	str := func(name, value string) acs.Parameter { return acs.P(name, "xsd:string", value) }
	key := func(k string) func(*held) { return func(h *held) { h.key = k } }
	added := func(k string) func(*held, held) {
		return func(h *held, found held) {
			h.key = k
			for n, r := range found.rows {
				if _, old := h.rows[n]; !old {
					h.rows[n] = row{alias: r.alias}
				}
			}
		}
	}
	p.plan = []errand{
		{"watch", func(c *acs.Conversation, _ *planner) error { return c.SetParameterAttributes(acs.Notify(lan1, 2)) },
			func(h *held, _ held) { h.active = 2 }},
		{"add a", func(c *acs.Conversation, p *planner) (err error) { p.a, err = p.add(c, "a"); return err }, added("a")},
		{"add b", func(c *acs.Conversation, p *planner) (err error) { p.b, err = p.add(c, "b"); return err }, added("b")},
		{"several", func(c *acs.Conversation, p *planner) error {
			_, err := c.SetParameterValues("several", str(pcode, "  one\ttwo  "), str(at(p.a)+"Alias", newAlias),
				str(at(p.a)+"ParameterName", told), acs.P(lan2, "xsd:boolean", "0"))
			return err
		}, func(h *held, _ held) {
			key("several")(h)
			h.code, h.link, h.rows[p.a] = "  one\ttwo  ", "false", row{newAlias, told}
		}},
		{"delete b", func(c *acs.Conversation, p *planner) error { _, err := c.DeleteObject(at(p.b), "deleted"); return err },
			func(h *held, _ held) { key("deleted")(h); delete(h.rows, p.b) }},
		{"passive", func(c *acs.Conversation, _ *planner) error { return c.SetParameterAttributes(acs.Notify(silent, 1)) },
			func(h *held, _ held) { h.passive = 1 }},
		{"soon", func(c *acs.Conversation, p *planner) error {
			return p.promise("M ScheduleInform", "soon", func(k string) error { return c.ScheduleInform(60, k) })
		}, nil},
		{"later", func(c *acs.Conversation, p *planner) error {
			return p.promise("M ScheduleInform", "later", func(k string) error { return c.ScheduleInform(300, k) })
		}, nil},
		{"reboot", func(c *acs.Conversation, p *planner) error { return p.promise("M Reboot", "restart", c.Reboot) }, nil},
	}
	return p
}

// add adds a row; its number must be one that was never seen.
func (p *planner) add(c *acs.Conversation, key string) (uint32, error) {
	n, _, err := c.AddObject(table, key)
	if err == nil && p.numbers[n] {
		p.complain("instance number %d was given again", n)
	}
	return n, err
}

// promise asks for something that is told by an event, under a key of its own.
func (p *planner) promise(code, key string, ask func(key string) error) error {
	p.tries++
	event := fmt.Sprintf("%s [%s  %d]", code, key, p.tries)
	p.open[event] = true
	err := ask(fmt.Sprintf("%s  %d", key, p.tries))
	switch {
	case err == nil:
		p.owed = append(p.owed, event)
	case acs.FaultOf(err) != nil:
		delete(p.open, event)
	}
	return err
}

// session is what the ACS does in each session: it looks, and goes on where the
// plan stopped.
func (p *planner) session(c *acs.Conversation) error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.heard(c.Inform())
	p.looked = false
	found, err := p.look(c)
	if err != nil {
		return err
	}
	p.settle(found)
	for p.done < len(p.plan) {
		e := p.plan[p.done]
		p.asked = true
		err := e.ask(c, p)
		if f := acs.FaultOf(err); f != nil {
			return p.refused(c, e, f)
		}
		if err != nil {
			return err
		}
		p.finish(e, found)
		if strings.HasPrefix(e.name, "add ") { // its number is known by now
			n := map[string]uint32{"add a": p.a, "add b": p.b}[e.name]
			p.want.rows[n], p.numbers[n] = row{}, true
		}
	}
	if found, err = p.look(c); err == nil {
		p.compare("at the end of the session", found)
		p.looked = true
	}
	return err
}

func (p *planner) finish(e errand, found held) {
	if e.after != nil {
		p.want = p.want.with(func(h *held) { e.after(h, found) })
	}
	p.done++
	p.w.chapter.Store(int32(p.done))
	p.asked = false
}

// refused: a fault says that nothing was done.
func (p *planner) refused(c *acs.Conversation, e errand, f *acs.Fault) error {
	p.asked = false
	if p.w.blow.err == nil {
		p.complain("%s: %v", e.name, f)
	}
	found, err := p.look(c)
	if err == nil {
		p.compare(e.name+" was refused", found)
	}
	return err
}

// settle finds out what became of an errand that was not answered.
func (p *planner) settle(found held) {
	if p.asked && p.plan[p.done].after != nil && !p.same(found, p.want) {
		e := p.plan[p.done]
		for n := range found.rows {
			if _, old := p.want.rows[n]; !old && p.numbers[n] {
				p.complain("%s: instance number %d was given again", e.name, n)
			}
			if e.name == "add a" {
				p.a = n
			} else if e.name == "add b" && n != p.a {
				p.b = n
			}
		}
		p.finish(e, found)
	}
	p.asked = false
	p.compare("at the beginning of the session", found)
}

func (p *planner) compare(when string, found held) {
	for n := range found.rows {
		p.numbers[n] = true
	}
	if !p.same(found, p.want) {
		p.complain("%s, %d errands done: found %+v, want %+v", when, p.done, found, p.want)
	}
}

// same leaves out the aliases that the device makes up.
func (p *planner) same(found, want held) bool {
	for n, r := range found.rows {
		if w, ok := want.rows[n]; ok && w.alias == "" && strings.HasPrefix(r.alias, "cpe-") {
			found = found.with(func(h *held) { h.rows[n] = row{"", r.name} })
		}
	}
	return reflect.DeepEqual(found, want)
}

// look reads what the ACS knows of the device.
func (p *planner) look(c *acs.Conversation) (held, error) {
	h := held{rows: map[uint32]row{}}
	v, err := c.GetParameterValues(pcode, ms+"ParameterKey", lan2, table)
	if err != nil {
		return h, err
	}
	for _, x := range v {
		switch x.Name {
		case pcode:
			h.code = x.Value
		case ms + "ParameterKey":
			h.key = x.Value
		case lan2:
			h.link = map[string]string{"1": "true", "0": "false"}[x.Value]
			if h.link == "" {
				h.link = x.Value
			}
		default:
			var n uint32
			rest := strings.TrimPrefix(x.Name, table)
			if _, err := fmt.Sscanf(rest, "%d.", &n); err != nil {
				return h, fmt.Errorf("%s: %w", x.Name, err)
			}
			r := h.rows[n]
			switch _, leaf, _ := strings.Cut(rest, "."); leaf {
			case "Alias":
				r.alias = x.Value
			case "ParameterName":
				r.name = x.Value
			}
			h.rows[n] = r
		}
	}
	at, err := c.GetParameterAttributes(lan1, silent)
	if err != nil {
		return h, err
	}
	for _, a := range at {
		if a.Name == lan1 {
			h.active = a.Notification
		} else {
			h.passive = a.Notification
		}
	}
	return h, nil
}

// heard takes note of the events of a session in which the device went on
// after our InformResponse: those must never come again.
func (p *planner) heard(i *acs.Inform) {
	for _, e := range i.Events {
		name := eventName(e)
		switch {
		case e.Code == "1 BOOT":
			name += fmt.Sprintf(" %d", p.w.boots)
		case e.Code != "0 BOOTSTRAP" && !strings.HasPrefix(e.Code, "M "):
			continue
		}
		p.acked[name]++
		// On a disk that cannot be written nobody can remember.
		if p.acked[name] > 1 && p.w.blow.err == nil {
			p.complain("%s came again after it had been answered", name)
		}
	}
}

func eventName(e acs.Event) string {
	if e.CommandKey == "" {
		return e.Code
	}
	return e.Code + " [" + e.CommandKey + "]"
}

// came lists the events of every Inform that was answered.
func (p *planner) came() map[string]bool {
	all := map[string]bool{}
	for _, s := range p.w.acs.Sessions() {
		for _, e := range s.Inform.Events {
			all[eventName(e)] = true
		}
	}
	return all
}

// finished tells whether the plan is done, and everything told.
func (p *planner) finished() (planned, all bool) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	planned = p.done == len(p.plan)
	came := p.came()
	all = planned && p.looked && !slices.ContainsFunc(p.owed, func(e string) bool { return !came[e] })
	return planned, all
}

// outlive lets the agent live, again and again, until the plan is carried out.
func (p *planner) outlive() {
	w := p.w
	l := w.begin()
	defer func() { w.stop, w.done = l.stop, l.ended }()
	healed := false
	for range 30 {
		what, err := l.wait(3 * time.Minute)
		planned, all := p.finished()
		_, hit := w.so()
		switch {
		case what == crashed:
			w.end(l, w.blow.loss)
			l = w.begin()
		case what == restart:
			w.end(l, storetest.PowerCut)
			l = w.begin()
		case what == gone && (w.blow.err == nil || !hit):
			p.complain("the agent ended: %v", err)
			return
		case what == gone: // procd starts it again
			w.end(l, storetest.Kill)
			l = w.begin()
		case hit && w.blow.err != nil && !healed: // is it on disk, what was promised?
			healed = true
			w.end(l, storetest.PowerCut)
			l = w.begin()
		case planned && w.cable:
			w.cable = false
			w.router.SetLink("eth1", false)
		case all && p.told(lan1) != "Up":
			return
		default: // as an operator does who waits for the device
			if err := w.agent.API().Inform(context.Background(), root, ""); err != nil {
				p.complain("%v", err)
			}
		}
	}
	p.complain("after hours, not all is done: %d errands, owed %q, came %v, told %q", p.done, p.owed, p.acked, p.told(lan1))
}

// told is what Informs have last said of a parameter.
func (p *planner) told(name string) (value string) {
	for _, s := range p.w.acs.Sessions() {
		if v, ok := s.Inform.Parameters.Get(name); ok {
			value = v
		}
	}
	return value
}

// audit looks at what is left when everything is over.
func (p *planner) audit() {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	came := p.came()
	if !came["0 BOOTSTRAP"] || !came["1 BOOT"] {
		p.complain("no BOOTSTRAP or no BOOT: %v", came)
	}
	for name := range came {
		if strings.HasPrefix(name, "M ") && !p.open[name] {
			p.complain("%s was never asked for, or refused", name)
		}
	}
	for name, text := range p.w.state.Files("/state") {
		if strings.Contains(name, ".damaged") || strings.Contains(name, ".v") || strings.HasSuffix(name, ".tmp") ||
			name == "journal" && strings.Count(text, "\n") > 1 {
			p.complain("left on flash: %s %q", name, text)
		}
	}
	if st := p.w.status(); st.StoreError != "" || st.RetryCount != 0 {
		p.complain("status: %+v", st)
	}
}

// hurt plays the plan under one blow and returns the names of all steps.
func hurt(t *testing.T, b blow) (steps []passed) {
	t.Helper()
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.broken = []string{string(acs.RuleConnection), string(acs.RuleCookie), string(acs.RuleHTTP)}
		if b.at != "" && b.loss != storetest.Kill { // no good-bye: the old session still stands open
			h.broken = append(h.broken, string(acs.RuleOrder))
		}
		h.edit = func(c *appConfig) {
			c.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
		}
		w := newWorld(h, b)
		p := newPlanner(w)
		h.acs.Script(p.session)
		p.outlive()
		if len(p.wrong) == 0 {
			p.audit()
		}
		for _, problem := range p.wrong[:min(3, len(p.wrong))] {
			t.Errorf("%v: %s", b, problem)
		}
		var hit bool
		if steps, hit = w.so(); b.at != "" && !hit {
			t.Errorf("%v: it never came to that", b)
		}
	})
	return steps
}

// blows are what can happen at a step. What lies in memory, and what the other
// side of a silent wire has, is the same after a loss of power as a step before:
// those cases are left out.
func blows(step string) (all []blow) {
	what := strings.Fields(step)
	add := func(b blow) { b.at = step; all = append(all, b) }
	where, call := what[0], what[1]
	add(blow{loss: storetest.Kill})
	if where == "flash" || call == "dials" || call == "receives" {
		add(blow{loss: storetest.PowerCut})
	}
	writes := call == "write" || call == "sends"
	if writes && !strings.Contains(step, " more ") { // the rest of a message
		add(blow{loss: storetest.Kill, torn: true})
	}
	if where == "wire" {
		return all
	}
	add(blow{err: syscall.EIO, torn: writes})
	if writes || call == "create" || call == "mkdir" {
		add(blow{err: syscall.ENOSPC, lasts: true, torn: writes})
	}
	if where == "flash" {
		add(blow{err: syscall.EROFS, lasts: true})
	}
	if where == "flash" && writes {
		add(blow{loss: storetest.EntryTorn, torn: true})
	}
	return all
}
