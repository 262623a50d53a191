// Device.ManagementServer.: the object itself.

package tr181

import (
	"context"
	"errors"
	"math"
	"net/url"
	"slices"
	"time"

	"gatehouse/datamodel"
)

// Device.ManagementServer.: how the agent talks to the ACS. All of it is the
// agent's settings, but for what the agent is able to do and where it is
// reached.
type managementServer struct {
	enableCWMP                  bool
	url                         string
	username, password          string
	scheduleReboot              time.Time
	delayReboot                 int32 // seconds; -1: none
	periodicInformEnable        bool
	periodicInformInterval      uint32 // seconds
	periodicInformTime          time.Time
	parameterKey                string
	connectionRequestURL        string
	connectionRequestUsername   string
	connectionRequestPassword   string
	upgradesManaged             bool
	notificationThrottle        uint32 // seconds
	retryMinimumWait            uint32 // seconds
	retryMultiplier             uint32 // thousandths
	httpConnectionRequestEnable bool
	aliasBasedAddressing        bool
	instanceMode                string
	autoCreateInstances         bool
	supportedConnReqMethods     []string
	httpCompressionSupported    []string
	httpCompression             string
	instanceWildcardsSupported  bool
}

var managementServerParams = []datamodel.Param[managementServer]{
	{Name: "EnableCWMP", At: func(s *managementServer) any { return &s.enableCWMP }, Access: datamodel.ReadWrite},
	{Name: "URL", At: func(s *managementServer) any { return &s.url }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 2048}},
	{Name: "Username", At: func(s *managementServer) any { return &s.username }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "Password", At: func(s *managementServer) any { return &s.password }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Hidden: true},
	{Name: "ScheduleReboot", At: func(s *managementServer) any { return &s.scheduleReboot }, Access: datamodel.ReadWrite},
	{Name: "DelayReboot", At: func(s *managementServer) any { return &s.delayReboot }, Access: datamodel.ReadWrite,
		Check: datamodel.AtLeast(-1)},
	{Name: "PeriodicInformEnable", At: func(s *managementServer) any { return &s.periodicInformEnable }, Access: datamodel.ReadWrite},
	{Name: "PeriodicInformInterval", At: func(s *managementServer) any { return &s.periodicInformInterval }, Access: datamodel.ReadWrite,
		Check: datamodel.AtLeast(1)},
	{Name: "PeriodicInformTime", At: func(s *managementServer) any { return &s.periodicInformTime }, Access: datamodel.ReadWrite},
	{Name: "ParameterKey", At: func(s *managementServer) any { return &s.parameterKey }, Check: datamodel.Len{Max: 32},
		Inform: true, Notify: datamodel.NotifyNever},
	{Name: "ConnectionRequestURL", At: func(s *managementServer) any { return &s.connectionRequestURL }, Check: datamodel.Len{Max: 2048},
		Inform: true, Notify: datamodel.NotifyDefaultOn},
	{Name: "ConnectionRequestUsername", At: func(s *managementServer) any { return &s.connectionRequestUsername }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}},
	{Name: "ConnectionRequestPassword", At: func(s *managementServer) any { return &s.connectionRequestPassword }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Hidden: true},
	{Name: "UpgradesManaged", At: func(s *managementServer) any { return &s.upgradesManaged }, Access: datamodel.ReadWrite},
	{Name: "DefaultActiveNotificationThrottle", At: func(s *managementServer) any { return &s.notificationThrottle }, Access: datamodel.ReadWrite},
	{Name: "CWMPRetryMinimumWaitInterval", At: func(s *managementServer) any { return &s.retryMinimumWait }, Access: datamodel.ReadWrite,
		Check: datamodel.Range{Min: 1, Max: math.MaxUint16}},
	{Name: "CWMPRetryIntervalMultiplier", At: func(s *managementServer) any { return &s.retryMultiplier }, Access: datamodel.ReadWrite,
		Check: datamodel.Range{Min: 1000, Max: math.MaxUint16}},
	{Name: "HTTPConnectionRequestEnable", At: func(s *managementServer) any { return &s.httpConnectionRequestEnable }, Access: datamodel.ReadWrite},
	{Name: "AliasBasedAddressing", At: func(s *managementServer) any { return &s.aliasBasedAddressing }, Inform: true},
	{Name: "InstanceMode", At: func(s *managementServer) any { return &s.instanceMode }, Access: datamodel.ReadWrite,
		Check: datamodel.Enum{"InstanceNumber", "InstanceAlias"}},
	{Name: "AutoCreateInstances", At: func(s *managementServer) any { return &s.autoCreateInstances }, Access: datamodel.ReadWrite},
	{Name: "SupportedConnReqMethods", At: func(s *managementServer) any { return &s.supportedConnReqMethods },
		Check: datamodel.List{Of: datamodel.Enum{"HTTP", "STUN", "XMPP"}}},
	{Name: "HTTPCompressionSupported", At: func(s *managementServer) any { return &s.httpCompressionSupported },
		Check: datamodel.List{Of: datamodel.Enum{"GZIP", "Compress", "Deflate"}}},
	{Name: "HTTPCompression", At: func(s *managementServer) any { return &s.httpCompression }, Access: datamodel.ReadWrite},
	{Name: "InstanceWildcardsSupported", At: func(s *managementServer) any { return &s.instanceWildcardsSupported }},
}

