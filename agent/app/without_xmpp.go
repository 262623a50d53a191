//go:build no_xmpp

package app

import "gatehouse/datamodel/tr181"

func (a *Agent) withXMPP() tr181.XMPP { return nil }
