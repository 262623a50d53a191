package linuxconf

// What settings of the system were before we changed them: what is no longer
// configured goes back to that.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gatehouse/internal/store"
)

// A setting is one value that a daemon keeps.
type setting struct {
	name string // of it in the file
	get  func(ctx context.Context) (string, error)
	set  func(ctx context.Context, value string) error
}

// past is a file with a line for each setting that we have changed: its name,
// what it was before, and what we have made of it, "" while we are at it.
type past struct {
	path string

	mu sync.Mutex // held while a setting changes
}

type changed struct{ name, before, ours string }

// keep gives a setting the value that is configured; with "" none is, and it goes
// back to what it was. Who changed it after us has spoken last, and is left alone.
func (p *past) keep(ctx context.Context, s setting, want string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, err := p.read()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(c changed) bool { return c.name == s.name })
	if i < 0 && want == "" {
		return nil
	}
	now, err := s.get(ctx)
	if err != nil {
		return err
	}
	if i < 0 {
		i, all = len(all), append(all, changed{name: s.name, before: now})
	}
	c := &all[i]
	switch {
	case want == "":
		if now != c.before && (now == c.ours || c.ours == "") {
			if err := s.set(ctx, c.before); err != nil {
				return err
			}
		}
		return p.write(slices.Delete(all, i, i+1))
	case c.ours == want:
		return nil
	}
	if now != want {
		c.ours = ""
		if err := p.write(all); err != nil {
			return err
		}
		if err := s.set(ctx, want); err != nil {
			return err
		}
	}
	c.ours = want
	return p.write(all)
}

// moved says whether somebody has changed a setting since we gave it the value that
// is configured.
func (p *past) moved(name, configured, now string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, err := p.read()
	if err != nil {
		return false
	}
	i := slices.IndexFunc(all, func(c changed) bool { return c.name == name })
	return i >= 0 && all[i].ours == configured && configured != now
}

func (p *past) read() (all []changed, err error) {
	text, err := store.OS{}.ReadFile(p.path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line, err := range store.Lines(text) {
		if err != nil || len(line) != 3 {
			return nil, fmt.Errorf("%s is damaged: remove it, and set by hand what it tells", p.path)
		}
		all = append(all, changed{line[0], line[1], line[2]})
	}
	return all, nil
}

func (p *past) write(all []changed) error {
	if len(all) == 0 {
		err := os.Remove(p.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	var text []byte
	for _, c := range all {
		text = store.AppendLine(text, c.name, c.before, c.ours)
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return err
	}
	return store.Replace(store.OS{}, p.path, text)
}
