package app

import (
	"errors"
	"io/fs"

	"gatehouse/datamodel"
	"gatehouse/internal/store"
)

// The files of the aftermath: one record a line, what it belongs to before it.
//
//	boot	6a1f…           in memory only
//	owed	reload	network   work that belongs to no transaction
//	commit	uplink         a transaction; uplink: it is on trial
//	undo	network W3si…  how to take it back
//	after	reload	wifi     its work

// encode renders the commitments. Flash does not hold the work: a reboot does it.
func (m *aftermath) encode(list []*commitment, flash bool) (b []byte) {
	if !flash {
		b = store.AppendLine(b, "boot", m.bootID)
		for _, act := range m.owed {
			b = store.AppendLine(b, "owed", act.Name, act.Arg)
		}
	}
	for _, c := range list {
		kind := ""
		if c.uplink {
			kind = "uplink"
		}
		b = store.AppendLine(b, "commit", kind)
		b = store.AppendLine(b, "undo", string(c.undo))
		for _, act := range c.after {
			if !flash {
				b = store.AppendLine(b, "after", act.Name, act.Arg)
			}
		}
	}
	return b
}

// save writes what has changed. An error says that what is on trial would not
// survive a power cut. What cannot be kept in memory is only the worse for a
// process that dies.
func (m *aftermath) save() error {
	if len(m.list) == 0 && len(m.owed) == 0 {
		return errors.Join(m.run.Remove(), m.clearFlash())
	}
	if err := m.run.Save(m.encode(m.list, false)); err != nil {
		m.log.Warn("what is left to do would not survive the process", "err", err)
	}
	for i, c := range m.list {
		if c.uplink {
			m.onFlash = true
			return m.flash.Save(m.encode(m.list[i:], true))
		}
	}
	return m.clearFlash()
}

// clearFlash spares the flash where there is nothing.
func (m *aftermath) clearFlash() error {
	if !m.onFlash {
		return nil
	}
	err := m.flash.Remove()
	m.onFlash = err != nil
	return err
}

func (m *aftermath) saveOrWarn() {
	if err := m.save(); err != nil {
		m.log.Warn("what may have to be taken back is not on disk as it should be", "err", err)
	}
}

// load reads what an earlier process has left: what lies in memory if that is
// of this boot, else what lies on flash.
func (m *aftermath) load() {
	body, err := m.run.Load()
	boot := ""
	if err == nil {
		boot = m.parse(body, false)
	}
	if boot == m.bootID && boot != "" {
		m.onFlash = true // maybe
		return
	}
	m.list, m.owed = nil, nil
	body, err = m.flash.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Error("what may have to be taken back cannot be read", "err", err)
	}
	if err == nil {
		m.onFlash = true
		m.parse(body, true)
	}
}

func (m *aftermath) parse(body []byte, flash bool) (boot string) {
	c := new(commitment) // what stands before the first is nobody's
	for f, err := range store.Lines(body) {
		switch {
		case err != nil:
			m.log.Warn("a line of what is left to do is not understood", "err", err)
		case f[0] == "boot" && len(f) == 2:
			boot = f[1]
		case f[0] == "owed" && len(f) == 3:
			m.owed = append(m.owed, datamodel.Action{Name: f[1], Arg: f[2]})
		case f[0] == "commit" && len(f) == 2:
			m.seq++
			c = &commitment{uplink: f[1] == "uplink", done: true, seq: m.seq}
			m.list = append(m.list, c)
		case f[0] == "undo" && len(f) == 2:
			c.undo = []byte(f[1])
		case f[0] == "after" && len(f) == 3:
			c.after, c.done = append(c.after, datamodel.Action{Name: f[1], Arg: f[2]}), false
		}
	}
	return boot
}
