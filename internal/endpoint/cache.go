package endpoint

import (
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// maxCached is how many answers are kept: the agent talks to a handful of
// servers.
const maxCached = 64

type cacheKey struct {
	name string
	t    dnsmessage.Type
}

type cached struct {
	a       *answer // never changed once it is here
	expires time.Time
}

// A cache keeps answers, positive and negative, for their time to live.
type cache struct{ rows map[cacheKey]cached }

// get returns a copy of a live answer with what is left of its TTL, or nil.
func (c *cache) get(key cacheKey, now time.Time) *answer {
	row, ok := c.rows[key]
	if !ok || !now.Before(row.expires) {
		return nil
	}
	a := *row.a
	a.ttl = row.expires.Sub(now)
	return &a
}

// put keeps an answer. A full cache loses what expires first.
func (c *cache) put(key cacheKey, a *answer, now time.Time) {
	if a.ttl <= 0 {
		return
	}
	if c.rows == nil {
		c.rows = make(map[cacheKey]cached)
	}
	if _, known := c.rows[key]; !known && len(c.rows) >= maxCached {
		var first cacheKey
		var when time.Time
		for k, row := range c.rows {
			if when.IsZero() || row.expires.Before(when) {
				first, when = k, row.expires
			}
		}
		delete(c.rows, first)
	}
	c.rows[key] = cached{a, now.Add(a.ttl)}
}
