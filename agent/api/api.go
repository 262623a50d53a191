// Package api is what the agent offers to whoever stands at one of its doors:
// the command line today, D-Bus and ubus beside it. Methods, rights, named
// errors and watches live here; a door only translates.
package api

import (
	"context"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"unicode/utf8"

	"gatehouse/agent/core"
	"gatehouse/agent/notify"
	"gatehouse/datamodel"
)

// Core is what the service needs of the agent's core.
type Core interface {
	Ask(ctx context.Context, m core.Message) error
	Post(ctx context.Context, m core.Message) error
	Status() core.Status
}

// Attributes are the notification attributes of parameters.
type Attributes interface {
	Attributes(ctx context.Context, paths []string) iter.Seq2[notify.Attribute, error]
	SetAttributes(ctx context.Context, changes []notify.Change) error
}

// Config is what New needs; every field but Origin must be given.
type Config struct {
	Tree       *datamodel.Tree
	Attributes Attributes
	Core       Core
	// Origin names the layer that a setting comes from, "" for what is none.
	Origin func(path string) string
	// Reload reads the configuration file anew; the names that changed.
	Reload func(ctx context.Context) ([]string, error)
	// Written is told which paths somebody at a door has changed.
	Written func(ctx context.Context, paths []string)
	// Agent fills in what only the agent as a whole knows of its status: the ACS
	// among it.
	Agent func(*Status)
	// Statuses yields the present status of the core and each later one, until
	// ctx ends. nil: it cannot be watched.
	Statuses func(ctx context.Context) iter.Seq[core.Status]
	// Recent returns the last sessions, oldest first; nil: none is remembered.
	Recent func() []SessionLog
	// Provider fetches the provider's configuration; nil: not built in.
	Provider Provider
	Log      *slog.Logger
}

// A Service serves every door. Its methods may be called by many goroutines.
type Service struct {
	Config

	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

// New returns a service.
func New(c Config) *Service {
	return &Service{Config: c, watchers: map[*watcher]struct{}{}}
}

// A Value is a parameter with its value.
type Value struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Type     string `json:"type"` // "string", "unsignedInt", … (TR-106 3.2)
	Writable bool   `json:"writable"`
	Hidden   bool   `json:"hidden,omitempty"` // the value is kept back
	Origin   string `json:"origin,omitempty"` // of a setting: who decided it
	// LeftOut, in place of all else but Name, says why what is at or below Name
	// is not among the values: a source of information does not answer.
	LeftOut string `json:"leftOut,omitempty"`
}

// A Name is a parameter or an object.
type Name struct {
	Name     string `json:"name"` // an object's ends in a dot
	Type     string `json:"type"` // "object" for an object
	Writable bool   `json:"writable"`
}

// An Assignment is a parameter to be set. In Add its name counts from the new
// object.
type Assignment struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Get yields the parameters at or below the paths, and at last what had to be
// left out.
func (s *Service) Get(ctx context.Context, c Caller, paths []string) iter.Seq2[Value, error] {
	return func(yield func(Value, error) bool) {
		if err := c.mayReach(Read, paths...); err != nil {
			yield(Value{}, err)
			return
		}
		ctx = s.Tree.WithMemo(ctx)
		var out []Value
		r := s.Tree.Reader(datamodel.ReadOptions{Unavailable: func(path string, err error) {
			out = append(out, Value{Name: path, LeftOut: err.Error()})
		}})
		for _, p := range paths {
			for it, err := range r.Values(ctx, p) {
				if err != nil {
					yield(Value{}, named(err))
					return
				}
				if c.has(Read, it.Name) && !yield(s.value(it), nil) {
					return
				}
			}
		}
		for _, v := range out {
			if c.reaches(Read, v.Name) && !yield(v, nil) {
				return
			}
		}
		s.sync()
	}
}

// sync puts on disk the numbers of rows that an answer is about to tell. On a
// disk that cannot be written they hold as long as this process lives.
func (s *Service) sync() {
	if err := s.Tree.Sync(); err != nil {
		s.Log.Warn("the instance numbers in this answer may not survive a restart", "err", err)
	}
}

func (s *Service) value(it datamodel.Item) Value {
	v := Value{Name: it.Name, Value: it.Value, Type: typeName(it.Type), Writable: it.Access != datamodel.ReadOnly, Hidden: it.Hidden}
	if s.Origin != nil {
		v.Origin = s.Origin(it.Name)
	}
	return v
}

// typeName is the XSD type without its prefix.
func typeName(t datamodel.Type) string { return t.XSD()[len("xsd:"):] }

