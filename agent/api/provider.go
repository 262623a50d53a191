package api

import (
	"context"
	"maps"
	"slices"
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

var errNoProvider = Refuse(Denied, providerPath, "this agent was built without the provider's configuration")

// ProviderCall carries out fetch, reset or reload.
func (s *Service) ProviderCall(ctx context.Context, c Caller, call string) (changed bool, err error) {
	if err := c.may(Act); err != nil {
		return false, err
	}
	switch {
	case s.Config.Provider == nil:
		return false, errNoProvider
	case call != "fetch" && call != "reset" && call != "reload":
		return false, Refuse(InvalidArguments, "", "the provider's configuration can be fetched, reset and reloaded; there is no "+call)
	}
	changed, err = s.Config.Provider.Provider(ctx, call)
	return changed, named(err)
}

// A ProviderState tells of the provider's configuration what scripts ask for;
// the data model has the rest.
type ProviderState struct{ Status, Source, LastError string }

// ProviderState returns it, if the caller may read it.
func (s *Service) ProviderState(ctx context.Context, c Caller) (st ProviderState, err error) {
	if s.Config.Provider == nil {
		return st, errNoProvider
	}
	parts := map[string]*string{providerPath + "Status": &st.Status, providerPath + "Source": &st.Source, providerPath + "LastError": &st.LastError}
	for v, err := range s.Get(ctx, c, slices.Collect(maps.Keys(parts))) {
		if err != nil {
			return ProviderState{}, err
		}
		if part := parts[v.Name]; part != nil {
			*part = v.Value
		}
	}
	return st, nil
}

// A Channel is one kind of conversation with servers, and how it is doing.
type Channel struct {
	Name      string    `json:"name"`
	Up        bool      `json:"up"` // a server answered, and not all have failed since
	LastOK    time.Time `json:"lastOK,omitzero"`
	LastError string    `json:"lastError,omitempty"`
	Selected  string    `json:"selected,omitempty"`
	Without   string    `json:"without,omitempty"` // what does not work while it is down
	Servers   []Server  `json:"servers,omitempty"` // in the order in which they are tried
}

// A Server is one that a channel knows.
type Server struct {
	Name         string    `json:"name"`
	Address      string    `json:"address"`
	BlockedUntil time.Time `json:"blockedUntil,omitzero"`
}
