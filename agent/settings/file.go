package settings

// The configuration files: from UCI options to settings, and what is wrong with
// them, with file and line.

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/store"
	"gatehouse/internal/uci"
)

// absent is the fingerprint of an option that is not in the file.
const absent = "-"

// fingerprint stands for what the file says of a setting, so that a change can
// be told from what it said before without keeping a password twice.
func fingerprint(name, value string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + value))
	return hex.EncodeToString(sum[:8])
}

// contents are the settings in one file.
type contents struct {
	values map[string]string
	lines  map[string]int
	exists bool
}

// readFiles reads both files into their layers. The caller holds s.mu. After an
// error nothing has changed.
func (s *Settings) readFiles() error {
	factory, mistakes := s.readFile(s.o.Factory)
	for _, err := range mistakes {
		s.say(err.Error(), func() { s.log.Error("mistake in the factory file", "error", err) })
	}
	file, mistakes := s.readFile(s.o.Config)
	allow := factory.values[AllowHTTP]
	if v, ok := file.values[AllowHTTP]; ok {
		allow = v
	}
	if url := file.values[URL]; allow != "true" && forbidden(url) {
		mistakes = append(mistakes, fmt.Errorf("%s:%d: option url %w", s.o.Config, file.lines[URL], errPlainHTTP))
	}
	if len(mistakes) > 0 {
		return errors.Join(mistakes...)
	}
	s.lower[Factory], s.lower[File] = factory.values, file.values
	if file.exists { // a file that is not there has said nothing, so nothing was taken back
		s.hearFile(file.values)
		s.keepGood(file.values)
	}
	return nil
}

// keepGood keeps what a file without mistakes says.
func (s *Settings) keepGood(values map[string]string) {
	if s.o.Good == nil {
		return
	}
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text = store.AppendLine(text, name, values[name])
	}
	if err := s.o.Good.Save(text); err != nil {
		s.log.Warn("a mistake in the configuration would keep the next start from coming up", "err", err)
	}
}

// lastGood is what the file last said without a mistake. What has become wrong
// since, by an update of the agent, is left out.
func (s *Settings) lastGood() (values map[string]string, ok bool) {
	if s.o.Good == nil {
		return nil, false
	}
	text, err := s.o.Good.Load()
	if err != nil {
		return nil, false
	}
	values = map[string]string{}
	for f, err := range store.Lines(text) {
		if err != nil || len(f) != 2 {
			continue
		}
		if i, known := index()[f[0]]; known {
			if v, err := table[i].canonical(f[1]); err == nil {
				values[f[0]] = v
			}
		}
	}
	return values, true
}

// readFile reads one file and returns what is right in it and every mistake.
func (s *Settings) readFile(path string) (contents, []error) {
	c := contents{values: map[string]string{}, lines: map[string]int{}}
	if path == "" {
		return c, nil
	}
	pkg, err := uci.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, []error{err}
	}
	c.exists = true
	var mistakes []error
	for _, sec := range pkg.Sections {
		if !knownSection(sec.Type) {
			s.sayUnknown(path, sec.Line, "section", sec.Type, "", nearest(sec.Type, sections()))
			continue
		}
		for _, o := range sec.Options {
			key := sec.Type + "." + o.Name
			set := byOption(key)
			if set == nil {
				s.sayUnknown(path, o.Line, "option", o.Name, sec.Type, nearest(key, options()))
				continue
			}
			v, err := set.read(o)
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("%s:%d: option %s %w", path, o.Line, o.Name, err))
				continue
			}
			c.values[set.name], c.lines[set.name] = v, o.Line
		}
	}
	return c, mistakes
}

// read takes the value of an option.
func (s *setting) read(o *uci.Option) (string, error) {
	raw := o.Values[0]
	switch {
	case s.kind == list:
		raw = strings.Join(o.Values, ",")
	case s.kind == rules, s.kind == transport:
		raw = strings.Join(o.Values, ";")
	case len(o.Values) > 1:
		return "", fmt.Errorf("is a list of %d values; one is expected", len(o.Values))
	}
	v, err := s.canonical(raw)
	if err != nil && !s.secret {
		err = fmt.Errorf("%w: %q", err, raw)
	}
	return v, err
}

// say runs f unless the same thing has been said before: a file is read again
// and again, its faults need no repetition.
func (s *Settings) say(what string, f func()) {
	if !s.warned[what] {
		s.warned[what] = true
		f()
	}
}

// sayUnknown warns about a section or an option that is not in the table.
func (s *Settings) sayUnknown(path string, line int, what, name, section, meant string) {
	key := name
	if section != "" {
		key = section + "." + name
	}
	where := fmt.Sprintf("%s:%d", path, line)
	why, foreign := without[key]
	s.say(where+key, func() {
		switch {
		case foreign && why == "":
		case foreign:
			s.log.Info("configuration: "+what+" is not used", "at", where, what, name, "reason", why)
		case meant != "":
			s.log.Warn("configuration: unknown "+what, "at", where, what, name, "did_you_mean", meant)
		default:
			s.log.Warn("configuration: unknown "+what, "at", where, what, name)
		}
	})
}

// byOption finds the setting that an option of the file sets.
func byOption(key string) *setting {
	for i := range table {
		set := &table[i]
		if set.option == key {
			return set
		}
		for _, also := range set.also {
			if also == key {
				return set
			}
		}
	}
	return nil
}

// options lists every spelling that a file may use.
func options() []string {
	var all []string
	for _, set := range table {
		if set.option != "" {
			all = append(append(all, set.option), set.also...)
		}
	}
	return all
}

// sections lists the types of section that a file may have.
func sections() []string {
	var all []string
	seen := map[string]bool{}
	for _, key := range options() {
		section, _, _ := strings.Cut(key, ".")
		if !seen[section] {
			seen[section] = true
			all = append(all, section)
		}
	}
	return all
}

func knownSection(typ string) bool {
	for _, section := range sections() {
		if section == typ {
			return true
		}
	}
	return false
}

// nearest returns the candidate that is most likely meant by a name: the same
// option in another section, or a slip of the pen; "" when nothing is near.
func nearest(name string, candidates []string) string {
	_, option, dotted := strings.Cut(name, ".")
	best, distance := "", 1+min(2, len(name)/3)
	for _, c := range candidates {
		if _, o, _ := strings.Cut(c, "."); dotted && o == option {
			return c
		}
		if d := edits(name, c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// edits counts the letters to insert, delete, replace or swap with their
// neighbour to make b of a.
func edits(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
