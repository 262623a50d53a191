// Device.Users.: who may log in to the device.

package tr181

import (
	"context"
	"errors"
	"iter"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Users.User.{i}.: the accounts that the platform keeps. A password can
// be written and never be read; "" leaves it as it is.
type user struct {
	enable   bool
	alias    datamodel.Alias
	username string
	password string
	language string
}

var userParams = []datamodel.Param[user]{
	{Name: "Alias", At: func(u *user) any { return &u.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Enable", At: func(u *user) any { return &u.enable }, Access: datamodel.ReadWrite},
	{Name: "Username", At: func(u *user) any { return &u.username }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Password", At: func(u *user) any { return &u.password }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}, Hidden: true},
	{Name: "Language", At: func(u *user) any { return &u.language }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 16}},
}

func (m *Model) user() datamodel.Object {
	return datamodel.Define("Device.Users.User.{i}.", userParams, datamodel.Source[user]{
		Topics: []datamodel.Topic{ConfigChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[user], error] {
			return rowsFrom(m.p.Users.Rows(ctx), func(e platform.Entry[platform.User]) datamodel.Row[user] {
				return datamodel.Row[user]{Key: e.Key, Value: &user{
					enable: e.Value.Enabled, username: e.Value.Name, language: e.Value.Language,
				}}
			})
		},
		New: func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *user, error) {
			key, _, err := m.p.Users.Fresh(ctx)
			return key, &user{}, lacking(err)
		},
		Unique: [][]string{{"Username"}},
		Check:  checkUser,
		Stage:  m.stageUser,
	})
}

var (
	errUsername = errors.New("a user name is letters, digits and - . _ @, and begins with a letter or _")
	errNoName   = errors.New("a user that may log in needs a name")
	errControl  = errors.New("no control characters here")
)

// checkUser: names end up in files where colons and line breaks have a meaning.
func checkUser(c datamodel.Change[user]) error {
	if c.New == nil {
		return nil
	}
	var errs []error
	if c.Set("Username") && !validUsername(c.New.username) {
		errs = append(errs, &datamodel.FieldError{Name: "Username", Err: errUsername})
	}
	if c.New.enable && c.New.username == "" {
		errs = append(errs, &datamodel.FieldError{Name: "Username", Err: errNoName})
	}
	for name, text := range map[string]string{"Password": c.New.password, "Language": c.New.language} {
		if c.Set(name) && strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			errs = append(errs, &datamodel.FieldError{Name: name, Err: errControl})
		}
	}
	return errors.Join(errs...)
}

func validUsername(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789-.@", rune(c))) {
			return false
		}
	}
	return true
}

func (m *Model) stageUser(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[user]) error {
	door, err := datamodel.Enlist(tx, "users", func() (*userDoor, error) { return &userDoor{m: m, on: map[string]bool{}}, nil })
	if err != nil {
		return err
	}
	door.on[at[0]] = c.New != nil && c.New.enable
	if c.New == nil {
		return deleteRow(ctx, m, tx, m.p.Users, at[0])
	}
	blame := "Username"
	if c.Set("Password") {
		blame = "Password"
	}
	return putRow(ctx, m, tx, m.p.Users, at[0], platform.User{
		Enabled: c.New.enable, Name: c.New.username, Password: c.New.password, Language: c.New.language,
	}, blame)
}

// A userDoor sees to it that somebody can log in after a transaction, if
// anybody could before: who is locked out of his own router by a slip of the
// ACS has nothing left but the reset button.
type userDoor struct {
	m  *Model
	on map[string]bool // key: may log in afterwards, of the rows that change
}

var errLockedOut = errors.New("nobody could log in any more")

// Prepare counts.
func (d *userDoor) Prepare(ctx context.Context) error {
	all, err := collect(d.m.p.Users.Rows(ctx))
	if err != nil {
		return err
	}
	before, after := false, false
	for _, row := range all {
		before = before || row.Value.Enabled
		if _, changed := d.on[row.Key]; !changed {
			after = after || row.Value.Enabled
		}
	}
	for _, on := range d.on {
		after = after || on
	}
	if before && !after {
		return &datamodel.FieldError{Name: "Enable", Err: errLockedOut}
	}
	return nil
}

// Commit and Rollback have nothing to do.
func (*userDoor) Commit(context.Context) (bool, error) { return false, nil }
func (*userDoor) Rollback(context.Context) error       { return nil }
