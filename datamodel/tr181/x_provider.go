// Device.X_GATEHOUSE_Provider.: the configuration that a provider has for the
// subscriber, as it was fetched. It has no place in Device:2.

package tr181

import (
	"context"
	"iter"
	"time"

	"gatehouse/datamodel"
)

// A Provider is the provider's configuration: fetched, kept, applied.
type Provider interface {
	ProviderState() ProviderState
	// FetchProvider has it fetched now, and does not wait.
	FetchProvider()
}

// ProviderState is how the provider's configuration is doing.
type ProviderState struct {
	Status    string // Disabled None Enabled Stale Error_Misconfigured
	Source    string // live disk factory, "" none
	From      string // URL
	Fetched   time.Time
	Next      time.Time
	LastError string
	Keys      []ProviderKey
}

// A ProviderKey is one key of the document. Secrets are masked.
type ProviderKey struct {
	Name, Value, Origin string
	Known               bool
}

const (
	providerPath    = "Device.X_GATEHOUSE_Provider."
	providerKeyPath = providerPath + "Key.{i}."
)

type provider struct {
	ProviderState
	fetch bool
}

var providerParams = []datamodel.Param[provider]{
	{Name: "Status", At: func(p *provider) any { return &p.Status },
		Check: datamodel.Enum{"Disabled", "None", "Enabled", "Stale", "Error_Misconfigured"}},
	{Name: "Source", At: func(p *provider) any { return &p.Source }, Check: datamodel.Enum{"", "live", "disk", "factory"}},
	{Name: "URL", At: func(p *provider) any { return &p.From }},
	{Name: "LastFetch", At: func(p *provider) any { return &p.Fetched }, Notify: datamodel.NotifyNever},
	{Name: "NextFetch", At: func(p *provider) any { return &p.Next }, Notify: datamodel.NotifyNever},
	{Name: "LastError", At: func(p *provider) any { return &p.LastError }},
	{Name: "Fetch", At: func(p *provider) any { return &p.fetch }, Access: datamodel.Command},
}

func (m *Model) provider() datamodel.Object {
	return datamodel.Define(providerPath, providerParams, datamodel.Source[provider]{
		Topics: []datamodel.Topic{ProviderChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (provider, error) {
			s := m.a.Provider.ProviderState()
			s.Fetched, s.Next = s.Fetched.UTC().Truncate(time.Second), s.Next.UTC().Truncate(time.Second)
			return provider{ProviderState: s}, nil
		}),
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[provider]) error {
			if c.Set("Fetch") && c.New.fetch {
				tx.After(FetchProvider, "")
			}
			return nil
		},
	})
}

// FetchProvider is an action that a transaction leaves for after the session.
const FetchProvider = "fetch-provider"

type providerKey struct {
	name, value, origin string
	known               bool
}

var providerKeyParams = []datamodel.Param[providerKey]{
	{Name: "Name", At: func(k *providerKey) any { return &k.name }},
	{Name: "Value", At: func(k *providerKey) any { return &k.value }},
	{Name: "Origin", At: func(k *providerKey) any { return &k.origin }, Check: datamodel.Enum{"provider", "subscriber"}},
	{Name: "Known", At: func(k *providerKey) any { return &k.known }},
}

func (m *Model) providerKey() datamodel.Object {
	return datamodel.Define(providerKeyPath, providerKeyParams, datamodel.Source[providerKey]{
		Volatile: true,
		Topics:   []datamodel.Topic{ProviderChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[providerKey], error] {
			return func(yield func(datamodel.Row[providerKey], error) bool) {
				for _, k := range m.a.Provider.ProviderState().Keys {
					row := datamodel.Row[providerKey]{Key: k.Name, Value: &providerKey{k.Name, k.Value, k.Origin, k.Known}}
					if !yield(row, nil) {
						return
					}
				}
			}
		},
	})
}
