package uciconf

// DHCP options: the list dhcp_option of a pool. Those that a pool has fields for
// (routers, name servers, domain) are no rows.

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// optionTag takes a dhcp_option apart: "6,192.0.2.1,192.0.2.2", or with a name
// "option:ntp-server,…", which has no number here, 0.
func optionTag(text string) (tag int, value string) {
	name, value, _ := strings.Cut(text, ",")
	n, err := strconv.ParseUint(strings.TrimPrefix(name, "option:"), 10, 8)
	if err != nil {
		return 0, ""
	}
	return int(n), value
}

// optionWords is the value of an option that a pool has a field for.
func optionWords(s *uci.Section, tag int) []string {
	for _, o := range list(s, "dhcp_option") {
		if n, value := optionTag(o); n == tag && value != "" {
			return strings.Split(value, ",")
		}
	}
	return nil
}

// setOption writes the value of such an option, "" takes it out.
func (e *edit) setOption(s *uci.Section, tag int, value string) {
	old := list(s, "dhcp_option")
	now := slices.Clone(old)
	at := slices.IndexFunc(now, func(o string) bool { n, _ := optionTag(o); return n == tag })
	entry := strconv.Itoa(tag) + "," + value
	switch {
	case at >= 0 && value != "":
		now[at] = entry
	case at >= 0:
		now = slices.Delete(now, at, at+1)
	case value != "":
		now = append(now, entry)
	}
	e.list(s, "dhcp_option", old, now)
}

// DHCPOptions are the other options.
func (c *Conf) DHCPOptions() platform.Table[platform.DHCPOption] {
	t := &table[platform.DHCPOption]{core: core{conf: c, pkg: "dhcp", prefix: "opt"}}
	t.rows = func(v *view, p *uci.Package, emit func(key string, row any, fixed bool) bool) {
		for _, s := range p.Sections {
			if s.Type != "dhcp" {
				continue
			}
			pool := v.key(p, s)
			for _, m := range optionRows(s, pool) {
				tag, value := optionTag(m.value)
				row := platform.DHCPOption{Enabled: !m.off, Pool: pool, Tag: uint8(tag), Value: optionBytes(tag, value)}
				if !emit(m.key, &row, false) {
					return
				}
			}
		}
	}
	t.put = func(e *edit, p *uci.Package, key string, row any) error {
		return e.putOption(p, key, row.(*platform.DHCPOption))
	}
	t.del = func(e *edit, p *uci.Package, key string) error {
		s, m := e.findOption(p, key)
		if m == nil {
			return fmt.Errorf("%s: %w", key, platform.ErrGone)
		}
		e.dropOption(p, s, key)
		return nil
	}
	return t
}

func optionKey(pool string) func(string) string {
	return func(text string) string {
		tag, _ := optionTag(text)
		if tag == 0 || tag == 3 || tag == 6 || tag == 15 {
			return ""
		}
		return pool + "_" + strconv.Itoa(tag)
	}
}

func optionRows(s *uci.Section, pool string) []mark {
	return marked(s, "dhcp_option", list(s, "dhcp_option"), optionKey(pool))
}

func (e *edit) findOption(p *uci.Package, key string) (*uci.Section, *mark) {
	for _, s := range p.Sections {
		if s.Type != "dhcp" {
			continue
		}
		for _, m := range optionRows(s, s.Name) {
			if m.key == key {
				return s, &m
			}
		}
	}
	return nil, nil
}

func (e *edit) dropOption(_ *uci.Package, s *uci.Section, key string) {
	old := optionRows(s, s.Name)
	now, _ := take(old, key)
	e.setMarked(s, "dhcp_option", old, now, optionKey(s.Name))
}

func (e *edit) putOption(p *uci.Package, key string, row *platform.DHCPOption) error {
	target := p.Section(row.Pool)
	if target == nil || target.Type != "dhcp" {
		return fmt.Errorf("there is no pool %q", row.Pool)
	}
	if err := e.trust(p, target); err != nil {
		return err
	}
	if row.Tag == 255 || row.Tag == 0 && row.Enabled {
		return fmt.Errorf("option %d", row.Tag)
	}
	if optionKey("")(strconv.Itoa(int(row.Tag))) == "" && row.Enabled {
		return fmt.Errorf("option %d is a setting of the pool", row.Tag)
	}
	s, was := e.findOption(p, key)
	if err := e.mayPut(p, key, was != nil); err != nil {
		return err
	}
	entry, err := optionEntry(was, row)
	if err != nil {
		return err
	}
	if was != nil && s == target && was.value == entry && was.off == !row.Enabled {
		return nil
	}
	if was != nil && s != target {
		e.dropOption(p, s, key)
	}
	old := optionRows(target, target.Name)
	now := put(slices.Clone(old), mark{key: key, value: entry, off: !row.Enabled})
	e.setMarked(target, "dhcp_option", old, now, optionKey(target.Name))
	return nil
}

// optionEntry is what the list is to say. What says the same in other words stays
// as it is written.
func optionEntry(was *mark, row *platform.DHCPOption) (string, error) {
	if was != nil {
		tag, value := optionTag(was.value)
		held := strings.HasPrefix(value, string(escaped))
		if tag == int(row.Tag) && bytes.Equal(optionBytes(tag, value), row.Value) && !(held && row.Enabled) {
			return was.value, nil
		}
	}
	text, err := OptionText(row.Tag, row.Value)
	if err != nil && row.Enabled {
		return "", err
	} else if err != nil {
		text = escape(row.Value)
	}
	entry := strconv.Itoa(int(row.Tag))
	if text != "" {
		entry += "," + text
	}
	return entry, nil
}