const managementServerName = "ManagementServer."

func (m *Model) managementServer() datamodel.Object {
	src := datamodel.Source[managementServer]{
		Topics: []datamodel.Topic{SettingsChanged, ReachChanged, AddressChanged},
		Keys:   datamodel.Always,
		Rows:   datamodel.One(m.readManagementServer),
		Check:  checkManagementServer,
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[managementServer]) error {
			return stageSettings(m, managementServerParams, tx, c)
		},
	}
	return datamodel.Define("Device."+managementServerName, managementServerParams, src)
}

// readManagementServer fills the row from the settings, and from what the agent
// is able to do.
func (m *Model) readManagementServer(context.Context, []datamodel.Key) (managementServer, error) {
	s := managementServer{
		aliasBasedAddressing: true, instanceWildcardsSupported: true,
		supportedConnReqMethods: []string{"HTTP"}, httpCompressionSupported: httpCompressions[1:],
	}
	if m.a.NAT != nil {
		s.supportedConnReqMethods = append(s.supportedConnReqMethods, "STUN")
	}
	if m.a.XMPP != nil {
		s.supportedConnReqMethods = append(s.supportedConnReqMethods, "XMPP")
	}
	fillSettings(m, managementServerParams, &s)
	if m.a.Reach != nil {
		s.connectionRequestURL = m.a.Reach.ConnectionRequestURL()
	}
	return s, nil
}

// fillSettings fills a row of Device.ManagementServer. from the settings. An
// empty text is a setting that nobody made, or no setting: the field stays.
func fillSettings[T any](m *Model, params []datamodel.Param[T], row *T) {
	// What the settings hold was checked when it was written; should one still
	// not fit, the object is worth more than that one value.
	_ = datamodel.Fill(params, row, func(name string) (string, bool) {
		text := m.a.Settings.Get(managementServerName + name)
		return text, text != ""
	})
}

// stageSettings writes the parameters that were assigned to the settings, but
// for those named.
func stageSettings[T any](m *Model, params []datamodel.Param[T], tx *datamodel.Tx, c datamodel.Change[T], but ...string) error {
	var errs []error
	for i := range params {
		p := &params[i]
		if p.Access != datamodel.ReadWrite || !c.Set(p.Name) || slices.Contains(but, p.Name) {
			continue
		}
		if err := m.a.Settings.Stage(tx, managementServerName+p.Name, datamodel.Text(params, c.New, p.Name)); err != nil {
			errs = append(errs, &datamodel.FieldError{Name: p.Name, Err: err})
		}
	}
	return errors.Join(errs...)
}

// httpCompressions are the values of HTTPCompression: off, and what the HTTP
// client can do.
var httpCompressions = []string{"Disabled", "GZIP", "Deflate"}

var (
	errURL         = errors.New("not an http or https URL")
	errCompression = errors.New("none of HTTPCompressionSupported, and not Disabled")
)

func checkManagementServer(c datamodel.Change[managementServer]) error {
	if c.Set("URL") && c.New.url != "" {
		u, err := url.Parse(c.New.url)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return &datamodel.FieldError{Name: "URL", Err: errURL}
		}
	}
	if c.Set("HTTPCompression") && !slices.Contains(httpCompressions, c.New.httpCompression) {
		return &datamodel.FieldError{Name: "HTTPCompression", Err: errCompression}
	}
	return nil
}
