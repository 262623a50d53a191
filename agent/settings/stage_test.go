package settings

import (
	"context"
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

type server struct{ url, username string }

var serverParams = []datamodel.Param[server]{
	{Name: "URL", At: func(s *server) any { return &s.url }, Access: datamodel.ReadWrite},
	{Name: "Username", At: func(s *server) any { return &s.username }, Access: datamodel.ReadWrite},
}

// tree is a data model whose one object is kept in settings. more, if any,
// enlists others after them.
func tree(t *testing.T, s *Settings, journal datamodel.Backing, more func(tx *datamodel.Tx) error) *datamodel.Tree {
	t.Helper()
	tree, err := datamodel.New(datamodel.Options{Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tree.Add(datamodel.Define("Device.ManagementServer.", serverParams, datamodel.Source[server]{
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (server, error) {
			return server{s.Get(URL), s.Get(Username)}, nil
		}),
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[server]) error {
			for _, name := range []string{"URL", "Username"} {
				if !c.Set(name) {
					continue
				}
				if err := s.Stage(tx, "ManagementServer."+name, datamodel.Text(serverParams, c.New, name)); err != nil {
					return &datamodel.FieldError{Name: name, Err: err}
				}
			}
			if more != nil {
				return more(tx)
			}
			return nil
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func set(t *testing.T, tree *datamodel.Tree, url, username string) error {
	t.Helper()
	tx, err := tree.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Abort()
	err = tx.Set(t.Context(),
		datamodel.Assignment{Path: "Device.ManagementServer.URL", Value: url},
		datamodel.Assignment{Path: "Device.ManagementServer.Username", Value: username})
	if err != nil {
		return err
	}
	_, err = tx.Commit(t.Context())
	return err
}

// refuser is another participant, whose commit fails after ours or stops the
// machine.
type refuser struct{ at func() error }

func (*refuser) Prepare(context.Context) error          { return nil }
func (r *refuser) Commit(context.Context) (bool, error) { return false, r.at() }
func (*refuser) Rollback(context.Context) error         { return nil }

func TestTransaction(t *testing.T) {
	h := newHouse(t, acsX)
	s := h.open()
	journal := &storetest.File{}
	tr := tree(t, s, journal, nil)
	if err := set(t, tr, "https://acs/", "u"); err != nil {
		t.Fatal(err)
	}
	h.wantValue(h.open(), URL, "https://acs/", State)
	h.wantValue(s, Username, "u", State)

	var errs datamodel.Errors
	if err := set(t, tr, "http://acs/", "u2"); !errors.As(err, &errs) || len(errs) != 1 ||
		errs[0].Path != "Device.ManagementServer.URL" || !errors.Is(err, datamodel.ErrValue) {
		t.Errorf("plain http: %v", err)
	}
	h.wantValue(s, Username, "u", State)

	refused := errors.New("refused")
	var left string
	tr = tree(t, s, journal, func(tx *datamodel.Tx) error {
		_, err := datamodel.Enlist(tx, "refuser", func() (*refuser, error) {
			return &refuser{func() error {
				h.wantValue(s, URL, "https://acs/2", State) // we have committed before it
				left = journal.Text()
				return refused
			}}, nil
		})
		return err
	})
	err := set(t, tr, "https://acs/2", "u2")
	if !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	for _, s := range []*Settings{s, h.open()} {
		h.wantValue(s, URL, "https://acs/", State)
		h.wantValue(s, Username, "u", State)
	}

	// Had the machine stopped there, the next start would have found our half.
	if err := s.Put(map[string]string{URL: "https://acs/2", Username: "u2"}); err != nil {
		t.Fatal(err)
	}
	s = h.open()
	undo := map[string]func(context.Context, []byte) error{UndoName: s.Recover}
	journal.Write(left)
	tree(t, s, journal, nil).Recover(t.Context(), undo)
	h.wantValue(s, URL, "https://acs/", State)
	h.wantValue(h.open(), Username, "u", State)
}
