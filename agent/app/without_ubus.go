//go:build no_ubus

package app

// withUBus adds nothing: this build has no ubus.
func (a *Agent) withUBus() {}
