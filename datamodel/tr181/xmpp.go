// Device.XMPP.: connections to XMPP servers.

package tr181

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"

	"gatehouse/datamodel"
)

const (
	xmppConnectionPath = "Device.XMPP.Connection.{i}."
	xmppServerPath     = "Device.XMPP.Connection.{i}.Server.{i}."
)

// Device.XMPP.: what the client can do.
type xmppClient struct{ algorithms []string }

var xmppAlgorithms = []string{"DNS-SRV", "DNS", "ServerTable"}

var xmppClientParams = []datamodel.Param[xmppClient]{
	{Name: "SupportedServerConnectAlgorithms", At: func(x *xmppClient) any { return &x.algorithms },
		Check: datamodel.List{Of: datamodel.Enum{"DNS-SRV", "DNS", "ServerTable", "WebSocket"}}},
}

func (m *Model) xmpp() datamodel.Object {
	return datamodel.Define("Device.XMPP.", xmppClientParams, datamodel.Source[xmppClient]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (xmppClient, error) {
			return xmppClient{xmppAlgorithms}, nil
		}),
	})
}

// Device.XMPP.Connection.{i}.: an account on a server. The agent opens the one
// that ManagementServer.ConnReqXMPPConnection points to: it has no other use for
// XMPP.
type xmppConnection struct {
	enable                     bool
	alias                      datamodel.Alias
	username, password         string
	domain, resource           string
	algorithm                  string
	keepAliveInterval          int64  // seconds; -1: as the agent likes, 0: none
	serverConnectAttempts      uint32 // at one address
	serverRetryInitialInterval uint32 // seconds
	serverRetryMultiplier      uint32 // thousandths
	serverRetryMaxInterval     uint32 // seconds
	useTLS                     bool

	state XMPPStatus
}

