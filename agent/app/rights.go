package app

// Who may do what at the doors where users come in.

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
)

// callerAt gives a user its rights: root and whoever runs the agent may do
// everything, the group gatehouse may read, and the configuration (api.allow)
// adds to that. A rule that cannot be understood gives nobody anything.
func (a *Agent) callerAt(uid uint32, gids []uint32) api.Caller {
	c := api.Caller{Name: fmt.Sprintf("uid %d", uid)}
	if uid == 0 || int(uid) == os.Geteuid() {
		c.Rights = api.Everything
		return c
	}
	if gid, err := (userbase{}).Group(readersGroup); err == nil && (api.Rule{UID: -1, GID: gid}).For(uid, gids) {
		c.Rights = api.Read
	}
	for text := range strings.SplitSeq(a.settings.Get(settings.APIAllow), ";") {
		if text == "" {
			continue
		}
		r, err := api.ParseRule(text, userbase{})
		switch {
		case err != nil:
			a.log.Warn("a rule of api.allow gives nobody anything", "err", err)
		case r.For(uid, gids):
			c.Grants = append(c.Grants, r.Grant)
		}
	}
	return c
}

// userbase finds users and groups in the system's files.
type userbase struct{}

// User implements api.Who.
func (userbase) User(name string) (int64, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(u.Uid, 10, 64)
}

// Group implements api.Who.
func (userbase) Group(name string) (int64, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(g.Gid, 10, 64)
}
