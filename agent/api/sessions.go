package api

import "time"

// A SessionLog is what one session was about, in short: no values, no secrets.
type SessionLog struct {
	ID         string        `json:"id"`
	ACS        string        `json:"acs"`
	Address    string        `json:"address,omitempty"` // that was reached
	Started    time.Time     `json:"started"`
	Ended      time.Time     `json:"ended,omitzero"` // zero while it runs
	Events     []string      `json:"events"`
	RetryCount uint32        `json:"retryCount"`
	Kind       Kind          `json:"kind,omitempty"`  // of failure; "" when it went well
	Error      string        `json:"error,omitempty"` // one sentence
	Steps      []SessionStep `json:"steps"`
	// LeftOut is how many steps after the first are not told, because there
	// were too many.
	LeftOut int `json:"leftOut,omitempty"`
}

// A SessionStep is one method and the answer to it.
type SessionStep struct {
	At     int64  `json:"at"`              // ms since the session began
	From   string `json:"from"`            // who asked: "cpe" or "acs"
	Method string `json:"method"`          // "" for the empty POST
	About  string `json:"about,omitempty"` // names, or how many
	Result string `json:"result,omitempty"`
	Fault  string `json:"fault,omitempty"` // "9005: Invalid parameter name"
	Took   int64  `json:"took"`            // ms that we needed for it
	Waited int64  `json:"waited"`          // ms that the ACS needed then
	Bytes  int64  `json:"bytes"`           // that we sent
}

// Sessions returns the last sessions, oldest first; all that are remembered
// when n is 0.
func (s *Service) Sessions(c Caller, n int) ([]SessionLog, error) {
	if err := c.may(Read); err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, Refuse(InvalidArguments, "", "a number of sessions is not negative")
	}
	if s.Recent == nil {
		return nil, nil
	}
	all := s.Recent()
	if n > 0 && n < len(all) {
		all = all[len(all)-n:]
	}
	return all, nil
}
