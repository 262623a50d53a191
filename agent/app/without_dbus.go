//go:build no_dbus

package app

import "context"

// serveDBus has nothing to do: this build has no D-Bus.
func (a *Agent) serveDBus(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
