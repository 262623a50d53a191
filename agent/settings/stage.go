package settings

// Writing through the data model: the part of a transaction that is settings.

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gatehouse/datamodel"
	"gatehouse/internal/store"
)

// UndoName is the name under which Recover belongs into Tree.Recover.
const UndoName = "settings"

// Stage enlists the change of one setting in a transaction. A value that must
// not be is ErrValue, a setting that nobody may write ErrReadOnly, an unknown
// one ErrNoName.
func (s *Settings) Stage(tx *datamodel.Tx, name, value string) error {
	value, err := s.writable(name, value)
	if err != nil {
		return err
	}
	p, err := datamodel.Enlist(tx, s, func() (*participant, error) {
		return &participant{s: s, edits: map[string]string{}}, nil
	})
	if err != nil {
		return err
	}
	p.edits[name] = value
	return nil
}

// writable checks a value that is to be written.
func (s *Settings) writable(name, value string) (string, error) {
	i, ok := index()[name]
	if !ok {
		return "", fmt.Errorf("%s: %w", name, datamodel.ErrNoName)
	}
	set := &table[i]
	if set.local {
		return "", fmt.Errorf("%s: %w", name, datamodel.ErrReadOnly)
	}
	v, err := set.canonical(value)
	if err != nil {
		return "", fmt.Errorf("%w: %w", datamodel.ErrValue, err)
	}
	if set.kind == acsURL {
		if v == "" {
			return "", fmt.Errorf("%w: without a URL the device could never be managed again", datamodel.ErrValue)
		}
		if forbidden(v) && !s.Bool(AllowHTTP) {
			return "", fmt.Errorf("%w: %w", datamodel.ErrValue, errPlainHTTP)
		}
	}
	return v, nil
}

// participant is the settings of one transaction.
type participant struct {
	s      *Settings
	edits  map[string]string
	before []byte // what Commit has changed, as records; nil: it was not called
}

var _ datamodel.Durable = (*participant)(nil)

// Atomic tells the engine that Commit is one replacement of one file.
func (p *participant) Atomic() bool { return true }

// Plan tells what Commit would write.
func (p *participant) Plan() (lines []datamodel.Line) {
	s := p.s
	for _, name := range slices.Sorted(maps.Keys(p.edits)) {
		l := datamodel.Line{Path: "Device." + name, What: name, Old: s.Get(name), New: p.edits[name]}
		if s.o.State != nil {
			l.Where = s.o.State.Path()
		}
		if table[index()[name]].secret {
			l.Old, l.New = datamodel.Mask(l.Old), datamodel.Mask(l.New)
		}
		lines = append(lines, l)
	}
	return lines
}

// Uplink says that no setting of ours takes the network down.
func (p *participant) Uplink() bool { return false }

// Prepare refuses when nothing can be written at all.
func (p *participant) Prepare(context.Context) error {
	if p.s.o.State == nil {
		return errNoState
	}
	return p.s.heal()
}

// Undo returns the records that Commit will replace.
func (p *participant) Undo() (string, []byte) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return UndoName, p.undo()
}

// undo renders what is written now for the settings of this transaction. The
// caller holds s.mu.
func (p *participant) undo() []byte {
	b := []byte{}
	for name := range p.edits {
		if w, ok := p.s.state.written[name]; ok {
			b = store.AppendLine(b, "set", name, w.value, w.seen)
		} else {
			b = store.AppendLine(b, "none", name)
		}
	}
	return b
}

// Commit writes the state file; the values hold from then on.
func (p *participant) Commit(context.Context) (deferred bool, err error) {
	s := p.s
	s.mu.Lock()
	p.before = p.undo()
	next := s.state.clone()
	s.write(next, p.edits)
	err = s.save(next)
	var changed []string
	if err == nil {
		changed = s.resolve()
	}
	s.mu.Unlock()
	s.tell(changed)
	return false, err
}

// Rollback restores what Commit has changed. After a Commit that failed the
// file may hold the new content all the same: it is written again.
func (p *participant) Rollback(ctx context.Context) error {
	if p.before == nil {
		return nil
	}
	return p.s.Recover(ctx, p.before)
}

// Recover undoes the settings of a transaction that a crash left half done; it
// is the function for Tree.Recover, under UndoName.
func (s *Settings) Recover(_ context.Context, data []byte) error {
	s.mu.Lock()
	next := s.state.clone()
	var err error
	for r, rerr := range store.Lines(data) {
		switch {
		case rerr != nil:
			err = rerr
		case r[0] == "set" && len(r) == 4:
			next.written[r[1]] = written{r[2], r[3]}
		case r[0] == "none" && len(r) == 2:
			delete(next.written, r[1])
		default:
			err = fmt.Errorf("unknown record %q", r[0])
		}
		if err != nil {
			s.mu.Unlock()
			return fmt.Errorf("undo settings: %w", err)
		}
	}
	if err = s.save(next); err != nil {
		s.state = next // what was refused is not read, though the disk has it until the journal is undone
	}
	changed := s.resolve()
	s.mu.Unlock()
	s.tell(changed)
	return err
}
