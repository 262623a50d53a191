package app

// Who may do what at the doors where users come in.

import (
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
)

// callerAt gives a user its rights: root and whoever runs the agent may do
// everything, the group gatehouse may read, and the configuration (api.allow)
// adds to that: a rule that cannot be understood gives nobody anything.
func (a *Agent) callerAt(uid uint32, gids []uint32) api.Caller {
	c := api.Caller{Name: fmt.Sprintf("uid %d", uid)}
	if uid == 0 || int(uid) == os.Geteuid() {
		c.Rights = api.Everything
		return c
	}
	if gid, err := (userbase{}).Group(readersGroup); err == nil && (api.Rule{UID: -1, GID: gid}).For(uid, gids) {
		c.Rights = api.Read
	}
	for _, r := range a.rules.of(a.settings.Get(settings.APIAllow), a.log) {
		if r.For(uid, gids) {
			c.Grants = append(c.Grants, r.Grant)
		}
	}
	return c
}

// rulesHold is how long rules are kept as they were read: users may come later
// than the rules that name them.
const rulesHold = time.Minute

// A rulebook keeps what the rules of the configuration say.
type rulebook struct {
	mu    sync.Mutex
	text  string
	read  time.Time
	rules []api.Rule
}

func (b *rulebook) of(text string, log *slog.Logger) []api.Rule {
	b.mu.Lock()
	defer b.mu.Unlock()
	again := text == b.text
	if again && time.Since(b.read) < rulesHold {
		return b.rules
	}
	b.text, b.read, b.rules = text, time.Now(), nil
	for rule := range strings.SplitSeq(text, ";") {
		if rule == "" {
			continue
		}
		r, err := api.ParseRule(rule, userbase{})
		switch {
		case err == nil:
			b.rules = append(b.rules, r)
		case !again:
			log.Warn("a rule of api.allow gives nobody anything", "err", err)
		}
	}
	return b.rules
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
