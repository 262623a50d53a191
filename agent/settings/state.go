package settings

// The state file: what was written through the data model, what the agent made
// up for itself, and what DHCP said last. One record a line:
//
//	set <name> <value> <fingerprint of what the configuration file said then>
//	gen <name> <value>
//	dhcp <name> <value>

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"gatehouse/internal/store"
)

type written struct {
	value string
	seen  string // fingerprint of the file's option when it was written; absent
}

type state struct {
	written   map[string]written
	generated map[string]string
	learned   map[string]string // from DHCP
	other     [][]string        // records of settings that this version does not know; kept
}

var errNoState = errors.New("settings cannot be written: there is no state folder")

func newState() state {
	return state{written: map[string]written{}, generated: map[string]string{}, learned: map[string]string{}}
}

func (st state) clone() state {
	return state{maps.Clone(st.written), maps.Clone(st.generated), maps.Clone(st.learned), st.other}
}

func (st state) render() []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(st.written)) {
		w := st.written[name]
		b = store.AppendLine(b, "set", name, w.value, w.seen)
	}
	for _, name := range slices.Sorted(maps.Keys(st.generated)) {
		b = store.AppendLine(b, "gen", name, st.generated[name])
	}
	for _, name := range slices.Sorted(maps.Keys(st.learned)) {
		b = store.AppendLine(b, "dhcp", name, st.learned[name])
	}
	for _, r := range st.other {
		b = store.AppendLine(b, r...)
	}
	return b
}

// loadState reads the state file. What it cannot use it logs and leaves out.
func (s *Settings) loadState() error {
	if s.o.State == nil {
		s.state = newState()
		return nil
	}
	body, err := s.o.State.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if s.state.written == nil {
			s.state = newState()
		}
		return err
	}
	s.state = newState()
	for r, err := range store.Lines(body) {
		if err != nil {
			s.log.Error("settings: bad record in the state file", "error", err)
			continue
		}
		s.loadRecord(r)
	}
	return nil
}

func (s *Settings) loadRecord(r []string) {
	set := r[0] == "set" && len(r) == 4
	gen := r[0] == "gen" && len(r) == 3
	dhcp := r[0] == "dhcp" && len(r) == 3
	if !set && !gen && !dhcp {
		s.state.other = append(s.state.other, r)
		return
	}
	i, ok := index()[r[1]]
	if !ok {
		s.state.other = append(s.state.other, r)
		return
	}
	v, err := table[i].canonical(r[2])
	if err != nil {
		s.log.Error("settings: bad value in the state file", "setting", r[1], "error", err)
		return
	}
	switch {
	case set:
		s.state.written[r[1]] = written{v, r[3]}
	case gen:
		s.state.generated[r[1]] = v
	case fromDHCP(r[1]):
		s.state.learned[r[1]] = v
	}
}

// heal tries again to read a state that could not be read.
func (s *Settings) heal() error {
	s.mu.Lock()
	if s.unread == nil {
		s.mu.Unlock()
		return nil
	}
	var changed []string
	learned := s.state.learned
	if s.unread = s.loadState(); s.unread == nil {
		if len(learned) > 0 { // by now, and so newer than what is there
			s.state.learned = learned
		}
		s.log.Warn("what was written before can be read again")
		changed = s.resolve()
	}
	err := s.unread
	s.mu.Unlock()
	s.tell(changed)
	return err
}

// save puts a state on disk and makes it the one in use. The caller holds s.mu.
func (s *Settings) save(next state) error {
	if s.o.State == nil {
		return errNoState
	}
	if err := s.o.State.Save(next.render()); err != nil {
		return err
	}
	s.state = next
	return nil
}

// hearFile notes what the administrator has changed since something was
// written: a changed option ends what was written for it, so that changing it
// back later does not bring that to life again; an option that was taken out
// leaves it, and counts as changed when it comes back. The caller holds s.mu.
func (s *Settings) hearFile(file map[string]string) {
	next, changed := s.state.clone(), false
	for name, w := range s.state.written {
		v, ok := file[name]
		switch {
		case ok && w.seen != fingerprint(name, v):
			delete(next.written, name)
			s.log.Info("configuration file overrules what was written", "setting", name)
		case !ok && w.seen != absent:
			next.written[name] = written{w.value, absent}
		default:
			continue
		}
		changed = true
	}
	if !changed {
		return
	}
	if err := s.save(next); err != nil {
		// The values come out the same without it, until the next change.
		s.log.Warn("settings: state not updated", "error", err)
	}
}

// write puts values above what the file says now. The caller holds s.mu.
func (s *Settings) write(st state, values map[string]string) {
	for name, v := range values {
		seen := absent
		if file, ok := s.lower[File][name]; ok {
			seen = fingerprint(name, file)
		}
		st.written[name] = written{v, seen}
	}
}

// Put writes settings on the agent's own account, outside a transaction: a
// DelayReboot that has been carried out, for example. They are on disk when it
// returns.
func (s *Settings) Put(values map[string]string) error {
	good := make(map[string]string, len(values))
	for name, v := range values {
		v, err := s.writable(name, v)
		if err != nil {
			return err
		}
		good[name] = v
	}
	if err := s.heal(); err != nil {
		return err
	}
	s.mu.Lock()
	next := s.state.clone()
	s.write(next, good)
	err := s.save(next)
	var changed []string
	if err == nil {
		changed = s.resolve()
	}
	s.mu.Unlock()
	s.tell(changed)
	return err
}

// learn keeps what DHCP says now. What cannot be kept holds for this run. The
// caller holds s.mu.
func (s *Settings) learn(values map[string]string) error {
	if maps.Equal(s.state.learned, values) {
		return nil
	}
	next := s.state.clone()
	next.learned = values
	err := s.unread // nothing is written over what could not be read
	if err == nil {
		err = s.save(next)
	}
	s.state = next
	if err != nil {
		return fmt.Errorf("what DHCP says will not be known after a restart: %w", err)
	}
	return nil
}

// Generate makes up what the agent needs and nobody has given: the path of
// connection requests, 128 random bits that stay the same from then on (TR-069
// 3.2.2). When it cannot be kept, it holds for this run and the error says so.
func (s *Settings) Generate() error {
	s.mu.Lock()
	if s.Get(ConnectionRequestPath) != "" {
		s.mu.Unlock()
		return nil
	}
	bits := make([]byte, 16)
	_, _ = rand.Read(bits) // never fails
	next := s.state.clone()
	next.generated[ConnectionRequestPath] = "/" + hex.EncodeToString(bits)
	err := s.save(next)
	s.state = next
	changed := s.resolve()
	s.mu.Unlock()
	s.tell(changed)
	if err != nil {
		return fmt.Errorf("connection request path will be another one after a restart: %w", err)
	}
	return nil
}

// Reset forgets everything that was written and made up, as a factory reset
// does. The files stay what they are.
func (s *Settings) Reset(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.o.State != nil {
		if err := s.o.State.Remove(); err != nil {
			s.mu.Unlock()
			return err
		}
	}
	s.state, s.unread = newState(), nil
	changed := s.resolve()
	s.mu.Unlock()
	s.tell(changed)
	return nil
}
