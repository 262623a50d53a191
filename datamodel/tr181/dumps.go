// Dumps of the small tables of the system. Each is read at most once per
// request, whichever objects ask for it; the large ones (routes, processes)
// are streamed past the memo by their objects.

package tr181

import (
	"context"
	"errors"
	"iter"
	"sync"
	"unsafe"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// dumpKey names a dump in the memo of a request: whose, and of what.
type dumpKey struct {
	m    *Model
	what string
}

// A linkTable is one dump of the links, in the order of the platform.
type linkTable struct {
	all  []platform.Link
	by   map[string]int
	wifi func() map[string]datamodel.Key // link: its SSID; read when asked for
}

// get returns the link called name.
func (t *linkTable) get(name string) (platform.Link, bool) {
	i, ok := t.by[name]
	if !ok {
		return platform.Link{}, false
	}
	return t.all[i], true
}

// depth is how many links l stands on.
func (t *linkTable) depth(l platform.Link) (n int) {
	for ok := true; n < len(t.all); n++ {
		if l, ok = t.get(l.Parent); !ok {
			break
		}
	}
	return n
}

func (m *Model) dumpLinks(ctx context.Context) (*linkTable, error) {
	return datamodel.Once(ctx, dumpKey{m, "links"},
		func(t *linkTable) int { return len(t.all) * (int(unsafe.Sizeof(platform.Link{})) + 64) },
		func(ctx context.Context) (*linkTable, error) {
			all, err := collect(m.p.Links.Links(ctx))
			if err != nil {
				return nil, err
			}
			t := &linkTable{all: all, by: make(map[string]int, len(all)),
				wifi: sync.OnceValue(func() map[string]datamodel.Key { return m.wifiLinks(ctx) })}
			for i := range all {
				t.by[all[i].Name] = i
			}
			return t, nil
		})
}

func (m *Model) dumpAddresses(ctx context.Context) ([]platform.Address, error) {
	return dumpRows(ctx, dumpKey{m, "addresses"}, func(ctx context.Context) iter.Seq2[platform.Address, error] {
		return m.p.Addresses.Addresses(ctx)
	})
}

func (m *Model) dumpIPv6Links(ctx context.Context) ([]platform.IPv6Link, error) {
	return dumpRows(ctx, dumpKey{m, "IPv6 links"}, func(ctx context.Context) iter.Seq2[platform.IPv6Link, error] {
		return m.p.IPv6.IPv6Links(ctx)
	})
}

func (m *Model) readDNS(ctx context.Context) (platform.DNS, error) {
	return datamodel.Once(ctx, dumpKey{m, "dns"},
		func(d platform.DNS) int { return 64 * (1 + len(d.Servers)) },
		func(ctx context.Context) (platform.DNS, error) {
			d, err := m.p.Resolver.DNS(ctx)
			return d, lacking(err)
		})
}

func (m *Model) readTime(ctx context.Context) (platform.TimeStatus, error) {
	return datamodel.Once(ctx, dumpKey{m, "time"},
		func(platform.TimeStatus) int { return 256 },
		func(ctx context.Context) (platform.TimeStatus, error) {
			t, err := m.p.Clock.Time(ctx)
			return t, lacking(err)
		})
}

// dumpRows reads seq once per request.
func dumpRows[V any](ctx context.Context, key dumpKey, seq func(context.Context) iter.Seq2[V, error]) ([]V, error) {
	return datamodel.Once(ctx, key,
		func(v []V) int { var one V; return len(v) * (int(unsafe.Sizeof(one)) + 64) },
		func(ctx context.Context) ([]V, error) { return collect(seq(ctx)) })
}

func collect[V any](seq iter.Seq2[V, error]) ([]V, error) {
	var all []V
	for v, err := range seq {
		if err != nil {
			return nil, lacking(err)
		}
		all = append(all, v)
	}
	return all, nil
}

// lacking puts an error of the platform in the words of the data model.
func lacking(err error) error {
	if err == nil {
		return nil
	}
	var un *platform.Unavailable
	switch {
	case errors.As(err, &un):
		return &datamodel.Unavailable{Source: un.Source, Err: un.Err}
	case errors.Is(err, platform.ErrGone):
		return datamodel.ErrGone
	}
	return err
}

// linkNamed reads one link from the dump, or says that it is gone.
func (m *Model) linkNamed(ctx context.Context, name string) (platform.Link, *linkTable, error) {
	t, err := m.dumpLinks(ctx)
	if err != nil {
		return platform.Link{}, nil, err
	}
	l, ok := t.get(name)
	if !ok {
		return platform.Link{}, nil, datamodel.ErrGone
	}
	return l, t, nil
}

// linkRows gives the rows of a table of interface objects: one for each link
// that has such an object, keyed by its name.
func linkRows[T any](m *Model, has func(platform.Link) bool, row func(platform.Link, *linkTable) T) func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[T], error] {
	return func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[T], error] {
		return func(yield func(datamodel.Row[T], error) bool) {
			t, err := m.dumpLinks(ctx)
			if err != nil {
				yield(datamodel.Row[T]{}, err)
				return
			}
			for _, l := range t.all {
				if has(l) && !yield(datamodel.Row[T]{Key: l.Name, Value: new(row(l, t))}, nil) {
					return
				}
			}
		}
	}
}
