// Stats. of the interface objects: one declaration, used below each of them.

package tr181

import (
	"context"
	"errors"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Stats. of every interface object: the counters of its link. What Linux does
// not count (unicast and broadcast apart) is absent. Nobody is told of each
// packet: active notification is denied, as the standard allows (canDeny).
type linkStats struct {
	bytesSent, bytesReceived       uint64
	packetsSent, packetsReceived   uint64
	errorsSent, errorsReceived     uint32
	discardsSent, discardsReceived uint32
	multicastReceived              uint64
	noise                          int32 // dBm; of a radio
}

var linkStatsParams = []datamodel.Param[linkStats]{
	{Name: "BytesSent", At: func(s *linkStats) any { return &s.bytesSent }, Notify: datamodel.NotifyNever},
	{Name: "BytesReceived", At: func(s *linkStats) any { return &s.bytesReceived }, Notify: datamodel.NotifyNever},
	{Name: "PacketsSent", At: func(s *linkStats) any { return &s.packetsSent }, Notify: datamodel.NotifyNever},
	{Name: "PacketsReceived", At: func(s *linkStats) any { return &s.packetsReceived }, Notify: datamodel.NotifyNever},
	{Name: "ErrorsSent", At: func(s *linkStats) any { return &s.errorsSent }, Notify: datamodel.NotifyNever},
	{Name: "ErrorsReceived", At: func(s *linkStats) any { return &s.errorsReceived }, Notify: datamodel.NotifyNever},
	{Name: "DiscardPacketsSent", At: func(s *linkStats) any { return &s.discardsSent }, Notify: datamodel.NotifyNever},
	{Name: "DiscardPacketsReceived", At: func(s *linkStats) any { return &s.discardsReceived }, Notify: datamodel.NotifyNever},
	{Name: "MulticastPacketsReceived", At: func(s *linkStats) any { return &s.multicastReceived }, Notify: datamodel.NotifyNever},
	{Name: "Noise", At: func(s *linkStats) any { return &s.noise }},
}

// countersOf prints what the platform counts. A 32-bit counter wraps, as
// StatsCounter32 does.
func countersOf(s platform.LinkStats) linkStats {
	return linkStats{
		s.BytesSent, s.BytesReceived, s.PacketsSent, s.PacketsReceived,
		uint32(s.ErrorsSent), uint32(s.ErrorsReceived),
		uint32(s.DiscardsSent), uint32(s.DiscardsReceived), s.MulticastReceived, 0,
	}
}

// stats declares the Stats. below the interface table at path, whose
// last key is the name of a link, or that of an IP interface: one without a
// link has counted nothing.
func (m *Model) stats(path string) datamodel.Object {
	return datamodel.Define(path+"Stats.", linkStatsParams, datamodel.Source[linkStats]{
		Topics:  []datamodel.Topic{LinkChanged},
		Without: []string{"Noise"},
		Keys:    datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, at []datamodel.Key) (linkStats, error) {
			l, err := m.countedLink(ctx, path, at[len(at)-1])
			return countersOf(l.Stats), err
		}),
	})
}

// countedLink is the link whose counters are those of a row.
func (m *Model) countedLink(ctx context.Context, path string, key datamodel.Key) (platform.Link, error) {
	if path != ipInterfacePath || !m.logical() {
		l, _, err := m.linkNamed(ctx, key)
		return l, err
	}
	t, err := m.dumpInterfaces(ctx)
	if err != nil {
		return platform.Link{}, err
	}
	l, _, err := m.linkNamed(ctx, t.link(key))
	if errors.Is(err, datamodel.ErrGone) {
		return platform.Link{}, nil
	}
	return l, err
}
