package app

import (
	"gatehouse/agent/api"
	"gatehouse/datamodel"
)

// CallerAt is callerAt.
func (a *Agent) CallerAt(uid uint32, gids []uint32) api.Caller { return a.callerAt(uid, gids) }

// Tree is the data model, for objects of a test.
func (a *Agent) Tree() *datamodel.Tree { return a.tree }
