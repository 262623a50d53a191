package app

import "gatehouse/agent/api"

// CallerAt is callerAt.
func (a *Agent) CallerAt(uid uint32, gids []uint32) api.Caller { return a.callerAt(uid, gids) }
