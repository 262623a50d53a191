package rpc

// This file answers the methods that read. Their lists are streamed: a row is
// read when the answer gets there, and an error that comes late is a clean
// fault, because cwmp spools the list before its first byte leaves.

import (
	"context"
	"iter"
	"slices"
	"strings"

	"gatehouse/agent/notify"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
)

func (m *Methods) reader() *datamodel.Reader {
	return m.Tree.Reader(datamodel.ReadOptions{Aliases: m.Addressing().Aliases})
}

// values yields the parameters that were asked for (TR-069 A.3.2.2). An
// unknown name fails the whole call. The numbers of rows that were seen for
// the first time are on disk before the answer leaves.
func (m *Methods) values(ctx context.Context, paths []string) iter.Seq2[cwmp.ParameterValue, error] {
	return func(yield func(cwmp.ParameterValue, error) bool) {
		r := m.reader()
		for _, path := range paths {
			for it, err := range r.Values(ctx, path) {
				if err != nil {
					yield(cwmp.ParameterValue{}, m.late("GetParameterValues", err))
					return
				}
				if !yield(cwmp.ParameterValue{Name: it.Name, Value: it.Value, Type: it.Type.XSD()}, nil) {
					return
				}
			}
		}
		m.sync()
	}
}

// names yields what is below a path (TR-069 A.3.2.3).
func (m *Methods) names(ctx context.Context, r cwmp.GetParameterNames) iter.Seq2[cwmp.ParameterInfo, error] {
	return func(yield func(cwmp.ParameterInfo, error) bool) {
		for n, err := range m.reader().Names(ctx, r.ParameterPath, r.NextLevel) {
			if err != nil {
				yield(cwmp.ParameterInfo{}, m.late(r.Method(), err))
				return
			}
			if !yield(cwmp.ParameterInfo{Name: n.Path, Writable: n.Writable}, nil) {
				return
			}
		}
		m.sync()
	}
}

// sync puts on disk the numbers of rows that an answer is about to tell. On a
// disk that cannot be written they hold as long as this process lives: an ACS
// that can read nothing any more cannot help either.
func (m *Methods) sync() {
	if err := m.Tree.Sync(); err != nil {
		m.Log.Warn("the instance numbers in this answer may not survive a restart", "err", err)
	}
}

// late makes a fault of an error that came while a list was being read.
func (m *Methods) late(method string, err error) error {
	f := fault(err)
	m.Log.Warn("refused", "method", method, "fault", f.Code, "err", err)
	return f
}

// attributes yields what GetParameterAttributes asks for (TR-069 A.3.2.5).
func (m *Methods) attributes(ctx context.Context, r cwmp.GetParameterAttributes) iter.Seq2[cwmp.ParameterAttribute, error] {
	return func(yield func(cwmp.ParameterAttribute, error) bool) {
		spell := m.speller()
		for _, path := range r.ParameterNames {
			for a, err := range m.attributesOf(ctx, path) {
				if err != nil {
					yield(cwmp.ParameterAttribute{}, m.late(r.Method(), err))
					return
				}
				a.Name = spell.name(ctx, path, a.Name)
				if !yield(cwmp.ParameterAttribute(a), nil) {
					return
				}
			}
		}
		m.sync()
	}
}

// attributesOf resolves the wildcards of a path, which attributes, being those
// of single parameters, do not know.
func (m *Methods) attributesOf(ctx context.Context, path string) iter.Seq2[notify.Attribute, error] {
	if !strings.Contains(path, "*") {
		return m.Attributes.Attributes(ctx, []string{path})
	}
	return func(yield func(notify.Attribute, error) bool) {
		for n, err := range m.Tree.Names(ctx, path, false) {
			if err != nil {
				yield(notify.Attribute{}, err)
				return
			}
			if n.Object {
				continue
			}
			for a, err := range m.Attributes.Attributes(ctx, []string{n.Path}) {
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
}

// A speller writes aliases where a path has instance numbers, when the ACS
// wants to see them (TR-069 3.6.1, InstanceMode).
type speller struct {
	tree  *datamodel.Tree
	known map[string]string // "Device.X.1." → "Device.X.[a]."
}

// speller returns nil when the ACS wants numbers.
func (m *Methods) speller() *speller {
	if !m.Addressing().Aliases {
		return nil
	}
	return &speller{m.Tree, map[string]string{}}
}

// name spells a parameter below the path that the ACS has asked for. What it
// has written itself stays as it is.
func (s *speller) name(ctx context.Context, asked, name string) string {
	asked, _, _ = strings.Cut(asked, "*")
	rest, ok := strings.CutPrefix(name, asked)
	if s == nil || !ok {
		return name
	}
	numbered, spelled := asked, asked
	for part := range strings.SplitAfterSeq(rest, ".") {
		numbered += part
		if part == "" || part[0] < '0' || part[0] > '9' {
			spelled += part
			continue
		}
		known, ok := s.known[numbered]
		if !ok {
			known = part
			if it, err := s.tree.Reader(datamodel.ReadOptions{}).Get(ctx, numbered+"Alias"); err == nil {
				known = "[" + it.Value + "]."
			}
			s.known[numbered] = known
		}
		spelled += known
	}
	return spelled
}

// numbered returns the paths that are there by their instance numbers, which is
// how what the ACS was told is kept.
func (m *Methods) numbered(ctx context.Context, paths []string) []string {
	out := slices.Clone(paths)
	for i, p := range paths {
		if !strings.Contains(p, "[") {
			continue
		}
		if info, err := m.Tree.Describe(ctx, p); err == nil {
			out[i] = info.Path
		}
	}
	return out
}
