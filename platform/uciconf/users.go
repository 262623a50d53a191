package uciconf

// Users: the login sections of rpcd, the only users of its own that vanilla
// OpenWrt configures in UCI: those of the web interface and of ubus over HTTP.
// The accounts of the system are in /etc/passwd, and not touched. A password
// "$p$NAME" is that of such an account.

import (
	"fmt"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// Users are those who may log in.
func (c *Conf) Users() platform.Table[platform.User] {
	return kind[platform.User]{
		pkg: "rpcd", types: []string{own + "login", "login"}, prefix: "user",
		read: func(_ *view, s *uci.Section) platform.User {
			return platform.User{Enabled: s.Type == "login" || isSet(s, wished, false), Name: s.Get("username"), Language: s.Get(own + "language")}
		},
		write: writeUser,
	}.table(c)
}

func writeUser(e *edit, p *uci.Package, s *uci.Section, old, r *platform.User) error {
	if old.Name != r.Name {
		if strings.HasPrefix(s.Get("password"), "$p$") {
			return fmt.Errorf("%q is an account of the system: %w", old.Name, platform.ErrUnsupported)
		}
		e.set(s, "username", r.Name)
	}
	if r.Password != "" {
		if strings.HasPrefix(s.Get("password"), "$p$") {
			return fmt.Errorf("the password of %q is that of the system's account: %w", old.Name, platform.ErrUnsupported)
		}
		hash, err := hashPassword(r.Password)
		if err != nil {
			return err
		}
		e.set(s, "password", hash)
	}
	e.str(s, own+"language", old.Language, r.Language)
	if old.Enabled == r.Enabled && old.Name == r.Name && r.Password == "" && !e.isNew(s) {
		return nil
	}
	complete := r.Name != "" && s.Get("password") != ""
	e.wish(s, r.Enabled && !complete)
	typ := own + "login"
	if r.Enabled && complete {
		typ = "login"
	}
	if s.Type != typ {
		if err := p.Retype(s, typ); err != nil {
			return err
		}
		e.own(s, "")
	}
	return nil
}
