package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// A router keeps configuration that its services take up when they are told to.
type services struct {
	mu      sync.Mutex
	files   map[string]string // "wireless.ssid": value; a service is called after its file
	running map[string]string // what the services have taken up
	reloads []string
	refuse  func(service string, files map[string]string) error // nil: all is taken up
	nobody  error                                               // nobody is there to tell the services
	up      func(service string)                                // called when a service has taken up its file
}

func newServices() *services {
	f := map[string]string{"wireless.ssid": "home", "wireless.key": "topsecret", "network.proto": "dhcp"}
	return &services{files: f, running: maps.Clone(f)}
}

func (s *services) get(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[name]
}

func (s *services) reloaded() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.reloads, " ")
}

// away says why nobody is there to tell the services; nil: somebody is.
func (s *services) away(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nobody = err
}

func (s *services) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads = nil
}

func (s *services) Begin(context.Context) (platform.ConfigBatch, error) {
	return &servicesBatch{s: s, next: map[string]string{}}, nil
}

func (s *services) Undo(_ context.Context, data []byte) (reloads []string, err error) {
	var old map[string]string
	if err := json.Unmarshal(data, &old); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.files, old)
	return owners(old), nil
}

func (s *services) Reload(ctx context.Context, names []string) error {
	s.mu.Lock()
	nobody := s.nobody
	s.mu.Unlock()
	if nobody != nil {
		return nobody
	}
	var errs []error
	for _, name := range names {
		s.mu.Lock()
		s.reloads = append(s.reloads, name)
		var err error
		if s.refuse != nil {
			err = s.refuse(name, s.files)
		}
		if err == nil {
			for k, v := range s.files {
				if strings.HasPrefix(k, name+".") {
					s.running[k] = v
				}
			}
		}
		up := s.up
		s.mu.Unlock()
		if err != nil {
			errs = append(errs, &platform.ServiceError{Service: name, Err: err})
		} else if up != nil {
			up(name)
		}
	}
	return errors.Join(errs...)
}

func owners(m map[string]string) (names []string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		name, _, _ := strings.Cut(k, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// A servicesBatch is one change of the files, and a participant.
type servicesBatch struct {
	s         *services
	tx        *datamodel.Tx
	old, next map[string]string
}

func (b *servicesBatch) Prepare(context.Context) error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.old = map[string]string{}
	for k := range b.next {
		b.old[k] = b.s.files[k]
	}
	for _, name := range owners(b.next) {
		b.tx.After("reload", name)
	}
	return nil
}

func (b *servicesBatch) Commit(context.Context) (bool, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	maps.Copy(b.s.files, b.next)
	return true, nil
}

func (b *servicesBatch) Rollback(context.Context) error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	maps.Copy(b.s.files, b.old)
	return nil
}

func (b *servicesBatch) undo() []byte {
	data, err := json.Marshal(b.old)
	if err != nil {
		panic(err)
	}
	return data
}

func (b *servicesBatch) Undo() []byte             { return b.undo() }
func (b *servicesBatch) Reloads() []string        { return owners(b.next) }
func (b *servicesBatch) Writes() []platform.Write { return nil }

// participant has the batch's Undo as the journal wants it.
type participant struct{ *servicesBatch }

func (p participant) Undo() (string, []byte) { return "config", p.undo() }
func (p participant) Uplink() bool           { return slices.Contains(owners(p.next), "network") }

// A knob is the row that an ACS sees of the files.
type knob struct{ ssid, key, proto string }

// graft puts the files into the model: Device.X_TEST_Home.
func (s *services) graft(h *house) {
	h.t.Helper()
	params := []datamodel.Param[knob]{
		{Name: "SSID", At: func(k *knob) any { return &k.ssid }, Access: datamodel.ReadWrite},
		{Name: "Key", At: func(k *knob) any { return &k.key }, Access: datamodel.ReadWrite, Hidden: true},
		{Name: "Proto", At: func(k *knob) any { return &k.proto }, Access: datamodel.ReadWrite},
	}
	_, err := h.agent.Tree().Add(datamodel.Define("Device.X_TEST_Home.", params, datamodel.Source[knob]{
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (knob, error) {
			return knob{s.get("wireless.ssid"), s.get("wireless.key"), s.get("network.proto")}, nil
		}),
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[knob]) error {
			p, err := datamodel.Enlist(tx, s, func() (participant, error) {
				return participant{&servicesBatch{s: s, tx: tx, next: map[string]string{}}}, nil
			})
			for name, v := range map[string][2]string{"SSID": {"wireless.ssid", c.New.ssid}, "Key": {"wireless.key", c.New.key}, "Proto": {"network.proto", c.New.proto}} {
				if c.Set(name) {
					p.next[v[0]] = v[1]
				}
			}
			return err
		},
	}))
	if err != nil {
		h.t.Fatal(err)
	}
}

const (
	ssidPath  = "Device.X_TEST_Home.SSID"
	protoPath = "Device.X_TEST_Home.Proto"
)
