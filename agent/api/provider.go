package api

import (
	"context"
	"time"
)

// A Provider fetches and keeps the provider's configuration.
type Provider interface {
	// Provider carries a call out: fetch, reset (forget the copy), reload (read
	// the copy anew). changed: a fetch brought something new.
	Provider(ctx context.Context, call string) (changed bool, err error)
}

// providerPath is what one must be able to read to be told of the provider's
// configuration.
const providerPath = "Device.X_GATEHOUSE_Provider."

// ProviderCall carries out fetch, reset or reload.
func (s *Service) ProviderCall(ctx context.Context, c Caller, call string) (changed bool, err error) {
	if err := c.may(Act); err != nil {
		return false, err
	}
	switch {
	case s.Config.Provider == nil:
		return false, Refuse(Denied, providerPath, "this agent was built without the provider's configuration")
	case call != "fetch" && call != "reset" && call != "reload":
		return false, Refuse(InvalidArguments, "", "the provider's configuration can be fetched, reset and reloaded; there is no "+call)
	}
	changed, err = s.Config.Provider.Provider(ctx, call)
	return changed, named(err)
}

// A Channel is one kind of conversation with servers, and how it is doing.
type Channel struct {
	Name      string    `json:"name"`
	Up        bool      `json:"up"` // a server answered, and not all have failed since
	LastOK    time.Time `json:"lastOK,omitzero"`
	LastError string    `json:"lastError,omitempty"`
	Selected  string    `json:"selected,omitempty"`
	Servers   []Server  `json:"servers,omitempty"` // in the order in which they are tried
}

// A Server is one that a channel knows.
type Server struct {
	Name         string    `json:"name"`
	Address      string    `json:"address"`
	BlockedUntil time.Time `json:"blockedUntil,omitzero"`
}
