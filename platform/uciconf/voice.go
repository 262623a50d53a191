package uciconf

// What a voice stack is told: sections of package asterisk whose names begin
// with "gatehouse_". The others are not ours, and stay.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// VoicePackage is the package that a voice stack reads.
const VoicePackage = "asterisk"

// voiceOwn begins the names of sections that are ours.
const voiceOwn = "gatehouse_"

func ourVoice(s *uci.Section) bool { return strings.HasPrefix(s.Name, voiceOwn) }

// Voice returns the configuration of a voice stack. [platform.ErrNoVoice] says
// that there is no package for one.
func (c *Conf) Voice() platform.Voice { return voice{c} }

type voice struct{ *Conf }

// Put implements platform.Voice.
func (c voice) Put(ctx context.Context, sections []platform.VoiceSection) (changed bool, err error) {
	have, err := c.o.Dir.Read(VoicePackage)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, platform.ErrNoVoice
	case err == nil && len(sections) == 0 && !slices.ContainsFunc(have.Sections, ourVoice):
		return false, nil // without a provider the file is not even locked
	}
	change := c.o.Dir.Begin()
	p, err := change.Package(ctx, VoicePackage)
	if err == nil {
		err = putVoice(p, sections)
	}
	if err == nil {
		err = change.Prepare()
	}
	changed = len(change.Changed()) > 0
	if err == nil {
		err = change.Commit()
	}
	if err != nil {
		return false, errors.Join(err, change.Rollback(context.WithoutCancel(ctx)))
	}
	if changed {
		err = c.Reload(ctx, []string{VoicePackage})
	}
	return changed, err
}

// putVoice makes our sections of p be these.
func putVoice(p *uci.Package, sections []platform.VoiceSection) error {
	for _, s := range slices.Clone(p.Sections) {
		wanted := slices.ContainsFunc(sections, func(w platform.VoiceSection) bool { return w.Name == s.Name })
		if ourVoice(s) && !wanted {
			p.Delete(s)
		}
	}
	for _, w := range sections {
		if !strings.HasPrefix(w.Name, voiceOwn) {
			return fmt.Errorf("section %s is not ours to write", w.Name)
		}
		s := p.Section(w.Name)
		var err error
		if s == nil {
			s, err = p.Add(w.Type, w.Name)
		} else {
			err = p.Retype(s, w.Type)
		}
		if err == nil {
			err = putOptions(s, w.Options)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func putOptions(s *uci.Section, options []platform.VoiceOption) (err error) {
	s.Options = slices.DeleteFunc(s.Options, func(have *uci.Option) bool {
		return !slices.ContainsFunc(options, func(o platform.VoiceOption) bool { return o.Name == have.Name })
	})
	for _, o := range options {
		switch v := o.Value.(type) {
		case string:
			err = s.Set(o.Name, v)
		case bool:
			err = s.Set(o.Name, map[bool]string{false: "0", true: "1"}[v])
		case uint32:
			err = s.Set(o.Name, strconv.FormatUint(uint64(v), 10))
		case []string:
			err = s.SetList(o.Name, v...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
