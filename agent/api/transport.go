package api

import "time"

// A Transport is a way by which the ACS can ask for a session.
type Transport struct {
	Name        string    `json:"name"`    // "http", "udp", "xmpp"
	State       string    `json:"state"`   // in a word or two
	Address     string    `json:"address"` // at which the ACS reaches us; "" while it cannot
	Server      string    `json:"server,omitempty"`
	LastRequest time.Time `json:"lastRequest,omitzero"` // that was accepted
	LastRefused time.Time `json:"lastRefused,omitzero"`
	Refused     string    `json:"refused,omitempty"` // why that one was, in a few words
	Error       string    `json:"error,omitempty"`   // one sentence: why it cannot
}
