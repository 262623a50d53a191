package zoo

// Uploads: what a file server is given.

import (
	"strings"
	"testing"

	"gatehouse/lab/acs"
	"gatehouse/lab/files"
	"gatehouse/platform"
)

// uploaded: configuration and logs are sent by PUT, without their secrets, and
// what was sent can be given back.
func uploaded(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.router.SetLogs(platform.Log{Name: "/var/log/messages"})
		for _, path := range []string{"/up/config", "/up/logs", "/up/log"} {
			depot.Put(path, files.File{Auth: files.Digest, Username: "depot", Password: "p"})
		}
		h.start()
		h.good(1)
		n := 1
		for path, kind := range map[string]string{"/up/config": "1 Vendor Configuration File", "/up/logs": "2 Vendor Log File", "/up/log": "4 Vendor Log File 1"} {
			n = h.talk(func(c *acs.Conversation) error {
				_, err := c.Upload(acs.Upload{CommandKey: "u", FileType: kind, URL: fileURL(path), Username: "depot", Password: "p"})
				return err
			}).Number
			s := h.good(n + 1)
			h.wantEvents(s, "7 TRANSFER COMPLETE", "M Upload [u]")
			h.wantTransfer(s, "u", 0)
		}
		has := func(path, text string) {
			t.Helper()
			if b, _ := depot.Upload(path); !strings.Contains(string(b), text) || strings.Contains(string(b), "fr1ends-0nly") {
				t.Errorf("%s holds %q, want %q and no secret in it", path, b, text)
			}
		}
		has("/up/config", "option ssid 'home'")
		has("/up/log", "eth0: link up")
		has("/up/logs", "eth0: link up")
		has("/up/logs", "1 BOOT")
		before := h.router.ConfigText()
		b, _ := depot.Upload("/up/config")
		depot.Put("/back", files.File{Data: b})
		h.wantTransfer(h.order(acs.Download{CommandKey: "b", FileType: configFile, URL: fileURL("/back")}), "b", 0)
		if h.router.ConfigText() != before {
			t.Errorf("given back, it is\n%s", h.router.ConfigText())
		}
		depot.Put("/up/full", files.File{Status: 507})
		n = h.talk(func(c *acs.Conversation) error {
			_, err := c.Upload(acs.Upload{CommandKey: "bad", FileType: "4 Vendor Log File 9", URL: fileURL("/up/x")})
			wantFault(t, "log 9", err, 9003)
			_, err = c.Upload(acs.Upload{CommandKey: "full", FileType: "3 Vendor Configuration File 1", URL: fileURL("/up/full")})
			return err
		}).Number
		h.wantTransfer(h.good(n+1), "full", 9011)
	})
}
