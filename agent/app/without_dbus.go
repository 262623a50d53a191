//go:build no_dbus

package app

// withDBus adds nothing: this build has no D-Bus.
func (a *Agent) withDBus() {}
