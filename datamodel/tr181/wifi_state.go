// Device.WiFi.: what its objects share. Its tables are rows that the platform
// keeps (what is configured) joined, by key, with what the radios report (how
// it is doing). A write is read from where it was written, at once; Status
// follows when the service has taken it up.

package tr181

import (
	"context"
	"errors"
	"iter"
	"slices"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Tables of Device.WiFi. The keys are those of the platform's configuration,
// that of a station is its MAC address.
const (
	wifiRadioPath       = "Device.WiFi.Radio.{i}."
	wifiSSIDPath        = "Device.WiFi.SSID.{i}."
	wifiAccessPointPath = "Device.WiFi.AccessPoint.{i}."
	wifiStationPath     = wifiAccessPointPath + "AssociatedDevice.{i}."
)

// hasWiFi says whether the device is one with radios. They come together or
// not at all.
func (m *Model) hasWiFi() bool {
	w := m.p.WiFi
	return m.p.Config != nil && w.Radios != nil && w.SSIDs != nil && w.AccessPoints != nil && w.State != nil
}

// wifiRef points into a table of Device.WiFi.; "" points nowhere.
func wifiRef(table string, key datamodel.Key) datamodel.Ref {
	if key == "" {
		return datamodel.Ref{}
	}
	return datamodel.Ref{Table: table, At: []datamodel.Key{key}}
}

// keyOf is what r points to, which may be gone.
func keyOf(r datamodel.Ref) datamodel.Key {
	if len(r.At) == 0 {
		return ""
	}
	return r.At[len(r.At)-1]
}

func (m *Model) radios(ctx context.Context) ([]platform.Entry[platform.Radio], error) {
	return configured(ctx, m, "config radios", m.p.WiFi.Radios)
}

func (m *Model) ssids(ctx context.Context) ([]platform.Entry[platform.SSID], error) {
	return configured(ctx, m, "config ssids", m.p.WiFi.SSIDs)
}

func (m *Model) accessPoints(ctx context.Context) ([]platform.Entry[platform.AccessPoint], error) {
	return configured(ctx, m, "config accesspoints", m.p.WiFi.AccessPoints)
}

func (m *Model) radioStates(ctx context.Context) ([]platform.RadioState, error) {
	return dumpRows(ctx, dumpKey{m, "radios"}, func(ctx context.Context) iter.Seq2[platform.RadioState, error] {
		return m.p.WiFi.State.Radios(ctx)
	})
}

func (m *Model) ssidStates(ctx context.Context) ([]platform.SSIDState, error) {
	return dumpRows(ctx, dumpKey{m, "ssids"}, func(ctx context.Context) iter.Seq2[platform.SSIDState, error] {
		return m.p.WiFi.State.SSIDs(ctx)
	})
}

// stations are those of one SSID.
func (m *Model) stations(ctx context.Context, ssid string) ([]platform.Station, error) {
	all, err := dumpRows(ctx, dumpKey{m, "stations " + ssid}, func(ctx context.Context) iter.Seq2[platform.Station, error] {
		return m.p.WiFi.State.Stations(ctx, ssid)
	})
	if errors.Is(err, datamodel.ErrGone) {
		return nil, nil
	}
	return all, err
}

// entry finds a row of a table by its key; nil: there is none.
func entry[T any](rows []platform.Entry[T], key string) *T {
	for i := range rows {
		if rows[i].Key == key {
			return &rows[i].Value
		}
	}
	return nil
}

func radioState(all []platform.RadioState, key string) (platform.RadioState, bool) {
	i := slices.IndexFunc(all, func(s platform.RadioState) bool { return s.Key == key })
	if i < 0 {
		return platform.RadioState{Key: key}, false
	}
	return all[i], true
}

func ssidState(all []platform.SSIDState, key string) platform.SSIDState {
	i := slices.IndexFunc(all, func(s platform.SSIDState) bool { return s.Key == key })
	if i < 0 {
		return platform.SSIDState{Key: key}
	}
	return all[i]
}

// wifiLinks says which SSID each network interface is. Where the radios do not
// answer, nothing is known of it: what stands on a radio has then no lower
// layer, which is better than no bridge at all.
func (m *Model) wifiLinks(ctx context.Context) map[string]datamodel.Key {
	if !m.hasWiFi() {
		return nil
	}
	states, err := m.ssidStates(ctx)
	if err != nil {
		return nil
	}
	by := make(map[string]datamodel.Key, len(states))
	for _, s := range states {
		if s.Link != "" {
			by[s.Link] = s.Key
		}
	}
	return by
}

// firstSet names the parameter that the platform's refusal of a row is laid on:
// the first that was assigned, or the row itself.
func firstSet[T any](params []datamodel.Param[T], c datamodel.Change[T]) string {
	for i := range params {
		if c.Set(params[i].Name) {
			return params[i].Name
		}
	}
	return ""
}

// refusals collects what is wrong with a row, each blamed on its parameter.
type refusals []error

func (r *refusals) blame(name string, err error) {
	*r = append(*r, &datamodel.FieldError{Name: name, Err: err})
}

func (r refusals) err() error { return errors.Join(r...) }
