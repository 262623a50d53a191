package api

import (
	"context"
	"iter"
	"sync"
	"time"

	"gatehouse/datamodel"
)

// An Update is a parameter that has another value than the last one told, or
// that came or went with its object.
type Update struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Gone  bool   `json:"gone,omitempty"`
}

const (
	// settle is how long a watch lets hints gather before it looks: a link
	// that flaps is told as it is, not as it was.
	settle = 100 * time.Millisecond
	// maxWatched bounds what one watch remembers.
	maxWatched = 20_000
)

// A watcher is one Watch call. Hints only say where to look: what cannot be
// kept apart is remembered as "look at everything".
type watcher struct {
	mu     sync.Mutex
	topics []datamodel.Topic
	all    bool
	wake   chan struct{}
}

const maxTopics = 32

func (w *watcher) hint(topic datamodel.Topic, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case all || len(w.topics) >= maxTopics:
		w.all = true
	case !contains(w.topics, topic):
		w.topics = append(w.topics, topic)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func contains(topics []datamodel.Topic, t datamodel.Topic) bool {
	for _, have := range topics {
		if have == t {
			return true
		}
	}
	return false
}

func (w *watcher) take() (topics []datamodel.Topic, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	topics, all = w.topics, w.all
	w.topics, w.all = nil, false
	return topics, all
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

// Watch yields the present values below the paths, and then each change,
// until ctx ends. It reads only when a hint says that something may be new.
func (s *Service) Watch(ctx context.Context, c Caller, paths []string) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		if err := c.may(Read); err != nil {
			yield(Update{}, err)
			return
		}
		w := &watcher{wake: make(chan struct{}, 1)}
		s.mu.Lock()
		s.watchers[w] = struct{}{}
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			delete(s.watchers, w)
			s.mu.Unlock()
		}()

		last := map[string]string{}
		for _, p := range paths {
			if !s.look(ctx, p, last, true, yield) {
				return
			}
		}
		for w.wait(ctx) {
			topics, all := w.take()
			for _, p := range paths {
				if !all && !s.concerns(p, topics) {
					continue
				}
				if !s.look(ctx, p, last, false, yield) {
					return
				}
			}
		}
	}
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

func (s *Service) concerns(path string, topics []datamodel.Topic) bool {
	for _, t := range topics {
		if s.Tree.Concerns(path, t) {
			return true
		}
	}
	return false
}

// look reads one path and yields what is new since last. Where a source does
// not answer, nothing is known, and nothing is told.
func (s *Service) look(ctx context.Context, path string, last map[string]string, first bool, yield func(Update, error) bool) bool {
	seen := map[string]bool{}
	unknown := false
	r := s.Tree.Reader(datamodel.ReadOptions{Unavailable: func(string, error) { unknown = true }})
	for it, err := range r.Values(s.Tree.WithMemo(ctx), path) {
		if err != nil {
			if first {
				yield(Update{}, named(err))
				return false
			}
			unknown = unknown || name(err) != InvalidName
			break
		}
		seen[it.Name] = true
		was, had := last[it.Name]
		if had && was == it.Value || it.Access == datamodel.Command {
			continue
		}
		if !had && len(last) >= maxWatched {
			yield(Update{}, &Error{Problems: []Problem{{Name: Full, Path: path, Message: "too many parameters for one watch"}}})
			return false
		}
		last[it.Name] = it.Value
		if !yield(Update{Name: it.Name, Value: it.Value}, nil) {
			return false
		}
	}
	if unknown {
		return true
	}
	return s.gone(path, last, seen, yield)
}

// gone tells what was below path and is no longer.
func (s *Service) gone(path string, last map[string]string, seen map[string]bool, yield func(Update, error) bool) bool {
	for n := range last {
		if seen[n] || !below(n, path) {
			continue
		}
		delete(last, n)
		if !yield(Update{Name: n, Gone: true}, nil) {
			return false
		}
	}
	return true
}

func below(name, path string) bool {
	return name == path || path == "" ||
		path[len(path)-1] == '.' && len(name) > len(path) && name[:len(path)] == path
}
