package bus

// Who calls: the word of the bus on a sender's user and groups.

import (
	"context"
	"fmt"
	"os/user"
	"strconv"
	"sync"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
)

// maxKnown bounds the senders that are remembered. A unique name is never given
// twice while a bus lives, so that nothing here goes stale but the rules.
const maxKnown = 256

type identity struct {
	uid    uint32
	gids   []uint32
	caller api.Caller
}

type callers struct {
	mu    sync.Mutex
	known map[string]identity
}

func (c *callers) init() { c.known = map[string]identity{} }

// who returns what is known of a sender. Its rights are worked out at each
// call: the configuration may have changed.
func (c *callers) who(ctx context.Context, d *Door, sender string) (identity, error) {
	c.mu.Lock()
	id, ok := c.known[sender]
	c.mu.Unlock()
	if !ok {
		var err error
		if id, err = ask(ctx, d, sender); err != nil {
			return identity{}, err
		}
		c.mu.Lock()
		if len(c.known) >= maxKnown {
			clear(c.known)
		}
		c.known[sender] = id
		c.mu.Unlock()
	}
	id.caller = d.cfg.Caller(id.uid, id.gids)
	id.caller.Name = "dbus " + id.caller.Name
	return id, nil
}

func ask(ctx context.Context, d *Door, sender string) (identity, error) {
	creds := map[string]dbus.Variant{}
	err := d.conn.BusObject().CallWithContext(ctx, theBus+".GetConnectionCredentials", 0, sender).Store(&creds)
	uid, ok := creds["UnixUserID"].Value().(uint32)
	if err != nil || !ok { // an old bus
		if err := d.conn.BusObject().CallWithContext(ctx, theBus+".GetConnectionUnixUser", 0, sender).Store(&uid); err != nil {
			return identity{}, err
		}
	}
	gids, ok := creds["UnixGroupIDs"].Value().([]uint32)
	if !ok {
		gids = groups(uid)
	}
	return identity{uid: uid, gids: gids}, nil
}

// groups looks into the user database for what the bus did not tell.
func groups(uid uint32) (gids []uint32) {
	u, err := user.LookupId(fmt.Sprint(uid))
	if err != nil {
		return nil
	}
	texts, err := u.GroupIds()
	if err != nil {
		return nil
	}
	for _, t := range texts {
		if n, err := strconv.ParseUint(t, 10, 32); err == nil {
			gids = append(gids, uint32(n))
		}
	}
	return gids
}
