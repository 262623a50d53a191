//go:build no_stun

package app

import "gatehouse/datamodel/tr181"

func (a *Agent) withSTUN() tr181.NAT { return nil }

func (a *Agent) withLightweight() bool { return false }
