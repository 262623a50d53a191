package api

// Who may do what, and where: the rights of a caller, everywhere or below
// paths, and the rules of the configuration that give them.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/datamodel"
)

// Rights are what a caller may do.
type Rights uint8

// The rights. Secrets are never read back, by nobody.
const (
	Read     Rights = 1 << iota // values, names, attributes, status, watches
	Write                       // set, add, delete, attributes
	Act                         // start a session, read the configuration anew
	Secrets                     // write what is never read back: passwords
	Register                    // add objects of one's own to the tree

	Everything = Read | Write | Act | Secrets | Register
)

var rightNames = []string{"read", "write", "act", "secrets", "register"}

// String joins the names: "read+write".
func (r Rights) String() string {
	var names []string
	for i, name := range rightNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// A Caller is who stands at the door, as the door made sure of it.
type Caller struct {
	Name   string  // for the log: "cli uid 0"
	Rights Rights  // everywhere
	Grants []Grant // and what is allowed beyond them
}

// A Grant gives rights at and below a path.
type Grant struct {
	Rights Rights
	// Path is the beginning of the names that it is about:
	// "Device.X_ACME_", "Device.WiFi.SSID.*.X_ACME_", "Device.". A star stands
	// for any one instance.
	Path string
}

// A Rule of the configuration gives a grant to somebody.
type Rule struct {
	Grant
	UID, GID int64 // -1: not by this one; both -1: everybody
}

// Who finds users and groups by their names.
type Who interface {
	User(name string) (uid int64, err error)
	Group(name string) (gid int64, err error)
}

// ParseRule reads "WHO RIGHTS [PATH]". WHO is a user, "@group", a number of
// either, or "*" for everybody; RIGHTS are joined by "+"; without PATH it is
// about all of the tree.
func ParseRule(text string, who Who) (Rule, error) {
	f := strings.Fields(text)
	if len(f) < 2 || len(f) > 3 {
		return Rule{}, fmt.Errorf("%q is not WHO RIGHTS [PATH]", text)
	}
	r := Rule{Grant: Grant{Path: datamodel.Root}, UID: -1, GID: -1}
	if len(f) == 3 {
		r.Path = f[2]
	}
	if !strings.HasPrefix(r.Path, datamodel.Root) {
		return Rule{}, fmt.Errorf("%q: a path begins with %s", text, datamodel.Root)
	}
	for name := range strings.SplitSeq(f[1], "+") {
		i := slices.Index(rightNames, name)
		if i < 0 {
			return Rule{}, fmt.Errorf("%q: there is no right %q: they are %s", text, name, strings.Join(rightNames, ", "))
		}
		r.Rights |= 1 << i
	}
	if f[0] == "*" {
		return r, nil
	}
	var err error
	if group, ok := strings.CutPrefix(f[0], "@"); ok {
		r.GID, err = number(group, who.Group)
	} else {
		r.UID, err = number(f[0], who.User)
	}
	if err != nil {
		return Rule{}, fmt.Errorf("%q: %w", text, err)
	}
	return r, nil
}

func number(text string, named func(string) (int64, error)) (int64, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return int64(n), nil
	}
	return named(text)
}

// For reports whether the rule is about a user with those groups.
func (r Rule) For(uid uint32, gids []uint32) bool {
	switch {
	case r.UID >= 0:
		return r.UID == int64(uid)
	case r.GID >= 0:
		return slices.ContainsFunc(gids, func(g uint32) bool { return int64(g) == r.GID })
	}
	return true
}

var errNotPermitted = Refuse(NotPermitted, "", "you may not do this: ask as root, as the user that the agent runs as, or as one whom its configuration allows it")

func notPermitted(path string) *Error {
	return Refuse(NotPermitted, path, "you may not do this here: ask as root, or as one whom the agent's configuration allows it")
}

func (c Caller) may(right Rights) error {
	if c.Rights&right == right || slices.ContainsFunc(c.Grants, func(g Grant) bool { return g.Rights&right == right }) {
		return nil
	}
	return errNotPermitted
}

// has reports whether the caller has the right at path and all that is below.
func (c Caller) has(right Rights, path string) bool {
	return c.Rights&right == right ||
		slices.ContainsFunc(c.Grants, func(g Grant) bool { return g.Rights&right == right && covers(g.Path, path) })
}

// reaches reports whether the caller has the right at path or somewhere below.
func (c Caller) reaches(right Rights, path string) bool {
	return c.has(right, path) || slices.ContainsFunc(c.Grants, func(g Grant) bool {
		return g.Rights&right == right && (path == "" || strings.HasSuffix(path, ".") && covers(path, g.Path) || strings.Contains(path, "*") && covers(path, g.Path))
	})
}

// May returns nil when the caller has the right at every path.
func (c Caller) May(right Rights, paths ...string) error { return c.mayAll(right, paths...) }

func (c Caller) mayAll(right Rights, paths ...string) error {
	if err := c.may(right); err != nil {
		return err
	}
	var e Error
	for _, p := range paths {
		if !c.has(right, p) {
			e.Problems = append(e.Problems, notPermitted(p).Problems...)
		}
	}
	if e.Problems != nil {
		return &e
	}
	return nil
}

func (c Caller) mayReach(right Rights, paths ...string) error {
	if err := c.may(right); err != nil {
		return err
	}
	for _, p := range paths {
		if !c.reaches(right, p) {
			return notPermitted(p)
		}
	}
	return nil
}

// covers reports whether name begins with grant, segment by segment. A star
// (or {i}) in the grant stands for any one instance.
func covers(grant, name string) bool {
	for {
		g, gRest, gMore := strings.Cut(grant, ".")
		n, nRest, nMore := cutSegment(name)
		switch {
		case !gMore:
			return strings.HasPrefix(n, g) || g == "*" && isInstance(n)
		case !nMore && n == "":
			return false
		case g != n && !(isAny(g) && isInstance(n)):
			return false
		case !nMore:
			return false
		}
		grant, name = gRest, nRest
	}
}

// cutSegment is strings.Cut at the next dot; one within [an alias] is none.
func cutSegment(name string) (segment, rest string, more bool) {
	if strings.HasPrefix(name, "[") {
		if i := strings.Index(name, "]."); i >= 0 {
			return name[:i+1], name[i+2:], true
		}
		return name, "", false
	}
	return strings.Cut(name, ".")
}

func isAny(g string) bool { return g == "*" || g == "{i}" }

func isInstance(n string) bool {
	return n != "" && (n[0] >= '0' && n[0] <= '9' || n[0] == '[' || isAny(n))
}

// maySecrets asks for the right to write those among the paths that are never
// read back.
func (s *Service) maySecrets(ctx context.Context, c Caller, paths []string) error {
	if c.Rights&Secrets != 0 {
		return nil
	}
	for _, p := range paths {
		info, err := s.Tree.Describe(ctx, p)
		if err == nil && info.Hidden && !c.has(Secrets, p) {
			return notPermitted(p)
		}
		if err != nil && ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
	return nil
}

// maySecretsBelow is maySecrets for a row that is not there yet: no schema is
// asked, the declared parameters of the table are looked through.
func (s *Service) maySecretsBelow(c Caller, table string, list []datamodel.Assignment) error {
	if c.Rights&Secrets != 0 || c.has(Secrets, table) {
		return nil
	}
	for _, a := range list {
		for o := range s.Tree.Objects() {
			for info := range o.Params() {
				if info.Hidden && covers(strings.ReplaceAll(info.Path, "{i}", "*"), a.Path) {
					return notPermitted(a.Path)
				}
			}
		}
	}
	return nil
}
