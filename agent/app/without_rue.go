//go:build no_rue

package app

import "gatehouse/datamodel/tr181"

func (a *Agent) withRUE() (tr181.Provider, tr181.Voice) { return nil, nil }
