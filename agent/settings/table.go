package settings

// The one table of settings: names, defaults, where the configuration file has
// them, limits. Limits and defaults of TR-181 parameters are those of Device:2
// (ManagementServer, DeviceInfo); the others are ours.

import "sync"

// Names of settings. One that is a TR-181 parameter has its name without
// "Device."; one of our own is named as in the configuration file,
// "section.option".
const (
	EnableCWMP                  = "ManagementServer.EnableCWMP"
	URL                         = "ManagementServer.URL"
	Username                    = "ManagementServer.Username"
	Password                    = "ManagementServer.Password"
	ScheduleReboot              = "ManagementServer.ScheduleReboot"
	DelayReboot                 = "ManagementServer.DelayReboot"
	PeriodicInformEnable        = "ManagementServer.PeriodicInformEnable"
	PeriodicInformInterval      = "ManagementServer.PeriodicInformInterval"
	PeriodicInformTime          = "ManagementServer.PeriodicInformTime"
	ParameterKey                = "ManagementServer.ParameterKey"
	ConnectionRequestUsername   = "ManagementServer.ConnectionRequestUsername"
	ConnectionRequestPassword   = "ManagementServer.ConnectionRequestPassword"
	UpgradesManaged             = "ManagementServer.UpgradesManaged"
	ActiveNotificationThrottle  = "ManagementServer.DefaultActiveNotificationThrottle"
	RetryMinimumWaitInterval    = "ManagementServer.CWMPRetryMinimumWaitInterval"
	RetryIntervalMultiplier     = "ManagementServer.CWMPRetryIntervalMultiplier"
	HTTPConnectionRequestEnable = "ManagementServer.HTTPConnectionRequestEnable"
	InstanceMode                = "ManagementServer.InstanceMode"
	AutoCreateInstances         = "ManagementServer.AutoCreateInstances"
	HTTPCompression             = "ManagementServer.HTTPCompression"
	STUNEnable                  = "ManagementServer.STUNEnable"
	STUNServerAddress           = "ManagementServer.STUNServerAddress"
	STUNServerPort              = "ManagementServer.STUNServerPort"
	STUNUsername                = "ManagementServer.STUNUsername"
	STUNPassword                = "ManagementServer.STUNPassword"
	STUNMaximumKeepAlivePeriod  = "ManagementServer.STUNMaximumKeepAlivePeriod"
	STUNMinimumKeepAlivePeriod  = "ManagementServer.STUNMinimumKeepAlivePeriod"
	ConnReqXMPPConnection       = "ManagementServer.ConnReqXMPPConnection"
	ConnReqAllowedJabberIDs     = "ManagementServer.ConnReqAllowedJabberIDs"
	LightweightProtocols        = "ManagementServer.LightweightNotificationProtocolsUsed"
	LightweightTriggerInterval  = "ManagementServer.LightweightNotificationTriggerInterval"
	LightweightTriggerTime      = "ManagementServer.LightweightNotificationTriggerTime"
	LightweightHost             = "ManagementServer.UDPLightweightNotificationHost"
	LightweightPort             = "ManagementServer.UDPLightweightNotificationPort"
	UDPConnectionRequestPort    = "stun.local_port"
	XMPPDigestMD5               = "xmpp.digest_md5"
	Manufacturer                = "DeviceInfo.Manufacturer"
	ManufacturerOUI             = "DeviceInfo.ManufacturerOUI"
	ModelName                   = "DeviceInfo.ModelName"
	Description                 = "DeviceInfo.Description"
	ProductClass                = "DeviceInfo.ProductClass"
	SerialNumber                = "DeviceInfo.SerialNumber"
	HardwareVersion             = "DeviceInfo.HardwareVersion"
	SoftwareVersion             = "DeviceInfo.SoftwareVersion"
	ProvisioningCode            = "DeviceInfo.ProvisioningCode"
	AllowHTTP                   = "acs.allow_http"
	DHCPDiscovery               = "acs.dhcp_discovery"
	DHCPOverFactory             = "acs.dhcp_over_factory"
	DHCPDomains                 = "acs.dhcp_domains"
	CWMPVersion                 = "acs.cwmp_version"
	Timeout                     = "acs.timeout"
	Interface                   = "cpe.interface"
	ConnectionRequestPort       = "cpe.port"
	ConnectionRequestPath       = "cpe.path"
	ConnectionRequestOpen       = "cpe.allow_empty_password"
	TLSCA                       = "tls.ca"
	TLSCert                     = "tls.cert"
	TLSKey                      = "tls.key"
	TLSInsecure                 = "tls.insecure"
	TLSMinVersion               = "tls.min_version"
	ProxyURL                    = "proxy.url"
	ProxyUsername               = "proxy.username"
	ProxyPassword               = "proxy.password"
	ProxyExcept                 = "proxy.except"
	LogLevel                    = "log.level"
	LogSOAP                     = "log.soap"
	APIAllow                    = "api.allow"
	DBusAddress                 = "dbus.address"
	MetricsListen               = "metrics.listen"
	RUEEnable                   = "rue.enable"
	RUEDomain                   = "rue.domain"
	RUEUsername                 = "rue.username"
	RUEPassword                 = "rue.password"
	RUEForm                     = "rue.form"
	RUEService                  = "rue.service"
	RUEPath                     = "rue.path"
	RUEPort                     = "rue.port"
	RUERegistry                 = "rue.registry"
	RUEProvider                 = "rue.provider"
	RUEAPIKey                   = "rue.api_key"
	RUEURL                      = "rue.url"
	RUETokenFile                = "rue.token_file"
	RUEBasic                    = "rue.basic"
	RUEDomainOnly               = "rue.domain_certificate"
	RUEFactory                  = "rue.factory"
	RUEAgent                    = "rue.configure_agent"
	RUECA                       = "rue.ca"
	RUECert                     = "rue.cert"
	RUEKey                      = "rue.key"
	RUEVoiceFile                = "rue.voice_file"
	TransportRules              = "transport.rule"
)