var xmppConnectionParams = []datamodel.Param[xmppConnection]{
	{Name: "Enable", At: func(c *xmppConnection) any { return &c.enable }, Access: datamodel.ReadWrite},
	{Name: "Alias", At: func(c *xmppConnection) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Username", At: func(c *xmppConnection) any { return &c.username }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "Password", At: func(c *xmppConnection) any { return &c.password }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}, Hidden: true},
	{Name: "Domain", At: func(c *xmppConnection) any { return &c.domain }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Resource", At: func(c *xmppConnection) any { return &c.resource }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "JabberID", At: func(c *xmppConnection) any { return &c.state.JabberID }},
	{Name: "Status", At: func(c *xmppConnection) any { return &c.state.Status }, Check: datamodel.Enum{"Enabled", "Disabled", "Unknown", "Dormant",
		"Connecting", "ServerNotPresent", "Error_Misconfigured", "Error_AuthenticationFailure", "Error"}},
	{Name: "LastChangeDate", At: func(c *xmppConnection) any { return &c.state.Since }},
	{Name: "ServerConnectAlgorithm", At: func(c *xmppConnection) any { return &c.algorithm }, Access: datamodel.ReadWrite},
	{Name: "KeepAliveInterval", At: func(c *xmppConnection) any { return &c.keepAliveInterval }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(-1)},
	{Name: "ServerConnectAttempts", At: func(c *xmppConnection) any { return &c.serverConnectAttempts }, Access: datamodel.ReadWrite},
	{Name: "ServerRetryInitialInterval", At: func(c *xmppConnection) any { return &c.serverRetryInitialInterval }, Access: datamodel.ReadWrite,
		Check: datamodel.Range{Min: 1, Max: math.MaxUint16}},
	{Name: "ServerRetryIntervalMultiplier", At: func(c *xmppConnection) any { return &c.serverRetryMultiplier }, Access: datamodel.ReadWrite,
		Check: datamodel.Range{Min: 1000, Max: math.MaxUint16}},
	{Name: "ServerRetryMaxInterval", At: func(c *xmppConnection) any { return &c.serverRetryMaxInterval }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(1)},
	{Name: "UseTLS", At: func(c *xmppConnection) any { return &c.useTLS }, Access: datamodel.ReadWrite},
	{Name: "TLSEstablished", At: func(c *xmppConnection) any { return &c.state.TLS }},
	{Name: "Stats.ReceivedMessages", At: func(c *xmppConnection) any { return &c.state.ReceivedMessages }},
	{Name: "Stats.TransmittedMessages", At: func(c *xmppConnection) any { return &c.state.TransmittedMessages }},
	{Name: "Stats.ReceivedErrorMessages", At: func(c *xmppConnection) any { return &c.state.ReceivedErrorMessages }},
	{Name: "Stats.TransmittedErrorMessages", At: func(c *xmppConnection) any { return &c.state.TransmittedErrorMessages }},
}

// freshXMPPConnection is the row that AddObject makes.
var freshXMPPConnection = xmppConnection{
	algorithm: "DNS-SRV", keepAliveInterval: -1, serverConnectAttempts: 16,
	serverRetryInitialInterval: 60, serverRetryMultiplier: 2000, serverRetryMaxInterval: 30720,
}

func (m *Model) xmppConnection() datamodel.Object {
	k := keep(m, &m.xmppConnections, "xmpp-connections", xmppConnectionParams, &freshXMPPConnection)
	return datamodel.Define(xmppConnectionPath, xmppConnectionParams, datamodel.Source[xmppConnection]{
		Topics: []datamodel.Topic{SettingsChanged, ReachChanged},
		Keys:   k.Keys,
		New:    k.New,
		Stage:  k.Stage,
		Rows: func(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[xmppConnection], error] {
			return func(yield func(datamodel.Row[xmppConnection], error) bool) {
				for r, err := range k.Rows(ctx, parent) {
					if err == nil {
						r.Value.state = m.xmppState(r.Key, r.Value.enable)
					}
					if !yield(r, err) {
						return
					}
				}
			}
		},
		Check:  checkXMPPConnection,
		Unique: [][]string{{"Username", "Domain", "Resource"}},
	})
}

// xmppState is how the agent's client is doing, for the row that it is about.
func (m *Model) xmppState(key datamodel.Key, enable bool) XMPPStatus {
	if s, ok := m.a.XMPP.Connection(key); ok {
		return s
	}
	if enable {
		return XMPPStatus{Status: "Dormant"} // nothing points to it
	}
	return XMPPStatus{Status: "Disabled"}
}

var errAlgorithm = errors.New("none of SupportedServerConnectAlgorithms")

func checkXMPPConnection(c datamodel.Change[xmppConnection]) error {
	if c.New != nil && !slices.Contains(xmppAlgorithms, c.New.algorithm) {
		return &datamodel.FieldError{Name: "ServerConnectAlgorithm", Err: errAlgorithm}
	}
	return nil
}

// Device.XMPP.Connection.{i}.Server.{i}.: servers to try in turn, where the
// algorithm is ServerTable.
type xmppServer struct {
	enable   bool
	alias    datamodel.Alias
	priority uint32 // the lowest first
	weight   int64  // -1: none
	address  string
	port     uint32
}

var xmppServerParams = []datamodel.Param[xmppServer]{
	{Name: "Enable", At: func(s *xmppServer) any { return &s.enable }, Access: datamodel.ReadWrite},
	{Name: "Alias", At: func(s *xmppServer) any { return &s.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Priority", At: func(s *xmppServer) any { return &s.priority }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "Weight", At: func(s *xmppServer) any { return &s.weight }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: -1, Max: 65535}},
	{Name: "ServerAddress", At: func(s *xmppServer) any { return &s.address }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "Port", At: func(s *xmppServer) any { return &s.port }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
}

// freshXMPPServer is the row that AddObject makes.
var freshXMPPServer = xmppServer{weight: -1, port: 5222}

func (m *Model) xmppServer() datamodel.Object {
	k := keep(m, &m.xmppServers, "xmpp-servers", xmppServerParams, &freshXMPPServer)
	return datamodel.Define(xmppServerPath, xmppServerParams, datamodel.Source[xmppServer]{
		Topics: []datamodel.Topic{SettingsChanged},
		Rows:   k.Rows, Keys: k.Keys, Load: k.Load, New: k.New, Stage: k.Stage,
		Unique: [][]string{{"ServerAddress", "Port"}},
	})
}

// An XMPPAccount is what the agent's client needs of the row that
// ManagementServer.ConnReqXMPPConnection points to.
type XMPPAccount struct {
	Key                    datamodel.Key
	Enable, UseTLS         bool
	Username, Password     string
	Domain, Resource       string
	Algorithm              string
	KeepAlive              int64
	Attempts               uint32
	RetryInitial, RetryMax uint32
	RetryMultiplier        uint32
	Servers                []XMPPServer
}

// An XMPPServer is a row of its Server table.
type XMPPServer struct {
	Enable   bool
	Priority uint32
	Weight   int64
	Address  string
	Port     uint16
}

// XMPPAccount returns the account for connection requests; ok is false when
// nothing, or a row that is gone, is pointed to.
func (m *Model) XMPPAccount(ctx context.Context) (a XMPPAccount, ok bool) {
	if m.xmppConnections == nil {
		return a, false
	}
	key := m.a.Settings.Get(managementServerName + connReqConnection)
	c, err := m.xmppConnections.Load(ctx, []datamodel.Key{key})
	if key == "" || err != nil {
		return a, false
	}
	a = XMPPAccount{
		Key: key, Enable: c.enable, UseTLS: c.useTLS, Username: c.username, Password: c.password,
		Domain: c.domain, Resource: c.resource, Algorithm: c.algorithm, KeepAlive: c.keepAliveInterval,
		Attempts: c.serverConnectAttempts, RetryInitial: c.serverRetryInitialInterval,
		RetryMax: c.serverRetryMaxInterval, RetryMultiplier: c.serverRetryMultiplier,
	}
	for r, err := range m.xmppServers.Rows(ctx, []datamodel.Key{key}) {
		if err != nil {
			break
		}
		s := r.Value
		a.Servers = append(a.Servers, XMPPServer{s.enable, s.priority, s.weight, s.address, uint16(s.port)})
	}
	return a, true
}
