package api

import (
	"context"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/datamodel"
)

// An Update is news of a watch: a parameter with its value, or an instance,
// whose name ends in a dot, that was added or is gone. What an added instance
// holds follows; what a gone one held is not told again.
type Update struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Type  string `json:"type,omitempty"` // of a value, as in Value
	Added bool   `json:"added,omitempty"`
	Gone  bool   `json:"gone,omitempty"`
}

const (
	// settle is how long a watch lets hints gather before it looks: a link
	// that flaps is told as it is, not as it was.
	settle = 100 * time.Millisecond
	// maxWatched bounds what one watch remembers: names, and eight bytes for
	// each value.
	maxWatched = 20_000
	// maxWatches bounds the watches of all doors together.
	maxWatches = 1024
	// maxTopics is from where on hints are not kept apart any more.
	maxTopics = 32
)

// A watcher is one Watch call. Hints only say where to look: what cannot be
// kept apart is remembered as "look at everything". A watcher that is slow
// misses values in between, never the latest.
type watcher struct {
	mu     sync.Mutex
	topics []datamodel.Topic
	all    bool
	wake   chan struct{}
}

func (w *watcher) hint(topic datamodel.Topic, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case all || len(w.topics) >= maxTopics:
		w.all = true
	case !slices.Contains(w.topics, topic):
		w.topics = append(w.topics, topic)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() (topics []datamodel.Topic, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	topics, all = w.topics, w.all
	w.topics, w.all = nil, false
	return topics, all
}

// wait returns after the next hint and the time to settle; false at the end.
func (w *watcher) wait(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-w.wake:
	}
	t := time.NewTimer(settle)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Hint tells the watches that rows of this topic may have changed. It never
// blocks.
func (s *Service) Hint(topic datamodel.Topic) { s.tell(topic, false) }

// Resync tells the watches that anything may have changed.
func (s *Service) Resync() { s.tell(0, true) }

func (s *Service) tell(topic datamodel.Topic, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watchers {
		w.hint(topic, all)
	}
}

func (s *Service) enter() (w *watcher, leave func(), err error) {
	w = &watcher{wake: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.watchers) >= maxWatches {
		return nil, nil, Refuse(Full, "", "too many watches")
	}
	s.watchers[w] = struct{}{}
	return w, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, w)
	}, nil
}

// Watch yields the present values at or below the paths, which may hold
// wildcards, and then each change, until ctx ends. It reads only when a hint
// says that something may be new: a counter, of which no hint tells, is told
// along with what one does tell of. A path that names nothing is an error at
// the start; later it is gone, and may come back.
func (s *Service) Watch(ctx context.Context, c Caller, paths []string) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		s.watch(ctx, c, paths, yield, func() bool { return true })
	}
}

// WatchLooks is Watch by the look: what each look has found new, in one piece
// of at most maxPiece or several. The first look yields one even when there is
// nothing.
func (s *Service) WatchLooks(ctx context.Context, c Caller, paths []string) iter.Seq2[[]Update, error] {
	return func(yield func([]Update, error) bool) {
		var piece []Update
		first := true
		flush := func() bool {
			if len(piece) == 0 && !first {
				return true
			}
			full := piece
			first, piece = false, nil
			return yield(full, nil)
		}
		s.watch(ctx, c, paths, func(u Update, err error) bool {
			if err != nil {
				return yield(nil, err)
			}
			piece = append(piece, u)
			return first || len(piece) < maxPiece || flush()
		}, flush)
	}
}

// maxPiece bounds what a later look holds back; the first is bounded by
// maxWatched.
const maxPiece = 1000

// watch calls looked after each look.
func (s *Service) watch(ctx context.Context, c Caller, paths []string, yield func(Update, error) bool, looked func() bool) {
	if err := c.mayReach(Read, paths...); err != nil {
		yield(Update{}, err)
		return
	}
	w, leave, err := s.enter()
	if err != nil {
		yield(Update{}, err)
		return
	}
	defer leave()
	v := &view{tree: s.Tree, known: map[string]mark{}, seed: maphash.MakeSeed(), yield: yield, first: true,
		may: func(path string) bool { return c.has(Read, path) }}
	for i, p := range paths {
		if !v.look(ctx, i, p) {
			return
		}
	}
	v.first = false
	for ok := looked(); ok && w.wait(ctx); ok = looked() {
		topics, all := w.take()
		for i, p := range paths {
			if (all || s.concerns(p, topics)) && !v.look(ctx, i, p) {
				return
			}
		}
	}
}

