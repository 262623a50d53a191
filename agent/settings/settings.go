// Package settings resolves the agent's settings from their layers (design §8).
// A setting has one value; from the lowest layer to the highest it comes from
//
//   - what is built in,
//   - what the agent made up for itself once (its connection request path),
//   - DHCP, which with acs.dhcp_over_factory comes after the next two,
//   - the factory file of the image,
//   - the provider's document,
//   - what the ACS, or somebody at the agent's own doors, wrote: the state file,
//   - the administrator's configuration file.
//
// The file is above what was written because it was there first or because it
// has changed since: as long as an option says what it said when the ACS wrote,
// the ACS's value counts. So the last who spoke is heard, and the agent never
// writes a configuration file. What DHCP said last is kept with what was written:
// a lease that no longer says where the ACS is must not lose the ACS.
package settings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/store"
)

// Layer is where a value comes from. A higher one overrules a lower one, except
// as the package says of State and File, and of DHCP.
type Layer uint8

// The layers.
const (
	BuiltIn   Layer = iota
	Generated       // made up by the agent and kept in the state file
	Factory
	Provider
	DHCP
	State // written through the data model
	File  // the administrator's
	layers
)

// String is the layer's name in "get --origin".
func (l Layer) String() string {
	return [layers]string{"default", "generated", "factory", "provider", "dhcp", "state", "file"}[l]
}

// Options of Open.
type Options struct {
	Config  string      // the administrator's file; missing is empty; "": none
	Factory string      // the image's file; missing is empty; "": none
	State   *store.File // what is written; nil: nothing can be written
	// Good keeps what the administrator's file said when it last had no mistake.
	// At a start it stands in for one that has: a router in the field must not
	// lose its ACS over a typo. nil, or nothing in it yet: Open fails.
	Good *store.File
	Log  *slog.Logger
}

// Settings are the resolved settings. Its methods may be called from any
// goroutine.
type Settings struct {
	o    Options
	log  *slog.Logger
	view atomic.Pointer[view]

	change atomic.Pointer[func([]string)]

	mu     sync.Mutex                // serialises who changes the layers below
	lower  [layers]map[string]string // of the files and the provider
	state  state
	unread error           // why the state could not be read; nothing is written over it
	warned map[string]bool // what has been said about the files, so that a reload does not repeat it
}

// view is what all layers together say that is not built in, in the order of the
// table; it is never changed once it is stored. Most settings are as they were
// built in: an agent does without a table of its own for them.
type view []resolved

type resolved struct {
	value string
	at    uint16 // in the table
	layer Layer
}

// of returns what counts for the i-th setting.
func (v view) of(i int) (string, Layer) {
	at, ok := slices.BinarySearchFunc(v, i, func(r resolved, i int) int { return int(r.at) - i })
	if !ok {
		return table[i].def, BuiltIn
	}
	return v[at].value, v[at].layer
}

// now is the present view.
func (s *Settings) now() view {
	if v := s.view.Load(); v != nil {
		return *v
	}
	return nil
}

