package datamodel

import (
	"slices"
	"strings"
)

// A dry run: what a transaction would write where, if it were committed.

// A Line is one value that a commit would write.
type Line struct {
	Path     string // of the parameter that asked for it, as the caller wrote it, or of its row
	Where    string // the file, or "kernel"
	What     string // what there: "guest.ssid", "mtu of eth0"
	Old, New string // "" when absent; a secret reads "***"
	Service  string // what has to take it up; "" when nothing has
	Uplink   bool   // that interrupts the way out
}

// Secret stands for a value that is not to be shown.
const Secret = "***"

// A planner is a participant that can tell, once it is prepared, what its Commit
// would write.
type planner interface{ Plan() []Line }

// plan asks every participant; of what none of them tells, it tells the values.
func (tx *Tx) plan() (lines []Line) {
	told := map[*edit]bool{}
	for _, j := range tx.join {
		p, ok := j.p.(planner)
		if !ok {
			continue
		}
		lines = append(lines, p.Plan()...)
		for _, e := range j.rows {
			told[e] = true
		}
	}
	for _, e := range tx.order {
		for _, a := range e.asked {
			if !told[e] && !slices.ContainsFunc(lines, func(l Line) bool { return l.Path == a.path }) {
				lines = append(lines, e.line(a))
			}
		}
	}
	return lines
}

// line tells an assignment by the row before and after it.
func (e *edit) line(a asked) Line {
	l := Line{Path: a.path}
	for i := range e.o.kinds {
		if e.o.name(i) != a.name {
			continue
		}
		p := e.o.param(i)
		text := func(r *row) string {
			if r == nil {
				return ""
			}
			v := fieldText(e.o.at(r, i), p.check)
			if p.hidden {
				return Mask(v)
			}
			return v
		}
		l.Old, l.New = text(e.old), text(e.new)
	}
	return l
}

// Plan tells how the file of the table changes, value by value.
func (b *keptBatch) Plan() (lines []Line) {
	line := Line{Where: b.k.name}
	if f, ok := b.k.backing.(interface{ Path() string }); ok {
		line.Where = f.Path()
	}
	for _, was := range b.was {
		if find(b.rows, was.at) < 0 {
			line.Path, line.What, line.Old = b.path(was.at, ""), strings.Join(was.at, " "), "row"
			lines = append(lines, line)
		}
	}
	for _, row := range b.rows {
		i := find(b.was, row.at)
		for _, p := range b.k.params {
			line.Old, line.New = "", fieldText(p.At(row.row), p.Check)
			if _, alias := p.At(row.row).(*Alias); alias || p.Access != ReadWrite {
				continue
			}
			if i >= 0 {
				line.Old = fieldText(p.At(b.was[i].row), p.Check)
			}
			if line.Old == line.New {
				continue
			}
			if p.Hidden {
				line.Old, line.New = Mask(line.Old), Mask(line.New)
			}
			line.Path, line.What = b.path(row.at, p.Name), strings.Join(row.at, " ")+" "+p.Name
			lines = append(lines, line)
		}
	}
	return lines
}

// path names a parameter of a row as who asked for it did.
func (b *keptBatch) path(at []Key, name string) string {
	if e := b.by[rowID("", at)]; e != nil {
		return e.path(name)
	}
	return ""
}

// Mask hides a value that is there.
func Mask(value string) string {
	if value == "" {
		return ""
	}
	return Secret
}
