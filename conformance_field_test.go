package gatehouse_test

// What the field has seen, in a line each; the numbers are those of the zoo.

var fieldFailures = [...]string{
	"a cookie is not sent back when `Set-Cookie` has no Path, or another odd shape",
	"an old cookie is sent with the next Inform",
	"the 401 is answered over a new connection, where the nonce is unknown",
	"parameters of the Digest response are missing or cut off",
	"no Authorization although it is configured; blank credentials",
	"credentials are lost after the first POST of a session",
	"`Expect: 100-continue`, a missing SOAPAction, a wrong Content-Type",
	"redirects are not followed, or followed for ever, or out of TLS",
	"a storm of retries without back-off",
	"an InformResponse is not understood for its prefix, order, ID, header or declaration",
	"white space in values and keys is trimmed or collapsed",
	"a second connection request while a session runs is refused for ever",
	"the session opens before the connection request is answered",
	"a connection request with a query is refused",
	"the event of a connection request is carried into retries",
	"the connection is dropped after the challenge to a connection request; no qop",
	"the WAN address changes, and ConnectionRequestURL does not",
	"without a clock every certificate is refused",
	"the wrong response, or a 500, and the session never ends or the event is lost",
	"empty 200 instead of 204, closed connections, chunks, codings",
	"GetParameterNames of the empty path",
	"a name is listed that cannot be read",
	"GetParameterNames leaves out objects, or takes NextLevel for a parameter",
	"an empty value has no Value element",
	"control bytes and markup in values",
	"dateTime and boolean in other spellings",
	"the type of a value is missing or wrong",
	"what can be written is reported as read-only",
	"SetParameterValues is not atomic, or takes a parameter twice",
	"values are stored and not applied, or applied in spite of a fault",
	"reading changes the configuration",
	"instance numbers and ParameterKey do not survive",
	"long lists of attributes, long walks",
	"events come twice, at the wrong time, or not at all",
	"a Download fails with the wrong fault",
	"TransferComplete is never sent, twice, or with a foreign key",
	"reading the whole tree takes longer than the ACS waits",
	"tables that exist and are empty; diagnostics that never end",
	"a ping to a bad host, or during a periodic Inform, loses an event",
	"64-bit counters on 32-bit machines",
}

// A catalogued thing has the tests that show it.
type catalogued struct {
	what  string
	tests []string
	why   string // what is not shown
}

// historicAttacks name the tests that replay them.
var historicAttacks = []catalogued{
	{"Mirai on port 7547 (TR-064, November 2016)", []string{"lab/zoo:TestMiraiOnTheConnectionRequestPort"}, ""},
	{"commands in values (Mirai by SetParameterValues, FXC AE1021)", []string{"lab/zoo:TestShellInValues"}, ""},
	{"Misfortune Cookie (CVE-2014-9222) and long heads", []string{"lab/zoo:TestMisfortuneCookie", "cwmp/connreq:TestSlowHead"}, ""},
	{"a scan load that makes the router fall over (W921V, 2016)", []string{"lab/zoo:TestScan", "cwmp/connreq:TestHonestAmongSilent"}, ""},
	{"plain http and unchecked certificates (I Hunt TR-069 Admins; Inteno)", []string{"lab/zoo:TestManInTheMiddle"}, ""},
	{"values and envelopes that are too long (TP-Link AX10)", []string{"lab/zoo:TestLongValues"}, ""},
	{"XML entities, a rogue ACS", []string{"lab/zoo:TestRogueACS"}, ""},
	{"passwords guessed unseen (easycwmp)", []string{"lab/zoo:TestBruteForce"}, ""},
	{"secrets read back (Eir D1000)", []string{"lab/zoo:TestSecrets"}, ""},
	{"an ACS named by a rogue DHCP server", []string{"lab/zoo:TestRogueDHCP", "agent/app:TestDiscoveryRefused", "internal/dhcpoption:FuzzRead"}, ""},
}

// interoperability is the catalogue of TP-181 (CWMP Interoperability and
// Functionality).
var interoperability = []catalogued{
	{"factory reset", []string{"agent/app:TestFactoryReset", "agent/app:TestFactoryResetRefused"}, ""},
	{"time", []string{"agent/app:TestTimeServersAndUsers", "agent/app:TestClockJumpsInSession", "agent/app:TestDaylightSaving"}, ""},
	{"firmware download", []string{"lab/zoo:TestZoo/firmware_is_told_when_it_runs"}, ""},
	{"GetRPCMethods", []string{"agent/rpc:TestMethodsNotBuilt"}, ""},
	{"configuration backup and restore", []string{"lab/zoo:TestZoo/uploads_without_secrets", "lab/zoo:TestZoo/a_configuration_file_is_put_in_place_and_told_once"}, ""},
	{"a wrong backup file", []string{"lab/zoo:TestZoo/not_a_configuration"}, ""},
	{"PPP interface change", nil, "PPP is configured by nobody yet"},
	{"DHCP provisioning, DHCP switched off", []string{"agent/app:TestProvisionTheLAN", "agent/app:TestInEffect", "datamodel/tr181:TestDHCPPoolLife"}, ""},
	{"SetParameterValues of booleans", []string{"lab/zoo:TestZoo/genieacs_boolean_literals"}, ""},
	{"encrypted connection", []string{"agent/app:TestTLS", "agent/app:TestTLSRefused", "cwmp:TestCertificates"}, ""},
	{"parameters of a vendor", []string{"agent/app:TestPeerExamples", "datamodel:TestExtends"}, ""},
	{"IPPing, TraceRoute, download and upload by HTTP", []string{"lab/zoo:TestZoo/diagnostics_leave_requested", "lab/zoo:TestZoo/the_way_is_found_hop_by_hop"}, "not by FTP"},
	{"UDPEcho", nil, "not there yet"},
	{"IPPing error, TraceRoute error", []string{"lab/zoo:TestZoo/easycwmp_179_ping_to_a_bad_host", "agent/diag:TestTooManyHops"}, ""},
	{"a periodic Inform during IPPing (5.12)", []string{"lab/zoo:TestZoo/tp_181_5_12_periodic_inform_during_a_ping"}, ""},
	{"TotalBytesReceived and TotalBytesSent of the tests", []string{"lab/zoo:TestZoo/diagnostics_leave_requested"}, ""},
	{"statistics of interfaces", []string{"datamodel/tr181:TestStats", "lab/zoo:TestZoo/obuspa_counters_beyond_2_53"}, ""},
	{"stations and leases, told when they come and go", []string{"agent/app:TestStationsAreTold", "datamodel/tr181:TestLeases", "lab/zoo:TestZoo/ispagents_host_and_station_tables_are_filled"}, ""},
	{"port mapping: one interface, all, ranges, lease, remote host, precedence, change, delete, TCP", []string{
		"datamodel/tr181:TestPortMappingLife", "datamodel/tr181:TestPortMappingChecks", "agent/app:TestPortMappingExpires",
		"platform/linuxconf:TestNetNSPortMapping", "platform/linuxconf:TestMappingRule",
	}, ""},
	{"firewall", nil, "`Device.Firewall.` is not there yet"},
	{"WEP, WPA, WPA2, mixed, WPA3, enterprise", []string{"datamodel/tr181:TestWiFiSecurity"}, ""},
	{"an SSID is added and removed", []string{"agent/app:TestGuestNetwork", "datamodel/tr181:TestWiFiNetworkLife"}, ""},
	{"localized strings in values, ParameterKey and CommandKey", []string{"lab/zoo:TestZoo/tp_181_localized_strings"}, ""},
}