// setting is one line of the table.
type setting struct {
	name     string
	option   string   // "section.option" in the configuration file; "": not there
	also     []string // further spellings in the file
	def      string   // canonical
	kind     kind
	min, max int64 // of a number; max of a text in characters
	enum     []string
	secret   bool // never printed
	local    bool // comes from files only: neither the ACS nor a provider nor DHCP may set it
}

// unknownTime is how TR-106 spells "no time".
const unknownTime = "0001-01-01T00:00:00Z"

const maxUint32 = 1<<32 - 1

var table = [...]setting{
	{name: EnableCWMP, option: "cpe.enable", def: "true", kind: boolean},
	{name: URL, option: "acs.url", kind: acsURL, max: 2048},
	{name: Username, option: "acs.userid", also: []string{"acs.username"}, kind: text, max: 256},
	{name: Password, option: "acs.passwd", also: []string{"acs.password"}, kind: text, max: 256, secret: true},
	{name: ScheduleReboot, def: unknownTime, kind: dateTime},
	{name: DelayReboot, def: "-1", kind: number, min: -1, max: 1<<31 - 1},
	{name: PeriodicInformEnable, option: "acs.periodic_inform_enable", def: "true", kind: boolean},
	{name: PeriodicInformInterval, option: "acs.periodic_inform_interval", def: "1800", kind: number, min: 1, max: maxUint32},
	{name: PeriodicInformTime, option: "acs.periodic_inform_time", def: unknownTime, kind: dateTime},
	{name: ParameterKey, kind: text, max: 32},
	{name: ConnectionRequestUsername, option: "cpe.userid", also: []string{"cpe.username"}, kind: text, max: 256},
	{name: ConnectionRequestPassword, option: "cpe.passwd", also: []string{"cpe.password"}, kind: text, max: 256, secret: true},
	{name: UpgradesManaged, def: "false", kind: boolean},
	{name: ActiveNotificationThrottle, option: "cpe.active_notif_throttle", def: "0", kind: number, max: maxUint32},
	{name: RetryMinimumWaitInterval, option: "acs.retry_min_wait_interval", def: "5", kind: number, min: 1, max: 65535},
	{name: RetryIntervalMultiplier, option: "acs.retry_interval_multiplier", def: "2000", kind: number, min: 1000, max: 65535},
	{name: HTTPConnectionRequestEnable, option: "cpe.http_connection_request", def: "true", kind: boolean},
	{name: InstanceMode, option: "cpe.instance_mode", def: "InstanceNumber", kind: choice, enum: []string{"InstanceNumber", "InstanceAlias"}},
	{name: AutoCreateInstances, option: "cpe.auto_create_instances", def: "false", kind: boolean},
	{name: HTTPCompression, option: "acs.compression", def: "Disabled", kind: choice, enum: []string{"Disabled", "GZIP", "Deflate"}},

	{name: STUNEnable, option: "stun.enable", def: "false", kind: boolean},
	{name: STUNServerAddress, option: "stun.server_address", kind: text, max: 256},
	{name: STUNServerPort, option: "stun.server_port", def: "3478", kind: number, max: 65535},
	{name: STUNUsername, option: "stun.username", kind: text, max: 256},
	{name: STUNPassword, option: "stun.password", kind: text, max: 256, secret: true},
	{name: STUNMaximumKeepAlivePeriod, option: "stun.max_keepalive", def: "-1", kind: number, min: -1, max: 1<<31 - 1},
	{name: STUNMinimumKeepAlivePeriod, option: "stun.min_keepalive", def: "30", kind: number, max: maxUint32},
	{name: ConnReqXMPPConnection, kind: text, max: 64},
	{name: ConnReqAllowedJabberIDs, option: "xmpp.allowed_jabber_ids", kind: list, max: 32 * 257},

	{name: Manufacturer, option: "cpe.manufacturer", kind: text, max: 64, local: true},
	{name: ManufacturerOUI, option: "cpe.manufacturer_oui", kind: oui, local: true},
	{name: ModelName, option: "cpe.model_name", kind: text, max: 64, local: true},
	{name: Description, option: "cpe.description", kind: text, max: 256, local: true},
	{name: ProductClass, option: "cpe.product_class", kind: text, max: 64, local: true},
	{name: SerialNumber, option: "cpe.serial_number", kind: text, max: 64, local: true},
	{name: HardwareVersion, option: "cpe.hardware_version", kind: text, max: 64, local: true},
	{name: SoftwareVersion, option: "cpe.software_version", kind: text, max: 64, local: true},
	{name: ProvisioningCode, option: "cpe.provisioning_code", kind: text, max: 64},

	{name: AllowHTTP, option: "acs.allow_http", def: "false", kind: boolean, local: true},
	{name: DHCPDiscovery, option: "acs.dhcp_discovery", def: "true", kind: boolean, local: true},
	{name: DHCPOverFactory, option: "acs.dhcp_over_factory", def: "false", kind: boolean, local: true},
	{name: DHCPDomains, option: "acs.dhcp_domains", kind: list, max: 2048, local: true},
	{name: CWMPVersion, option: "acs.cwmp_version", def: "1.4", kind: choice, enum: []string{"1.0", "1.1", "1.2", "1.3", "1.4"}, local: true},
	// TR-069 3.4.2 forbids to give an ACS less than 30 s.
	{name: Timeout, option: "acs.timeout", also: []string{"cpe.session_timeout"}, def: "60", kind: number, min: 30, max: 3600, local: true},
	{name: Interface, option: "cpe.interface", kind: ifname, local: true},
	{name: ConnectionRequestPort, option: "cpe.port", def: "7547", kind: number, min: 1, max: 65535, local: true},
	{name: ConnectionRequestPath, option: "cpe.path", kind: urlPath, max: 256, local: true},
	{name: ConnectionRequestOpen, option: "cpe.allow_empty_password", def: "false", kind: boolean, local: true},

	{name: UDPConnectionRequestPort, option: "stun.local_port", def: "7547", kind: number, max: 65535, local: true},
	{name: XMPPDigestMD5, option: "xmpp.digest_md5", def: "false", kind: boolean, local: true},

	{name: LightweightProtocols, option: "lwn.protocols", kind: list, max: 64},
	{name: LightweightTriggerInterval, option: "lwn.trigger_interval", def: "0", kind: number, max: maxUint32},
	{name: LightweightTriggerTime, option: "lwn.trigger_time", def: unknownTime, kind: dateTime},
	{name: LightweightHost, option: "lwn.hostname", kind: text, max: 256},
	{name: LightweightPort, option: "lwn.port", def: "7547", kind: number, max: 65535},

	{name: TLSCA, option: "tls.ca", also: []string{"acs.ssl_capath"}, kind: filePath, local: true},
	{name: TLSCert, option: "tls.cert", kind: filePath, local: true},
	{name: TLSKey, option: "tls.key", kind: filePath, local: true},
	{name: TLSInsecure, option: "tls.insecure", also: []string{"acs.insecure_enable"}, def: "false", kind: boolean, local: true},
	{name: TLSMinVersion, option: "tls.min_version", def: "1.2", kind: choice, enum: []string{"1.2", "1.3"}, local: true},
	{name: ProxyURL, option: "proxy.url", kind: proxyURL, max: 2048, local: true},
	{name: ProxyUsername, option: "proxy.username", kind: text, max: 256, local: true},
	{name: ProxyPassword, option: "proxy.password", kind: text, max: 256, secret: true, local: true},
	{name: ProxyExcept, option: "proxy.except", kind: list, max: 2048, local: true},
	{name: LogLevel, option: "log.level", also: []string{"cpe.log_severity"}, def: "info", kind: logLevel, local: true},
	{name: LogSOAP, option: "log.soap", def: "false", kind: boolean, local: true},
	{name: APIAllow, option: "api.allow", kind: rules, max: 8192, local: true},
	{name: DBusAddress, option: "dbus.address", kind: text, max: 1024, local: true},
	{name: MetricsListen, option: "metrics.listen", kind: localAddr, max: 100, local: true},

	{name: RUEEnable, option: "rue.enable", def: "false", kind: boolean, local: true},
	{name: RUEDomain, option: "rue.domain", kind: text, max: 253, local: true},
	{name: RUEUsername, option: "rue.username", kind: text, max: 256, local: true},
	{name: RUEPassword, option: "rue.password", kind: text, max: 256, secret: true, local: true},
	{name: RUEForm, option: "rue.form", def: "merged", kind: choice, enum: []string{"merged", "rfc9248", "device"}, local: true},
	{name: RUEService, option: "rue.service", def: "rueconfig", kind: text, max: 63, local: true},
	{name: RUEPath, option: "rue.path", def: "/v1", kind: urlPath, max: 256, local: true},
	{name: RUEPort, option: "rue.port", def: "443", kind: number, min: 1, max: 65535, local: true},
	{name: RUERegistry, option: "rue.registry", kind: text, max: 253, local: true},
	{name: RUEProvider, option: "rue.provider", kind: text, max: 256, local: true},
	{name: RUEAPIKey, option: "rue.api_key", kind: text, max: 256, secret: true, local: true},
	{name: RUEURL, option: "rue.url", kind: text, max: 2048, local: true},
	{name: RUETokenFile, option: "rue.token_file", kind: filePath, local: true},
	{name: RUEBasic, option: "rue.basic", def: "false", kind: boolean, local: true},
	{name: RUEDomainOnly, option: "rue.domain_certificate", def: "false", kind: boolean, local: true},
	{name: RUEFactory, option: "rue.factory", kind: filePath, local: true},
	{name: RUEAgent, option: "rue.configure_agent", def: "false", kind: boolean, local: true},
	{name: RUECA, option: "rue.ca", kind: filePath, local: true},
	{name: RUECert, option: "rue.cert", kind: filePath, local: true},
	{name: RUEKey, option: "rue.key", kind: filePath, local: true},
	{name: RUEVoiceFile, option: "rue.voice_file", kind: filePath, local: true},
	{name: TransportRules, option: "transport.rule", kind: transport, max: 4096, local: true},
}