// Names yields what is at or below path, or, with next, only the next level.
func (s *Service) Names(ctx context.Context, c Caller, path string, next bool) iter.Seq2[Name, error] {
	return func(yield func(Name, error) bool) {
		if err := c.mayReach(Read, path); err != nil {
			yield(Name{}, err)
			return
		}
		for n, err := range s.Tree.Names(s.Tree.WithMemo(ctx), path, next) {
			if err != nil {
				yield(Name{}, named(err))
				return
			}
			line := Name{Name: n.Path, Type: "object", Writable: n.Writable}
			if !n.Object {
				line.Type = typeName(n.Type)
			}
			if c.reaches(Read, n.Path) && !yield(line, nil) {
				return
			}
		}
		s.sync()
	}
}

// An Attribute is what an ACS has set, or may, for a parameter (TR-069
// A.3.2.4).
type Attribute struct {
	Name         string   `json:"name"`
	Notification int      `json:"notification"` // 0 off, 1 passive, 2 active, 3 to 6 with lightweight ones
	AccessList   []string `json:"accessList"`   // who on the LAN may write it, besides the ACS
}

// GetAttributes yields the attributes of the parameters at or below the paths.
func (s *Service) GetAttributes(ctx context.Context, c Caller, paths []string) iter.Seq2[Attribute, error] {
	return func(yield func(Attribute, error) bool) {
		if err := c.mayReach(Read, paths...); err != nil {
			yield(Attribute{}, err)
			return
		}
		for a, err := range s.Attributes.Attributes(s.Tree.WithMemo(ctx), paths) {
			if err != nil {
				yield(Attribute{}, named(err))
				return
			}
			if a.AccessList == nil {
				a.AccessList = []string{} // nobody, which is not the same as unknown
			}
			if c.has(Read, a.Name) && !yield(Attribute(a), nil) {
				return
			}
		}
		s.sync()
	}
}

// SetNotification sets the Notification attribute (0 off, 1 passive, 2 active,
// TR-069 A.3.2.4) of the parameters at or below the paths.
func (s *Service) SetNotification(ctx context.Context, c Caller, paths []string, notification int) error {
	if err := c.mayAll(Write, paths...); err != nil {
		return err
	}
	changes := make([]notify.Change, len(paths))
	for i, p := range paths {
		changes[i] = notify.Change{Name: p, NotificationChange: true, Notification: notification}
	}
	// Attributes go by instance numbers: those must not be lost before them.
	if err := s.Tree.Sync(); err != nil {
		return named(err)
	}
	if err := s.Attributes.SetAttributes(ctx, changes); err != nil {
		return named(err)
	}
	s.sync()
	s.Log.Info("notification set", "by", c.Name, "paths", paths, "notification", notification)
	return nil
}

// Inform asks for a session, with a vendor's event ("X 0011AA Button") or,
// when event is "", with "2 PERIODIC". The events of the standard are the
// agent's own to report.
func (s *Service) Inform(ctx context.Context, c Caller, event string) error {
	if err := c.may(Act); err != nil {
		return err
	}
	var m core.Inform
	if event != "" {
		if !vendorEvent(event) {
			return Refuse(InvalidArguments, "", `an event is "X <OUI> <text>", such as "X 0011AA Button", of at most 64 characters`)
		}
		m.Events = []core.Event{{Code: event}}
	}
	switch st := s.status(); {
	case st.State == string(core.Disabled):
		return Refuse(Unavailable, "", "there will be no session: "+st.Reason)
	case st.ACS == "":
		return Refuse(Unavailable, "", "there is nobody to talk to: Device.ManagementServer.URL is not set")
	}
	return named(s.Core.Ask(ctx, m))
}

// vendorEvent reports whether code is an event of a vendor (TR-069 3.7.1.5).
func vendorEvent(code string) bool {
	oui, text, ok := strings.Cut(strings.TrimPrefix(code, "X "), " ")
	if !ok || !strings.HasPrefix(code, "X ") || len(oui) != 6 || strings.TrimSpace(text) == "" || len(code) > 64 {
		return false
	}
	return strings.Trim(oui, "0123456789ABCDEF") == "" &&
		!strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// ReloadConfig reads the configuration file anew and returns what changed.
func (s *Service) ReloadConfig(ctx context.Context, c Caller) ([]string, error) {
	if err := c.may(Act); err != nil {
		return nil, err
	}
	changed, err := s.Reload(ctx)
	if err != nil {
		return nil, Refuse(InvalidValue, "", err.Error())
	}
	return changed, nil
}
