package ubusd

// Access lists, as ubusd reads them from /usr/share/acl.d.

import (
	"encoding/json"
	"slices"
	"strings"
)

// Access is one list. It is about a user or, without one, about a group.
type Access struct {
	User   string `json:"user"`
	Group  string `json:"group"`
	Access map[string]struct {
		Methods []string `json:"methods"`
	} `json:"access"`
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
	Listen    []string `json:"listen"`
	Send      []string `json:"send"`
}

// ParseAccess reads one file.
func ParseAccess(text []byte) (a Access, err error) {
	err = json.Unmarshal(text, &a)
	return a, err
}

type kind int

const (
	accesses kind = iota
	publishes
	subscribes
	listens
	sends
)

// matches is the daemon's idea of a pattern: a star at the end, if any.
func matches(pattern, s string) bool {
	prefix, star := strings.CutSuffix(pattern, "*")
	return pattern == s || star && strings.HasPrefix(s, prefix)
}

// may asks the lists. Root is not asked, and what has no path is open to all.
func (d *Daemon) may(c *client, k kind, path, method string) bool {
	if c.UID == 0 || path == "" {
		return true
	}
	return slices.ContainsFunc(d.Access, func(a Access) bool {
		return a.about(c.User) && a.allows(k, path, method)
	})
}

func (a Access) about(u User) bool {
	if a.User != "" {
		return a.User == u.Name
	}
	return a.Group != "" && a.Group == u.Group
}

func (a Access) allows(k kind, path, method string) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return matches(p, path) })
	}
	switch k {
	case publishes:
		return in(a.Publish)
	case subscribes:
		return in(a.Subscribe)
	case listens:
		return in(a.Listen)
	case sends:
		return in(a.Send)
	}
	for p, o := range a.Access {
		if matches(p, path) && (slices.Contains(o.Methods, "*") || slices.Contains(o.Methods, method)) {
			return true
		}
	}
	return false
}
