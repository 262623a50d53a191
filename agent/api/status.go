package api

import (
	"context"
	"iter"
	"time"

	"gatehouse/agent/core"
)

// Status tells a person, or a script, how the agent is doing.
type Status struct {
	State       string    `json:"state"`            // disabled, idle, waiting, in session, rebooting
	Reason      string    `json:"reason,omitempty"` // one sentence, when State does not speak for itself
	ACS         string    `json:"acs"`              // the URL, "" when none is known
	Session     string    `json:"session,omitempty"`
	Started     time.Time `json:"started,omitzero"`
	Ended       time.Time `json:"ended,omitzero"`
	Succeeded   time.Time `json:"succeeded,omitzero"`
	LastError   string    `json:"lastError,omitempty"` // one sentence; "" after a session that went well
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
	RetryCount  uint32    `json:"retryCount"`
	Pending     []string  `json:"pending"` // events that are not yet delivered
	Sessions    uint64    `json:"sessions"`
	Failures    uint64    `json:"failures"`
	StoreError  string    `json:"storeError,omitempty"` // one sentence while the state cannot be saved
	TakenBack   string    `json:"takenBack,omitempty"`  // one sentence: what the system did not take up, until something goes well

	Version              string            `json:"version"`
	Platform             string            `json:"platform"`
	Device               map[string]string `json:"device,omitempty"` // Manufacturer, OUI, ProductClass, SerialNumber
	SafeMode             bool              `json:"safeMode,omitempty"`
	ConnectionRequestURL string            `json:"connectionRequestURL,omitempty"`
	Transports           []Transport       `json:"transports,omitempty"` // ways to ask for a session
	Channels             []Channel         `json:"channels,omitempty"`   // conversations with servers, that with the ACS first
	FlashWrites          uint64            `json:"flashWrites"`
	Counters             Counters          `json:"counters"`
	Absent               []string          `json:"absent,omitempty"` // what this platform or user cannot serve
}

// Status returns the present status.
func (s *Service) Status(c Caller) (Status, error) {
	if err := c.mayAll(Read, statusPath); err != nil {
		return Status{}, err
	}
	return s.status(), nil
}

// statusPath is what one must be able to read to be told how the agent is
// doing: the URL of the ACS is part of it.
const statusPath = "Device.ManagementServer."

// Statuses yields the present status and each later one, until ctx ends.
func (s *Service) Statuses(ctx context.Context, c Caller) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		st, err := s.Status(c)
		if err != nil || s.Config.Statuses == nil {
			yield(st, err)
			return
		}
		for now := range s.Config.Statuses(ctx) {
			st := fromCore(now)
			s.Agent(&st)
			if !yield(st, nil) {
				return
			}
		}
	}
}

func (s *Service) status() Status {
	st := fromCore(s.Core.Status())
	s.Agent(&st)
	return st
}

func fromCore(c core.Status) Status {
	st := Status{
		State: string(c.State), Reason: c.Reason,
		Session: c.Session, Started: c.Started, Ended: c.Ended, Succeeded: c.Succeeded,
		LastError: c.LastError, NextAttempt: c.NextAttempt, RetryCount: c.RetryCount,
		Pending: []string{}, Sessions: c.Sessions, Failures: c.Failures, StoreError: c.StoreError,
	}
	for _, e := range c.Pending {
		text := e.Code
		if e.CommandKey != "" {
			text += " (" + e.CommandKey + ")"
		}
		st.Pending = append(st.Pending, text)
	}
	return st
}
