package main

import (
	"context"
	"slices"

	"gatehouse/agent/control"
)

// rue shows the provider's configuration, or has it fetched, forgotten or read
// anew.
func rue(ctx context.Context, c *invocation) error {
	if len(c.args) != 1 || !slices.Contains([]string{"fetch", "show", "reset", "reload"}, c.args[0]) {
		return usageError("fetch, show, reset or reload?")
	}
	if c.args[0] == "show" {
		c.args = []string{"Device.X_GATEHOUSE_Provider."}
		return get(ctx, c)
	}
	return c.done(ctx, control.Request{Call: "provider", Event: c.args[0]}, func(end *control.End) string {
		switch {
		case c.args[0] == "reset":
			return c.out.paint(green, "forgotten")
		case c.args[0] == "reload":
			return c.out.paint(green, "read")
		case end.Fetched:
			return c.out.paint(green, "fetched") + ", and it has changed"
		}
		return c.out.paint(green, "fetched") + ", nothing has changed"
	})
}