// without lists what icwmpd's users have in their files and, without effect
// here, must not be told to be a mistake: the value says why. A section has no
// dot.
var without = map[string]string{
	"acs.dhcp_url":                 noEffect,
	"acs.skip_dhcp_boot_options":   noEffect,
	"acs.http_disable_100continue": "100-continue is never asked for",
	"acs.ip_version":               noEffect,
	"acs.heartbeat_enable":         noEffect,
	"acs.heartbeat_interval":       noEffect,
	"acs.heartbeat_time":           noEffect,
	"cpe.amd_version":              "use option cwmp_version in section acs",
	"cpe.default_wan_interface":    initScript,
	"cpe.firewall_zone":            initScript,
	"cpe.cr_allow":                 initScript,
	"cpe.gc":                       initScript,
	"cpe.memlimit":                 initScript,
	"cpe.log_file_name":            logsElsewhere,
	"cpe.log_max_size":             logsElsewhere,
	"cpe.enable_stdout_log":        logsElsewhere,
	"cpe.enable_file_log":          logsElsewhere,
	"cpe.enable_syslog":            logsElsewhere,
	"cpe.log_to_syslog":            logsElsewhere,
	"cpe.exec_download":            noEffect,
	"cpe.notification":             noEffect,
	"cpe.periodic_notify_enable":   "changes are noticed when they happen",
	"cpe.periodic_notify_interval": "changes are noticed when they happen",
	"cpe.incoming_rule":            noEffect,
	"cpe.allowed_cr_ip":            noEffect,
	"cpe.fw_upgrade_keep_settings": noEffect,
	"cpe.clock_sync_timeout":       "without a clock certificates are checked at their own time",
	"cpe.disable_datatype_check":   noEffect,
	"lwn.enable":                   "use list protocols 'UDP'",
	"xmpp.enable":                  "the ACS makes the connection: Device.XMPP.Connection.",
	"xmpp.xmpp_id":                 noEffect,
	"autonomous_notify":            noEffect,
	"transfer_complete_notify":     noEffect,
	"du_state_change":              noEffect,
}

const (
	noEffect      = "it has no effect here"
	initScript    = "" // read by the init script; nothing to say
	logsElsewhere = "the log goes to standard error, and from there where the system puts it"
)

// Info describes a setting for documentation and for "get --origin".
type Info struct {
	Name    string
	Option  string // "section.option" in the configuration file; "": not there
	Default string
	Limits  string // in words; "" when there are none
	Secret  bool
	Local   bool // files only
}

// Table returns every setting in the order of the documentation.
func Table() []Info {
	infos := make([]Info, len(table))
	for i, s := range table {
		infos[i] = Info{s.name, s.option, s.def, s.limits(), s.secret, s.local}
	}
	return infos
}

// index finds a setting in table by its name. It is made once, when it is first
// asked for: each agent of a process reads the same.
var index = sync.OnceValue(func() map[string]int {
	at := make(map[string]int, len(table))
	for i := range table {
		at[table[i].name] = i
	}
	return at
})
