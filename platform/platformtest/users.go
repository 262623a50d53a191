// Who may log in.

package platformtest

import (
	"testing"

	"gatehouse/platform"
)

func testUsers(t *testing.T, w world) {
	if w.Config == nil || w.Users == nil {
		t.Skip("this platform has no users")
	}
	for _, e := range testRows(t, w.Users) {
		if e.Value.Password != "" {
			t.Errorf("the password of %s can be read", e.Value.Name)
		}
	}
	testLife(t, w, writtenOnly{w.Users}, func(u *platform.User) { u.Enabled, u.Name, u.Language = true, "support", "en" },
		func(u *platform.User) { u.Name, u.Enabled = "helpdesk", false })
}

// writtenOnly gives each user that is put a password, which does not come back.
type writtenOnly struct{ platform.Table[platform.User] }

// Put adds the password.
func (u writtenOnly) Put(b platform.ConfigBatch, key string, row platform.User) int {
	row.Password = "s3cret"
	return u.Table.Put(b, key, row)
}