// Open reads the files and the state. A mistake in the administrator's file is
// an error that names file and line, every one of them, unless there is an
// earlier content to go by (Options.Good); unknown options and
// sections are only warned about. Mistakes in the factory file and in the state
// are logged, and what they concern is left out, because on a device in the
// field nobody is there to correct them. So is a state that cannot be read: each
// write tries again, and is refused until then.
func Open(o Options) (*Settings, error) {
	s := &Settings{o: o, log: o.Log, warned: map[string]bool{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.unread = s.loadState(); s.unread != nil {
		s.log.Error("what was written before cannot be read, starting without it", "err", s.unread)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readFiles(); err != nil {
		last, ok := s.lastGood()
		if !ok {
			return nil, err
		}
		s.log.Error("the configuration has mistakes: what it said before them counts", "err", err)
		factory, _ := s.readFile(s.o.Factory)
		s.lower[Factory], s.lower[File] = factory.values, last
	}
	s.resolve()
	return s, nil
}

// Get returns the value of a setting; "" for a name that is not in the table.
func (s *Settings) Get(name string) string {
	if i, ok := index()[name]; ok {
		value, _ := s.now().of(i)
		return value
	}
	return ""
}

// Origin tells which layer the value of a setting comes from.
func (s *Settings) Origin(name string) Layer {
	if i, ok := index()[name]; ok {
		_, layer := s.now().of(i)
		return layer
	}
	return BuiltIn
}

// Known says whether a setting of that name exists.
func (s *Settings) Known(name string) bool {
	_, ok := index()[name]
	return ok
}

// Bool returns a boolean setting.
func (s *Settings) Bool(name string) bool { return s.Get(name) == "true" }

// Number returns a numeric setting.
func (s *Settings) Number(name string) int64 {
	n, err := strconv.ParseInt(s.Get(name), 10, 64)
	if err != nil {
		return 0 // not a number by the table: values are checked when they come in
	}
	return n
}

// Seconds returns a numeric setting that is a duration in seconds.
func (s *Settings) Seconds(name string) time.Duration {
	return time.Duration(s.Number(name)) * time.Second
}

// Time returns a dateTime setting; the zero time is "unknown" (TR-106 3.2.2).
func (s *Settings) Time(name string) time.Time {
	t, err := time.Parse(time.RFC3339, s.Get(name))
	if err != nil {
		return time.Time{}
	}
	return t
}

// List returns the items of a list setting.
func (s *Settings) List(name string) []string {
	if v := s.Get(name); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

// Secret returns a setting as a text that does not print itself.
func (s *Settings) Secret(name string) Secret { return Secret(s.Get(name)) }

// OnChange sets the function that hears which settings have another value now,
// after every commit, reload and new layer. It is called with no lock held, on
// the goroutine that made the change; it must not begin a transaction.
func (s *Settings) OnChange(f func(names []string)) { s.change.Store(&f) }

func (s *Settings) tell(names []string) {
	if f := s.change.Load(); f != nil && len(names) > 0 {
		(*f)(names)
	}
}

// SetLayer replaces what the provider's document or DHCP says. Names that are
// unknown or not for it, and bad values, are left out and make the error; the
// rest counts. What DHCP says is on disk when it returns, or the error says that
// it is not. It returns the settings that have another value now.
func (s *Settings) SetLayer(layer Layer, values map[string]string) (changed []string, err error) {
	if layer != Provider && layer != DHCP {
		return nil, fmt.Errorf("layer %s is not set from outside", layer)
	}
	good := make(map[string]string, len(values))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		i, ok := index()[name]
		if !ok || table[i].local || layer == DHCP && !fromDHCP(name) {
			errs = append(errs, fmt.Errorf("%s: %s must not set it", name, layer))
			continue
		}
		if v, err = table[i].canonical(v); err != nil {
			errs = append(errs, fmt.Errorf("%s from %s %w", name, layer, err))
			continue
		}
		good[name] = v
	}
	s.mu.Lock()
	if layer == DHCP {
		errs = append(errs, s.learn(good))
	} else {
		s.lower[layer] = good
	}
	changed = s.resolve()
	s.mu.Unlock()
	s.tell(changed)
	return changed, errors.Join(errs...)
}

// Learned returns what DHCP says, whether it counts or not.
func (s *Settings) Learned() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.state.learned)
}

// fromDHCP says what the options 43, 125 and 17 can carry (TR-069 3.1).
func fromDHCP(name string) bool {
	switch name {
	case URL, ProvisioningCode, RetryMinimumWaitInterval, RetryIntervalMultiplier:
		return true
	}
	return false
}

// Reload reads the files again, as on SIGHUP, and returns the settings that
// have another value now. After an error everything is as it was.
func (s *Settings) Reload(ctx context.Context) (changed []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if err = s.readFiles(); err == nil {
		changed = s.resolve()
	}
	s.mu.Unlock()
	s.tell(changed)
	return changed, err
}

// resolve builds the view from the layers and returns the names whose value
// differs from the one before. The caller holds s.mu.
func (s *Settings) resolve() (changed []string) {
	first, before := s.view.Load() == nil, s.now()
	var v view
	// The policy comes first: which URLs count depends on it.
	says := func(name string) bool {
		value, _ := s.resolveOne(&table[index()[name]], policy{})
		return value == "true"
	}
	p := policy{http: says(AllowHTTP), order: &lastDHCP}
	if says(DHCPOverFactory) {
		p.order = &firstDHCP
	}
	for i := range table {
		value, layer := s.resolveOne(&table[i], p)
		if layer != BuiltIn {
			v = append(v, resolved{value, uint16(i), layer})
		}
		if was, _ := before.of(i); !first && was != value {
			changed = append(changed, table[i].name)
		}
	}
	v = slices.Clone(v) // without spare room
	s.view.Store(&v)
	url, _ := v.of(index()[URL])
	was, _ := before.of(index()[URL])
	if plain, _ := plainHTTP(url); plain && (first || was != url) {
		s.log.Warn("the ACS is reached by plain http: whoever is on the way reads and changes everything", "url", url)
	}
	return changed
}

// A policy says how the layers are resolved; the zero value will do for settings
// that neither the ACS nor DHCP can set.
type policy struct {
	http  bool // URLs may be plain http
	order *[5]Layer
}

// The orders of the layers but State, from the highest on.
var (
	firstDHCP = [...]Layer{File, DHCP, Provider, Factory, Generated}
	lastDHCP  = [...]Layer{File, Provider, Factory, DHCP, Generated}
)

func (s *Settings) resolveOne(set *setting, p policy) (string, Layer) {
	usable := func(v string) bool { return set.kind != acsURL || p.http || !forbidden(v) }
	file, inFile := s.lower[File][set.name]
	if w, ok := s.state.written[set.name]; ok && usable(w.value) && (!inFile || w.seen == fingerprint(set.name, file)) {
		return w.value, State
	}
	order := p.order
	if order == nil {
		order = &lastDHCP
	}
	for _, layer := range order {
		if v, ok := s.layer(layer)[set.name]; ok && usable(v) {
			return v, layer
		}
	}
	return set.def, BuiltIn
}

// layer is what one says, but for State.
func (s *Settings) layer(l Layer) map[string]string {
	switch l {
	case Generated:
		return s.state.generated
	case DHCP:
		return s.state.learned
	}
	return s.lower[l]
}

// forbidden says whether a URL needs allow_http.
func forbidden(v string) bool {
	plain, loopback := plainHTTP(v)
	return plain && !loopback
}

// CheckURL says whether the agent may talk to an ACS at a URL: https always,
// plain http to a loopback address or with allow_http. It is asked for every
// URL that a redirect leads to, too.
func (s *Settings) CheckURL(url string) error {
	if err := checkURL(url, "http", "https"); err != nil {
		return err
	}
	if forbidden(url) && !s.Bool(AllowHTTP) {
		return errPlainHTTP
	}
	return nil
}

// errPlainHTTP tells what to do about a URL that is forbidden.
var errPlainHTTP = errors.New("is plain http, which shows passwords and settings to whoever is on the way; " +
	"use https, or set option allow_http '1' in section acs")
