package api

import "time"

// Counters are what the agent has done since its process started, as far as it
// can be counted, and how the places stand that it talks to.
type Counters struct {
	// Failures are the sessions that failed, by kind: a [Kind] each, none of
	// them 0.
	Failures map[Kind]uint64 `json:"failures"`
	// Retries are the sessions that repeated a failed one.
	Retries uint64 `json:"retries"`
	// ConnectionRequests are counted by transport ("http", "udp", "xmpp").
	ConnectionRequests map[string]Requests `json:"connectionRequests"`
	// Watched parameters are compared with what the ACS was told; one that
	// stands for a column of a table counts once. Changed ones are waiting to
	// be told actively.
	Watched    int        `json:"watched"`
	Changed    int        `json:"changed"`
	FlashBytes uint64     `json:"flashBytes"`
	Blocked    []Endpoint `json:"blocked"` // addresses of the ACS that are passed over now
}

// A Kind is a way in which a session fails.
type Kind string

// The kinds, in the order in which a session meets them.
const (
	FailedConfig  Kind = "configuration" // a URL that is forbidden, certificates that cannot be read
	FailedDNS     Kind = "dns"           // no address for the name of the ACS
	FailedConnect Kind = "connect"       // nobody answers at any address, or the proxy refuses
	FailedTLS     Kind = "tls"           // a certificate or a handshake
	FailedAuth    Kind = "auth"          // HTTP 401: our credentials
	FailedHTTP    Kind = "http"          // another status that is no success, or a redirect that is not followed
	FailedSOAP    Kind = "soap"          // an answer that cannot be understood, or stands where it may not
	FailedFault   Kind = "fault"         // the ACS refuses in CWMP's own words
	FailedTimeout Kind = "timeout"       // the ACS fell silent
	FailedOther   Kind = "other"         // all else: a connection that broke off, events that were not taken
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{FailedConfig, FailedDNS, FailedConnect, FailedTLS, FailedAuth, FailedHTTP,
		FailedSOAP, FailedFault, FailedTimeout, FailedOther}
}

// Requests are the connection requests of one transport.
type Requests struct {
	Accepted uint64 `json:"accepted"` // a session followed
	Limited  uint64 `json:"limited"`  // refused: the password was right, but they came too fast
	Refused  uint64 `json:"refused"`  // refused: wrong credentials, or a replay
}

// An Endpoint is an address that did not answer as it should.
type Endpoint struct {
	Address string    `json:"address"` // with its port
	Until   time.Time `json:"until"`   // then it is tried again like the others
}