func (s *Service) concerns(path string, topics []datamodel.Topic) bool {
	return slices.ContainsFunc(topics, func(t datamodel.Topic) bool { return s.Tree.Concerns(path, t) })
}

// A view is what one watch has told.
type view struct {
	tree  *datamodel.Tree
	known map[string]mark // parameters, and instances by their path with its dot
	seed  maphash.Seed
	pass  uint32
	first bool // nothing was told yet: what is there is not "added"
	yield func(Update, error) bool
	may   func(path string) bool
}

// A mark is what is remembered of a name.
type mark struct {
	hash uint64 // of the value
	path int    // the first of the watched paths that has met it, and tells of it
	pass uint32 // the look that has seen it last
}

// look reads one path and yields what is new. Where a source does not answer,
// nothing is known, and nothing is told. It returns false at the end.
func (v *view) look(ctx context.Context, i int, path string) bool {
	v.pass++
	unknown := false
	r := v.tree.Reader(datamodel.ReadOptions{Unavailable: func(string, error) { unknown = true }})
	for it, err := range r.Values(v.tree.WithMemo(ctx), path) {
		if err != nil && v.first {
			v.yield(Update{}, named(err))
			return false
		}
		if err != nil {
			unknown = unknown || name(err) != InvalidName
			break
		}
		if !v.may(it.Name) {
			continue
		}
		if !v.instances(i, it.Name) || !v.value(i, it) {
			return false
		}
	}
	if unknown {
		return true
	}
	return v.gone(i)
}

// see notes that a name is there. told: another path tells of it.
func (v *view) see(i int, name string) (m mark, had, told, ok bool) {
	m, had = v.known[name]
	switch {
	case had && m.path != i:
		return m, had, true, true
	case !had && len(v.known) >= maxWatched:
		v.yield(Update{}, Refuse(Full, name, "too much for one watch: watch less"))
		return m, had, false, false
	}
	m.path, m.pass = i, v.pass
	v.known[name] = m
	return m, had, false, true
}

// instances sees the instances that name is in.
func (v *view) instances(i int, name string) bool {
	for from := 0; ; {
		n := strings.IndexByte(name[from:], '.')
		if strings.HasPrefix(name[from:], "[") {
			n = strings.Index(name[from:], "].") + 1 // an alias may hold a dot
		}
		if n <= 0 {
			return true
		}
		part := name[from : from+n]
		from += n + 1
		if part == "" || part[0] != '[' && (part[0] < '0' || part[0] > '9') {
			continue
		}
		row := name[:from]
		if m, had := v.known[row]; had && m.pass == v.pass {
			continue
		}
		_, had, told, ok := v.see(i, row)
		if !ok || !had && !told && !v.first && !v.yield(Update{Name: row, Added: true}, nil) {
			return false
		}
	}
}

// value yields a value that is new.
func (v *view) value(i int, it datamodel.Item) bool {
	if it.Access == datamodel.Command {
		return true // it has none
	}
	m, had, told, ok := v.see(i, it.Name)
	if !ok || told {
		return ok
	}
	h := maphash.String(v.seed, it.Value)
	if had && m.hash == h {
		return true
	}
	m.hash = h
	v.known[it.Name] = m
	return v.yield(Update{Name: it.Name, Value: it.Value, Type: typeName(it.Type)}, nil)
}

// gone forgets what path i had and has no longer. Of an instance only the
// outermost is told.
func (v *view) gone(i int) bool {
	var names []string
	for n, m := range v.known {
		if m.path == i && m.pass != v.pass {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return true
	}
	maps.DeleteFunc(v.known, func(_ string, m mark) bool { return m.path == i && m.pass != v.pass })
	slices.Sort(names)
	outer := "."
	for _, n := range names {
		if strings.HasPrefix(n, outer) {
			continue
		}
		if strings.HasSuffix(n, ".") {
			outer = n
		}
		if !v.yield(Update{Name: n, Gone: true}, nil) {
			return false
		}
	}
	return true
}
