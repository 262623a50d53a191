package doctor_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/agent/app"
	"gatehouse/agent/doctor"
	"gatehouse/platform/fake"
)

// FuzzAnswer: whatever is at the place of the ACS says, the doctor comes to its
// end with one finding for each check, and gives the password to nobody who
// does not ask by Digest.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200\r\n\r\n", "\x16\x03\x01",
		"HTTP/1.1 401 \r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: ://\r\nDate: x\r\n\r\n", "HTTP/1.1 401 \r\nWWW-Authenticate: Basic realm=\"r\"\r\nConnection: close\r\n\r\n",
	} {
		f.Add(seed)
	}
	conf := filepath.Join(f.TempDir(), "conf")
	if err := os.WriteFile(conf, []byte("config acs\n\toption url 'http://127.0.0.1/'\n\toption userid 'cpe'\n\toption passwd 'secret'\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go io.Copy(io.Discard, theirs)
			go func() {
				io.WriteString(theirs, answer)
				theirs.Close()
			}()
			return ours, nil
		}
		view, err := app.Look(t.Context(), app.Config{Platform: fake.New().Platform(), ConfigFile: conf, State: "/nonexistent", Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for got := range doctor.Run(t.Context(), doctor.Config{
			ConfigFile: conf, Settings: view.Settings(), State: "/nonexistent", Identity: view.Identity,
			TLS: view.TLS, Dialer: view.Dialer, Clock: view.Clock, Links: view.Links(),
		}) {
			if n++; got.Found == "" || got.Check == "" {
				t.Errorf("%+v", got)
			}
		}
		if n != 13 {
			t.Errorf("%d findings", n)
		}
	})
}
