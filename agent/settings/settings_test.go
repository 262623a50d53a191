package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

// house is an agent's files: a configuration on disk, a state in memory.
type house struct {
	t       *testing.T
	config  string
	factory string
	fsys    *storetest.FS
	log     bytes.Buffer
	changes [][]string
}

func newHouse(t *testing.T, config string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, config: filepath.Join(dir, "gatehouse"), factory: filepath.Join(dir, "factory"), fsys: storetest.New()}
	h.write(h.config, config)
	return h
}

func (h *house) write(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func stateFile(t testing.TB, fsys *storetest.FS) *store.File {
	t.Helper()
	d, err := store.Open("/state", store.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	return d.File("settings", 1)
}

func (h *house) try() (*Settings, error) {
	return Open(Options{
		Config: h.config, Factory: h.factory, State: stateFile(h.t, h.fsys),
		Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
}

func (h *house) open() *Settings {
	h.t.Helper()
	s, err := h.try()
	if err != nil {
		h.t.Fatal(err)
	}
	s.OnChange(func(names []string) { h.changes = append(h.changes, names) })
	return s
}

func (h *house) wantValue(s *Settings, name, value string, from Layer) {
	h.t.Helper()
	if s.Get(name) != value || s.Origin(name) != from {
		h.t.Errorf("%s is %q from %s, want %q from %s", name, s.Get(name), s.Origin(name), value, from)
	}
}

func (h *house) reload(s *Settings, config string, want ...string) {
	h.t.Helper()
	h.write(h.config, config)
	changed, err := s.Reload(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if !slices.Equal(changed, want) {
		h.t.Errorf("changed: %v, want %v", changed, want)
	}
}

const acsX = "config acs 'acs'\n\toption url 'https://x/'\n"

func TestLayers(t *testing.T) {
	h := newHouse(t, "")
	s := h.open()
	h.wantValue(s, PeriodicInformInterval, "1800", BuiltIn)
	h.wantValue(s, URL, "", BuiltIn)

	h.write(h.factory, "config acs\n option url https://factory/\n")
	h.reload(s, "", URL)
	h.wantValue(s, URL, "https://factory/", Factory)

	set := func(layer Layer, url string) {
		t.Helper()
		changed, err := s.SetLayer(layer, map[string]string{URL: url})
		if err != nil || !slices.Equal(changed, []string{URL}) {
			t.Errorf("%v %v", changed, err)
		}
		h.wantValue(s, URL, url, layer)
	}
	set(Provider, "https://provider/")
	if changed, err := s.SetLayer(DHCP, map[string]string{URL: "https://other/"}); err != nil || len(changed) > 0 {
		t.Errorf("DHCP over the factory's and the provider's: %v %v", changed, err)
	}
	h.reload(s, "config acs\n option dhcp_over_factory 1\n", URL, DHCPOverFactory)
	h.wantValue(s, URL, "https://other/", DHCP)
	set(DHCP, "https://dhcp/")
	h.reload(s, acsX, URL, DHCPOverFactory)
	h.wantValue(s, URL, "https://x/", File)

	if err := s.Put(map[string]string{URL: "https://acs/"}); err != nil {
		t.Fatal(err)
	}
	h.wantValue(s, URL, "https://acs/", State)
	h.wantValue(h.open(), URL, "https://acs/", State)
	if len(h.changes) != 6 {
		t.Errorf("heard of %v", h.changes)
	}
	if text, _ := os.ReadFile(h.config); string(text) != acsX {
		t.Errorf("the configuration file was written: %q", text)
	}
}

// The last who spoke is heard: the ACS, or the administrator by an edit.
func TestFileAgainstACS(t *testing.T) {
	h := newHouse(t, acsX)
	s := h.open()
	put := func(url string) {
		t.Helper()
		if err := s.Put(map[string]string{URL: url}); err != nil {
			t.Fatal(err)
		}
	}
	put("https://acs/")
	h.reload(s, acsX)
	h.wantValue(s, URL, "https://acs/", State)
	h.reload(s, "# a remark changes nothing\nconfig acs foo\n option url \"https://x/\"\n option periodic_inform_enable on\n")
	h.wantValue(s, URL, "https://acs/", State)

	h.reload(s, strings.ReplaceAll(acsX, "//x/", "//y/"), URL)
	h.wantValue(s, URL, "https://y/", File)
	h.reload(s, acsX, URL) // back to what it said when the ACS wrote: still an edit
	h.wantValue(s, URL, "https://x/", File)

	put("https://acs/2")
	h.reload(s, "config acs\n") // taken out: nothing to say against the ACS
	h.wantValue(s, URL, "https://acs/2", State)
	h.reload(s, acsX, URL) // and put in again
	h.wantValue(s, URL, "https://x/", File)

	// An edit while the agent was not running.
	put("https://acs/3")
	h.write(h.config, strings.ReplaceAll(acsX, "//x/", "//z/"))
	s = h.open()
	h.wantValue(s, URL, "https://z/", File)
	put("https://acs/4")
	if err := os.Remove(h.config); err != nil {
		t.Fatal(err)
	}
	s = h.open() // a file that is gone is not an edit of it
	h.write(h.config, strings.ReplaceAll(acsX, "//x/", "//z/"))
	h.reload(s, strings.ReplaceAll(acsX, "//x/", "//z/"))
	h.wantValue(s, URL, "https://acs/4", State)
}

func TestReloadKeepsAllAfterMistake(t *testing.T) {
	h := newHouse(t, acsX)
	s := h.open()
	for _, bad := range []string{
		"config acs 'acs'\n\toption url 'https://other/'\n\toption 'periodic_inform_interval' 'often'\n",
		"config acs 'acs'\n\toption url 'https://other/\n",
	} {
		h.write(h.config, bad)
		changed, err := s.Reload(t.Context())
		if err == nil || !strings.Contains(err.Error(), h.config+":") || len(changed) > 0 {
			t.Errorf("%v %v", changed, err)
		}
		h.wantValue(s, URL, "https://x/", File)
	}
	if len(h.changes) > 0 {
		t.Errorf("%v", h.changes)
	}
	h.reload(s, "config acs 'acs'\n\toption url 'https://other/'\n", URL)
}

func TestNothingWrittenWithoutNeed(t *testing.T) {
	h := newHouse(t, acsX)
	s := h.open()
	if err := errors.Join(s.Put(map[string]string{URL: "https://acs/"}), s.Generate()); err != nil {
		t.Fatal(err)
	}
	s = h.open()
	calls := len(h.fsys.Calls())
	h.reload(s, acsX)
	if err := s.Generate(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetLayer(Provider, map[string]string{ProvisioningCode: "p"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.SetLayer(DHCP, nil); err != nil {
			t.Fatal(err)
		}
	}
	if wrote := h.fsys.Calls()[calls:]; len(wrote) > 0 {
		t.Errorf("written: %v", wrote)
	}
}

func TestGenerateAndReset(t *testing.T) {
	h := newHouse(t, acsX)
	s := h.open()
	if err := errors.Join(s.Generate(), s.Generate()); err != nil {
		t.Fatal(err)
	}
	path := s.Get(ConnectionRequestPath)
	if len(path) != 33 || path[0] != '/' {
		t.Errorf("path %q is not 128 bits", path)
	}
	h.wantValue(h.open(), ConnectionRequestPath, path, Generated)
	h.reload(s, "config cpe\n option path /mine\n", URL, ConnectionRequestPath)
	h.wantValue(s, ConnectionRequestPath, "/mine", File)

	if err := s.Put(map[string]string{PeriodicInformInterval: "17"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantValue(s, PeriodicInformInterval, "1800", BuiltIn)
	if files := h.fsys.Files("/state"); len(files) != 0 {
		t.Errorf("left: %v", files)
	}
	h.reload(s, "", ConnectionRequestPath)
	h.wantValue(s, ConnectionRequestPath, "", BuiltIn)
	h.fsys.SetReadOnly(true)
	if err := s.Generate(); err == nil || s.Get(ConnectionRequestPath) == path || s.Get(ConnectionRequestPath) == "" {
		t.Errorf("read-only disk: %q %v", s.Get(ConnectionRequestPath), err)
	}
}

func TestPlainHTTP(t *testing.T) {
	h := newHouse(t, "config acs\n\n option url http://acs.example/\n")
	if _, err := h.try(); err == nil || !strings.Contains(err.Error(), h.config+":3: option url is plain http") || !strings.Contains(err.Error(), "allow_http") {
		t.Errorf("%v", err)
	}
	h.write(h.config, "config acs\n option url http://127.0.0.1:7557/\n")
	s := h.open()
	if !strings.Contains(h.log.String(), "plain http") {
		t.Error("no warning about http to loopback")
	}
	for url, ok := range map[string]bool{
		"https://a/": true, "http://a/": false, "http://localhost/": false, "http://127.1.2.3/": true, "http://[::1]:80/x": true,
		"http://[::ffff:127.0.0.1]/": true, "http://10.0.0.1/": false, "ftp://a/": false, "https://": false, "https://u:p@a/": false,
		"https://a:0/": false, "https://a:70000/": false, "https://a/#f": false, "javascript:alert(1)": false, "": false, "https://[::1": false,
	} {
		if err := s.CheckURL(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		err := s.Put(map[string]string{URL: url})
		if (err == nil) != ok || err != nil && !errors.Is(err, datamodel.ErrValue) {
			t.Errorf("written %q: %v", url, err)
		}
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetLayer(DHCP, map[string]string{URL: "http://rogue/"}); err != nil {
		t.Error(err)
	}
	h.reload(s, "", URL)
	h.wantValue(s, URL, "", BuiltIn) // the rogue does not count
	h.reload(s, "config acs\n option allow_http 1\n", URL, AllowHTTP)
	h.wantValue(s, URL, "http://rogue/", DHCP)
	if err := s.Put(map[string]string{URL: "http://acs/"}); err != nil {
		t.Fatal(err)
	}
	h.reload(s, "", URL, AllowHTTP) // no longer allowed: what was written does not count either
	h.wantValue(s, URL, "", BuiltIn)
}

// TestLearnedUnread: what DHCP said while the state could not be read outlives
// the moment when it can be again: it is newer than what is there.
func TestLearnedUnread(t *testing.T) {
	h := newHouse(t, "")
	if _, err := h.open().SetLayer(DHCP, map[string]string{URL: "https://d/", ProvisioningCode: "p"}); err != nil {
		t.Fatal(err)
	}
	h.fsys.FailReads(syscall.EIO, "settings")
	said, silent := h.open(), h.open()
	if _, err := said.SetLayer(DHCP, map[string]string{URL: "https://e/"}); !errors.Is(err, syscall.EIO) {
		t.Errorf("a state that cannot be read: %v", err)
	}
	h.fsys.FailReads(nil)
	if err := silent.Put(map[string]string{ParameterKey: "k"}); err != nil {
		t.Fatal(err)
	}
	h.wantValue(silent, URL, "https://d/", DHCP)
	h.changes = nil
	if err := said.Put(map[string]string{ParameterKey: "m"}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(h.changes); strings.Contains(got, URL) || !strings.Contains(got, ParameterKey) {
		t.Errorf("heard of %s", got)
	}
	for _, s := range []*Settings{said, h.open()} {
		h.wantValue(s, URL, "https://e/", DHCP)
		h.wantValue(s, ProvisioningCode, "", BuiltIn)
	}
}

// TestLearned: what DHCP said last is known after a restart, until the factory
// reset, and is never written twice.
func TestLearned(t *testing.T) {
	h := newHouse(t, "")
	s := h.open()
	said := map[string]string{URL: "https://d/", ProvisioningCode: "p"}
	if _, err := s.SetLayer(DHCP, said); err != nil {
		t.Fatal(err)
	}
	s = h.open()
	h.wantValue(s, URL, "https://d/", DHCP)
	calls := len(h.fsys.Calls())
	if _, err := s.SetLayer(DHCP, said); err != nil || len(h.fsys.Calls()) != calls {
		t.Errorf("written again: %v %v", h.fsys.Calls()[calls:], err)
	}
	h.fsys.SetReadOnly(true)
	if _, err := s.SetLayer(DHCP, map[string]string{URL: "https://e/"}); err == nil || !strings.Contains(err.Error(), "after a restart") {
		t.Errorf("a disk that cannot be written: %v", err)
	}
	h.wantValue(s, URL, "https://e/", DHCP) // for this run
	h.fsys.SetReadOnly(false)
	h.wantValue(h.open(), URL, "https://d/", DHCP)
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantValue(s, URL, "", BuiltIn)
	h.wantValue(h.open(), URL, "", BuiltIn)
}

func TestSetLayer(t *testing.T) {
	s := newHouse(t, "").open()
	changed, err := s.SetLayer(DHCP, map[string]string{
		URL: "https://d/", RetryMinimumWaitInterval: "0", Password: "x", TLSInsecure: "1", "nope": "x", ProvisioningCode: "p",
	})
	if !slices.Equal(changed, []string{URL, ProvisioningCode}) || err == nil {
		t.Errorf("%v %v", changed, err)
	}
	for _, part := range []string{RetryMinimumWaitInterval, Password, TLSInsecure, "nope"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	if changed, err := s.SetLayer(DHCP, nil); err != nil || len(changed) != 2 {
		t.Errorf("%v %v", changed, err)
	}
	if _, err := s.SetLayer(File, nil); err == nil {
		t.Error("the file can be set from outside")
	}
}

func TestTypedValues(t *testing.T) {
	h := newHouse(t, "config acs\n option periodic_inform_time 2026-01-31T03:00:00+01:00\n option passwd geheim\n"+
		"config proxy\n list except a\n list except 'b, c'\n")
	s := h.open()
	if !s.Bool(EnableCWMP) || s.Bool(LogSOAP) || s.Bool("nope") {
		t.Error("Bool")
	}
	if s.Number(DelayReboot) != -1 || s.Number(URL) != 0 || s.Seconds(Timeout).Seconds() != 60 {
		t.Error("Number")
	}
	if got := s.Time(PeriodicInformTime).String(); got != "2026-01-31 02:00:00 +0000 UTC" || !s.Time(ScheduleReboot).IsZero() || !s.Time(URL).IsZero() {
		t.Error("Time", got)
	}
	if got := s.List(ProxyExcept); !slices.Equal(got, []string{"a", "b", "c"}) || s.List(URL) != nil {
		t.Error("List", got)
	}
	if !s.Known(URL) || s.Known("nope") || s.Get("nope") != "" || s.Origin("nope") != BuiltIn {
		t.Error("unknown name")
	}
	secret := s.Secret(Password)
	text, _ := json.Marshal(map[string]any{"p": secret})
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "p", secret)
	all := fmt.Sprintf("%v %s %q %+v %#v %x %d", secret, secret, secret, struct{ P Secret }{secret}, secret, secret, secret) + string(text) + log.String()
	if strings.Contains(all, "geheim") || strings.Contains(all, "67656865") || !strings.Contains(all, "***") {
		t.Error(all)
	}
	if fmt.Sprint(Secret("")) != "" || string(secret) != "geheim" {
		t.Error("Secret")
	}
}

// Readers and writers at once; for the race detector.
func TestConcurrent(t *testing.T) {
	h := newHouse(t, acsX)
	s := h.open()
	s.OnChange(func([]string) {})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 20 {
				switch i {
				case 0:
					_ = s.Put(map[string]string{ParameterKey: fmt.Sprint(n)})
				case 1:
					_, _ = s.Reload(t.Context())
				case 2:
					_, _ = s.SetLayer(DHCP, map[string]string{ProvisioningCode: fmt.Sprint(n)})
				default:
					_, _ = s.Get(ParameterKey), s.Origin(ProvisioningCode)
				}
			}
		})
	}
	all.Wait()
	h.wantValue(s, ParameterKey, "19", State)
}
