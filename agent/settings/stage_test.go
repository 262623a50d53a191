package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

func (s *Settings) begin(values map[string]string) *participant {
	return &participant{s: s, edits: values}
}

func TestCommitAndRollback(t *testing.T) {
	h := newHouse(t, acsX)
	s := h.open()
	if err := s.Put(map[string]string{Username: "before"}); err != nil {
		t.Fatal(err)
	}
	h.changes = nil
	p := s.begin(map[string]string{URL: "https://new/", Username: "after", ParameterKey: "k"})
	if err := p.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Get(URL) != "https://x/" {
		t.Error("Prepare has an effect")
	}
	name, undo := p.Undo()
	if name != UndoName || !p.Atomic() {
		t.Error(name)
	}
	if deferred, err := p.Commit(t.Context()); err != nil || deferred {
		t.Fatal(deferred, err)
	}
	h.wantValue(h.open(), URL, "https://new/", State)
	h.wantValue(s, Username, "after", State)
	if got := fmt.Sprint(h.changes); got != fmt.Sprintf("[[%s %s %s]]", URL, Username, ParameterKey) {
		t.Errorf("heard of %s", got)
	}
	if err := p.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Settings{s, h.open()} {
		h.wantValue(s, URL, "https://x/", File)
		h.wantValue(s, Username, "before", State)
		h.wantValue(s, ParameterKey, "", BuiltIn)
	}
	// The same from the journal, in another process.
	p = s.begin(p.edits)
	if _, err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = h.open()
	if err := s.Recover(t.Context(), undo); err != nil {
		t.Fatal(err)
	}
	h.wantValue(s, URL, "https://x/", File)
	h.wantValue(s, Username, "before", State)
	for _, bad := range []string{"x\\q\n", "what\tis\n", "set\tthis\n"} {
		if err := s.Recover(t.Context(), []byte(bad)); err == nil {
			t.Errorf("%q is an undo", bad)
		}
	}
}

func TestCommitThatFails(t *testing.T) {
	h := newHouse(t, "")
	s := h.open()
	if err := s.Put(map[string]string{ParameterKey: "old"}); err != nil {
		t.Fatal(err)
	}
	h.fsys.Inject(len(h.fsys.Calls())+5, storetest.Fault{Err: syscall.EIO}) // the sync of the folder
	p := s.begin(map[string]string{ParameterKey: "new"})
	if _, err := p.Commit(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	h.wantValue(s, ParameterKey, "old", State)
	if err := p.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantValue(h.open(), ParameterKey, "old", State)

	if err := s.begin(nil).Rollback(t.Context()); err != nil {
		t.Error("rollback without commit:", err)
	}
	without, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := without.begin(nil).Prepare(t.Context()); err == nil {
		t.Error("prepares without a state file")
	}
}

func TestStageRefuses(t *testing.T) {
	s := newHouse(t, "").open()
	for _, c := range []struct {
		name, value string
		want        error
	}{
		{"ManagementServer.Nope", "x", datamodel.ErrNoName},
		{SerialNumber, "x", datamodel.ErrReadOnly},
		{TLSInsecure, "1", datamodel.ErrReadOnly},
		{PeriodicInformInterval, "0", datamodel.ErrValue},
		{URL, "", datamodel.ErrValue},
		{URL, "http://acs.example/", datamodel.ErrValue},
		{HTTPCompression, "Compress", datamodel.ErrValue},
	} {
		if err := s.Stage(nil, c.name, c.value); !errors.Is(err, c.want) {
			t.Errorf("%s = %q: %v, want %v", c.name, c.value, err, c.want)
		}
	}
}

// Whatever stops a commit, the next start has all old values or all new ones.
func TestCommitCrash(t *testing.T) {
	start := func(t testing.TB, fsys *storetest.FS) (*Settings, error) {
		d, err := store.Open("/state", store.Options{FS: fsys})
		if err != nil {
			return nil, err
		}
		return Open(Options{State: d.File("settings", 1), Log: slog.New(slog.DiscardHandler)})
	}
	storetest.Matrix{
		Setup: func(t testing.TB, fsys *storetest.FS) {
			s, err := start(t, fsys)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Put(map[string]string{Username: "old", Password: "old"}); err != nil {
				t.Fatal(err)
			}
		},
		Act: func(fsys *storetest.FS) error {
			s, err := start(t, fsys)
			if err != nil {
				return err
			}
			_, err = s.begin(map[string]string{Username: "new", Password: "new"}).Commit(t.Context())
			return err
		},
		Check: func(t testing.TB, fsys *storetest.FS, done bool) {
			s, err := start(t, fsys)
			if err != nil {
				t.Fatal(err)
			}
			user, pass := s.Get(Username), s.Get(Password)
			if user != pass || user == "" || done && user != "new" {
				t.Errorf("%q %q", user, pass)
			}
		},
	}.Run(t)
}

// What the state file holds can be read by a person, and a password in the
// configuration is not copied into it.
func TestStateFileReads(t *testing.T) {
	h := newHouse(t, "config acs\n option passwd geheim\n option userid u\n")
	s := h.open()
	if err := s.Put(map[string]string{Password: "two\nlines", Username: "v"}); err != nil {
		t.Fatal(err)
	}
	text := h.fsys.Files("/state")["settings"]
	if !strings.Contains(text, "\nset\tManagementServer.Password\ttwo\\nlines\t") || strings.Contains(text, "geheim") {
		t.Errorf("%q", text)
	}
	h.wantValue(h.open(), Password, "two\nlines", State)
}
