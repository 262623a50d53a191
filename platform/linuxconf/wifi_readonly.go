package linuxconf

// WiFi without hostapd: what the radios do is told, and nothing can be changed.

import (
	"context"
	"fmt"
	"iter"

	"gatehouse/internal/nl80211"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// table is one that can only be read. It implements platform.Table.
type table[T any] struct {
	rows func(ctx context.Context) ([]platform.Entry[T], error) // nil: none
	why  error
}

// Rows implements platform.Table.
func (t table[T]) Rows(ctx context.Context) iter.Seq2[platform.Entry[T], error] {
	if t.rows == nil {
		return func(func(platform.Entry[T], error) bool) {}
	}
	return each(ctx, t.rows)
}

func (t table[T]) refusal() error { return fmt.Errorf("%w: %w", platform.ErrUnsupported, t.why) }

// Fresh implements platform.Table.
func (t table[T]) Fresh(context.Context) (key string, row T, err error) { return "", row, t.refusal() }

// Put implements platform.Table.
func (t table[T]) Put(batch platform.ConfigBatch, _ string, _ T) int {
	return uciconf.Refuse(batch, t.refusal())
}

// Delete implements platform.Table.
func (t table[T]) Delete(batch platform.ConfigBatch, _ string) int {
	return uciconf.Refuse(batch, t.refusal())
}

// radioRows are the radios as they are.
func (w *wifi) radioRows(ctx context.Context) ([]platform.Entry[platform.Radio], error) {
	radios, err := w.hardware(ctx)
	var all []platform.Entry[platform.Radio]
	for _, r := range radios {
		all = append(all, platform.Entry[platform.Radio]{Key: r.key, Value: r.seen(), Fixed: true})
	}
	return all, err
}

// seen is how somebody else has configured the radio, as far as the kernel tells.
func (r *radio) seen() platform.Radio {
	conf := platform.Radio{Width: "Auto", Extension: "Auto", Guard: "Auto", MCS: -1, TxPower: -1}
	if names := r.bands(); len(names) > 0 {
		conf.Band = names[0]
	}
	for _, l := range r.links {
		if l.MHz != 0 {
			conf.Enabled, conf.Channel, conf.Width = true, uint32(l.Channel()), l.Width
			conf.Band = uciconf.BandOf(int64(l.MHz))
			break
		}
	}
	return conf
}

// joined are the interfaces that offer a network, or have joined one.
func (r *radio) joined() (all []nl80211.Interface) {
	for _, l := range r.links {
		if l.SSID != "" {
			all = append(all, l)
		}
	}
	return all
}

// joinedRows are their networks.
func (w *wifi) joinedRows(ctx context.Context) ([]platform.Entry[platform.SSID], error) {
	radios, err := w.hardware(ctx)
	var all []platform.Entry[platform.SSID]
	for _, r := range radios {
		for _, l := range r.joined() {
			all = append(all, platform.Entry[platform.SSID]{Key: l.Name, Value: platform.SSID{Enabled: true, Radio: r.key, Name: l.SSID}, Fixed: true})
		}
	}
	return all, err
}
