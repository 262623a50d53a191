//go:build !no_ubus

package app

import (
	"context"
	"os/user"
	"strconv"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/agent/ubus"
	bus "gatehouse/internal/ubus"
)

// withUBus adds the door on OpenWrt's bus. A build with the tag no_ubus has
// none.
func (a *Agent) withUBus() {
	var door *ubus.Door
	a.extras = append(a.extras, extra{chore: &chore{name: "ubus", turn: func(ctx context.Context) (again time.Duration, err error) {
		if door == nil {
			door = a.ubusDoor()
		}
		return door.Turn(ctx), nil
	}}})
}

func (a *Agent) ubusDoor() *ubus.Door {
	cfg := ubus.Config{
		API: a.api, Caller: a.callerNamed, Start: time.Now(), Path: a.cfg.UBus, Dial: a.cfg.Dial, Log: a.log.With("component", "ubus"),
		Request: func(ctx context.Context) error { return a.core.Post(ctx, core.ConnectionRequest{}) },
	}
	if a.cfg.Dial != nil { // a network in memory has no folders to watch
		cfg.Wait = func(context.Context, string) bus.Waiter { return nil }
	}
	return ubus.New(cfg)
}

// callerNamed gives rights to a user by name, as ubusd tells it: to the groups
// that the system says it is in, and the one that its process has.
func (a *Agent) callerNamed(name, group string) (api.Caller, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return api.Caller{}, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return api.Caller{}, err
	}
	var gids []uint32
	if gid, err := (userbase{}).Group(group); err == nil {
		gids = append(gids, uint32(gid))
	}
	texts, err := u.GroupIds()
	if err != nil {
		a.log.Debug("the groups of a user are not known", "user", name, "err", err)
	}
	for _, t := range texts {
		if n, err := strconv.ParseUint(t, 10, 32); err == nil {
			gids = append(gids, uint32(n))
		}
	}
	return a.callerAt(uint32(uid), gids), nil
}
