package core

import (
	"slices"
	"sort"
)

// add appends e, unless the same event is there already and not yet under
// way. It tells whether it did. M Reboot stands once for each call.
func (d *durable) add(e entry) bool {
	k := kindOf(e.Code)
	if !k.keyed {
		e.CommandKey = ""
	}
	i := slices.IndexFunc(d.events, func(have entry) bool { return have.Event == e.Event && !have.sent })
	if i >= 0 && e.Code != MReboot {
		d.events[i].stuck = d.events[i].stuck || e.stuck
		return false
	}
	d.events = append(d.events, e)
	return true
}

// room tells whether one more event that does not belong to the fixed set of
// single ones can be kept. Those that go with a call have room of their own:
// what an ACS has scheduled must not keep it from hearing of a transfer.
func (d *durable) room() bool {
	n := len(d.schedules) + len(d.reboots)
	for _, e := range d.events {
		if k := kindOf(e.Code); k.keyed && !k.answer || rank(e.Code) == len(kinds) {
			n++
		}
	}
	return n < maxKeyed
}

// occur notes that an event has happened: reason enough for a session now.
func (a *Agent) occur(e entry) {
	if e.Code == Bootstrap {
		a.bootstrap(true)
		return
	}
	under := slices.ContainsFunc(a.d.events, func(have entry) bool { return have.Event == e.Event && have.sent })
	if a.d.add(e) && (!under || e.Code == ConnectionRequested) {
		a.hurry = true
	}
}

// bootstrap is the occurrence of 0 BOOTSTRAP: it discards all other events
// that were not delivered, and what an ACS has asked for ahead (TR-069
// 3.7.1.5). The promise of a restart stays, but its M Reboot dies with the
// ACS that asked for it. keepBoot: nobody was told of this boot because there
// was nobody to tell; first contact is 0 BOOTSTRAP and 1 BOOT together.
func (a *Agent) bootstrap(keepBoot bool) {
	a.d.contacted, a.d.bootstrap = "", a.set.URL
	a.d.schedules = nil
	if len(a.d.reboots) > 0 {
		a.d.reboots, a.d.restart = nil, true
	}
	a.d.events = []entry{{Event: Event{Code: Bootstrap}}}
	if keepBoot && !a.r.told {
		a.d.add(entry{Event: Event{Code: Boot}})
	}
	a.r.told = a.r.told || !keepBoot
	a.hurry, a.urgent = true, true
}

// order returns the events of the next session and marks them as under way.
func (a *Agent) order() []Event {
	sort.SliceStable(a.d.events, func(i, j int) bool { return rank(a.d.events[i].Code) < rank(a.d.events[j].Code) })
	n := min(len(a.d.events), maxEvents)
	out := make([]Event, n)
	for i := range out {
		a.d.events[i].sent = true
		out[i] = a.d.events[i].Event
	}
	return out
}

// delivered removes what the InformResponse has delivered.
func (a *Agent) delivered(url string) {
	a.d.events = slices.DeleteFunc(a.d.events, func(e entry) bool {
		if !e.sent || kindOf(e.Code).answer {
			return false
		}
		switch e.Code {
		case Bootstrap:
			a.d.contacted = url
		case Boot:
			a.r.told = true
		}
		return true
	})
}

// answered removes events that calls of their own have delivered.
func (a *Agent) answered(events []Event) {
	for _, ev := range events {
		i := slices.IndexFunc(a.d.events, func(e entry) bool { return e.Event == ev })
		if i >= 0 {
			a.d.events = slices.Delete(a.d.events, i, i+1)
		}
	}
}

// restore takes back what the session did not deliver. What must not be tried
// again is dropped, and of an event that has happened again since, one stays.
func (a *Agent) restore() {
	var kept durable
	for _, e := range a.d.events {
		if e.sent && kindOf(e.Code).keep == keepSession {
			continue
		}
		e.stuck = e.stuck || e.sent
		e.sent = false
		kept.add(e)
	}
	a.d.events = kept.events
}

// waiting returns how many events are not under way, and whether all of them
// are changes of values.
func (a *Agent) waiting() (n int, onlyChanges bool) {
	onlyChanges = true
	for _, e := range a.d.events {
		if !e.sent {
			n++
			onlyChanges = onlyChanges && e.Code == ValueChanged
		}
	}
	return n, onlyChanges && n > 0
}
