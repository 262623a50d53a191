package settings

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/store"
)

// TestMistakeInTheField: a device that has been running starts on what its file
// said before somebody made a mistake in it, and says so; one that starts for
// the first time does not start.
func TestMistakeInTheField(t *testing.T) {
	dir := t.TempDir()
	state, err := store.Open(filepath.Join(dir, "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gatehouse")
	var log bytes.Buffer
	open := func(text string) (*Settings, error) {
		t.Helper()
		log.Reset()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Open(Options{Config: path, State: state.File("settings", 1), Good: state.File("configuration", 1),
			Log: slog.New(slog.NewTextHandler(&log, nil))})
	}
	const good = "config acs\n option url 'https://acs.example/'\n option passwd 's e\tcret'\n"
	for _, mistake := range []string{good + " option periodic_inform_interval 'soon'\n", good + "config 'acs\n"} {
		if _, err := open(mistake); err == nil || !strings.Contains(err.Error(), path+":4") {
			t.Fatalf("a first start with a mistake: %v", err)
		}
	}
	if _, err := open(good); err != nil {
		t.Fatal(err)
	}
	for _, mistake := range []string{"config acs\n option url 'https://acs.example/'\n option periodic_inform_interval 'soon'\n", "config 'acs\n"} {
		s, err := open(mistake)
		if err != nil {
			t.Fatal(err)
		}
		if s.Get(URL) != "https://acs.example/" || s.Get(Password) != "s e\tcret" || s.Origin(URL) != File {
			t.Errorf("URL %q from %s, password %q", s.Get(URL), s.Origin(URL), s.Get(Password))
		}
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), path) {
			t.Errorf("the log says %s", log.String())
		}
	}
	if s, err := open("config acs\n option url 'https://other.example/'\n"); err != nil || s.Get(URL) != "https://other.example/" {
		t.Errorf("the mended file: %v", err)
	}
}
