package datamodel

// The file of instance numbers, which one can cat:
//
//	Device.IP.Interface.{i}. last 3
//	1 lo
//	3 eth0 [wan]
//	Device.IP.Interface.{i}.IPv4Address.{i}. last 7 below eth0
//	7 192.0.2.1/24

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const maxNumbers = 8 << 20 // octets that we read back

// load reads the file into an empty a. What it cannot read it skips, and
// reports as an error with the number of the line.
func (a *numbers) load(text []byte) error {
	if len(text) > maxNumbers {
		return fmt.Errorf("instance numbers: %d octets are too many", len(text))
	}
	var errs []error
	var t *numTable
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		w, err := words(strings.TrimRight(line, "\r\n"))
		switch {
		case err != nil:
		case len(w) == 0:
			continue
		case strings.HasPrefix(w[0], Root):
			t, err = a.loadTable(w)
		case t == nil:
			err = errors.New("a row without a table")
		default:
			err = t.loadRow(w)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("instance numbers: line %d: %w", n, err))
		}
	}
	return errors.Join(errs...)
}

func (a *numbers) loadTable(w []string) (*numTable, error) {
	if len(w) < 3 || w[1] != "last" || len(w) == 4 || len(w) > 3 && w[3] != "below" {
		return nil, errors.New("not the head of a table")
	}
	last, err := strconv.ParseUint(w[2], 10, 32)
	if err != nil {
		return nil, err
	}
	if err := checkTemplate(w[0]); err != nil {
		return nil, err
	}
	var parent []Key
	if len(w) > 3 {
		parent = w[4:]
	}
	if strings.Count(w[0], "{i}") != len(parent)+1 || !strings.HasSuffix(w[0], ".{i}.") {
		return nil, errors.New("the keys do not fit the table")
	}
	t := a.tableLocked(w[0], parent, false)
	t.last = max(t.last, uint32(last))
	return t, nil
}

func (t *numTable) loadRow(w []string) error {
	num, err := strconv.ParseUint(w[0], 10, 32)
	if err != nil || num == 0 || len(w) < 2 || len(w) > 3 {
		return errors.New("not a number and a key")
	}
	if _, ok := t.byNum[uint32(num)]; ok {
		return fmt.Errorf("%d stands there twice", num)
	}
	if _, ok := t.byKey[w[1]]; ok {
		return fmt.Errorf("%q stands there twice", w[1])
	}
	t.last = max(t.last, uint32(num))
	t.put(w[1], given{num: uint32(num)}, true)
	if len(w) < 3 {
		return nil
	}
	alias := strings.TrimSuffix(strings.TrimPrefix(w[2], "["), "]")
	if err := checkAlias(alias); err != nil {
		return err
	}
	if t.alias == nil {
		t.alias = make(map[Key]string)
	}
	t.alias[w[1]] = alias
	return nil
}

// text is the file, the same for the same numbers. Its caller holds a.mu.
func (a *numbers) text() []byte {
	var b []byte
	ids := make([]string, 0, len(a.tables))
	for id, t := range a.tables {
		if !t.volatile && t.last > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		t := a.tables[id]
		b = fmt.Appendf(b, "%s last %d", t.template, max(t.last, t.ahead))
		if len(t.parent) > 0 {
			b = append(b, " below"...)
		}
		for _, k := range t.parent {
			b = appendWord(append(b, ' '), k)
		}
		b = append(b, '\n')
		nums := make([]uint32, 0, len(t.byNum))
		for n := range t.byNum {
			nums = append(nums, n)
		}
		slices.Sort(nums)
		for _, n := range nums {
			k := t.byNum[n]
			b = appendWord(append(strconv.AppendUint(b, uint64(n), 10), ' '), k)
			if alias := t.alias[k]; alias != "" {
				b = appendWord(append(b, ' '), "["+alias+"]")
			}
			b = append(b, '\n')
		}
	}
	return b
}

// Sync puts the instance numbers given since the last Sync on disk. Callers
// call it before they tell anybody the numbers. Without new ones it is free.
func (t *Tree) Sync() error {
	a := t.numbers
	if t.o.Numbers == nil {
		return nil
	}
	a.saving.Lock()
	defer a.saving.Unlock()
	a.mu.Lock()
	if !a.dirty {
		a.mu.Unlock()
		return nil
	}
	if t.unread != nil {
		a.mu.Unlock()
		return t.unread // what is there must not be lost to what we made up
	}
	text := a.text()
	a.dirty = false
	a.mu.Unlock()
	if err := t.o.Numbers.Save(text); err != nil {
		a.mu.Lock()
		a.dirty = true
		a.mu.Unlock()
		return fmt.Errorf("instance numbers: %w", err)
	}
	return nil
}

func (t *Tree) loadNumbers() error {
	if t.o.Numbers == nil {
		return nil
	}
	text, err := t.o.Numbers.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("instance numbers: %w", err)
	}
	if err := t.numbers.load(text); err != nil {
		t.o.Log.Error("instance numbers are damaged; the rest is used", "err", err)
	}
	return nil
}
