// Device.Time.Client.

package tr181

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"

	"gatehouse/datamodel"
)

// Device.Time.Client.{i}.: the time client of the system, with the servers
// that it was told. There is one, and so it is on when Time is; what it sends
// is NTP version 4 to one server at a time: the other fields can be written, for an
// ACS that says all of them, but not changed.
type timeClient struct {
	enable  bool
	status  string
	alias   datamodel.Alias
	mode    string
	port    uint32
	version uint32
	servers []string
	iface   datamodel.Ref
}

var timeClientParams = []datamodel.Param[timeClient]{
	{Name: "Enable", At: func(c *timeClient) any { return &c.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(c *timeClient) any { return &c.status },
		Check: datamodel.Enum{"Disabled", "Unsynchronized", "Synchronized", "Error_FailedToSynchronize", "Error"}},
	{Name: "Alias", At: func(c *timeClient) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Mode", At: func(c *timeClient) any { return &c.mode }, Access: datamodel.ReadWrite,
		Check: datamodel.Enum{"Unicast", "Broadcast", "Multicast", "Manycast"}},
	{Name: "Port", At: func(c *timeClient) any { return &c.port }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 65535}},
	{Name: "Version", At: func(c *timeClient) any { return &c.version }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 4}},
	{Name: "Servers", At: func(c *timeClient) any { return &c.servers }, Access: datamodel.ReadWrite},
	{Name: "Interface", At: func(c *timeClient) any { return &c.iface }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
}

func (m *Model) timeClient() datamodel.Object {
	src := datamodel.Source[timeClient]{
		Topics: []datamodel.Topic{ClockStepped, ConfigChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[timeClient], error] {
			return func(yield func(datamodel.Row[timeClient], error) bool) {
				s, c, err := m.readTiming(ctx)
				if err == nil && m.p.Timing == nil && !c.Enabled && len(c.Servers) == 0 {
					return
				}
				yield(datamodel.Row[timeClient]{Key: "system", Value: &timeClient{
					enable: c.Enabled, status: syncStatus(s), mode: "Unicast", port: 123, version: 4, servers: c.Servers,
				}}, err)
			}
		},
		Check: checkTimeClient,
		Stage: m.stageTimeClient,
	}
	if m.p.Timing == nil {
		src.ReadOnly = []string{"Enable", "Mode", "Port", "Version", "Servers", "Interface"}
		src.Stage = nil
	}
	return datamodel.Define("Device.Time.Client.{i}.", timeClientParams, src)
}

var errTimeClient = errors.New("the time client sends NTP version 4 to port 123 of one server at a time, by any interface")

func checkTimeClient(c datamodel.Change[timeClient]) error {
	for _, name := range []string{"Mode", "Port", "Version", "Interface"} {
		if datamodel.Text(timeClientParams, c.New, name) != datamodel.Text(timeClientParams, c.Old, name) {
			return &datamodel.FieldError{Name: name, Err: errTimeClient}
		}
	}
	for _, s := range c.New.servers {
		if !slices.Contains(c.Old.servers, s) && !validHost(s) {
			return &datamodel.FieldError{Name: "Servers", Err: errHost}
		}
	}
	return nil
}

func (m *Model) stageTimeClient(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[timeClient]) error {
	t, err := m.shareTime(ctx, tx, "Servers")
	if err != nil {
		return err
	}
	if c.Set("Enable") {
		if err := t.say("Enable", strconv.FormatBool(c.New.enable), "Enable"); err != nil {
			return err
		}
		t.row.Enabled = c.New.enable
	}
	if c.Set("Servers") {
		return t.serve(slices.Clone(c.New.servers), "Servers")
	}
	return nil
}
