package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/agent/core"
	"gatehouse/datamodel/tr181"
)

// expireMappings deletes port mappings when their time is over (TR-181
// NAT.PortMapping.LeaseDuration). It sleeps while there are none that end.
func (a *Agent) expireMappings(ctx context.Context) (again time.Duration, err error) {
	next, reloads, err := a.model.ExpireMappings(ctx, a.tree)
	if ctx.Err() != nil {
		return 0, nil
	}
	if err != nil {
		a.log.Warn("port mappings whose time is over are still there", "try again in", next, "err", err)
	}
	if len(reloads) > 0 {
		a.after.reload(reloads)
		a.post(core.After{})
		a.hint(tr181.ConfigChanged)
	}
	return next, nil
}

// pokeMappings has them looked at again when somebody has written a mapping.
func (a *Agent) pokeMappings(paths []string) {
	if slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, "Device.NAT.PortMapping.") }) {
		a.mappings.poke()
	}
}
