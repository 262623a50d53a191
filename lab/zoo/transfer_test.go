package zoo

import (
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/files"
)

const (
	filesIP    = "198.51.100.30"
	firmware   = "1 Firmware Upgrade Image"
	configFile = "3 Vendor Configuration File"
)

// depot starts the file server; the story ends it.
func (h *house) depot(t *testing.T) *files.Server {
	t.Helper()
	s := files.New()
	h.write("hosts", acsIP+" acs.example.net\n"+otherIP+" other.example.net\n"+filesIP+" files.example.net\n")
	l, err := h.net.Listen("tcp", filesIP+":80")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	h.closers = append(h.closers, s.Close)
	return s
}

func fileURL(path string) string { return "http://files.example.net" + path }

// order lets the ACS order a download, and returns the next session.
func (h *house) order(d acs.Download) *acs.Session {
	h.t.Helper()
	n := h.talk(func(c *acs.Conversation) error {
		r, err := c.Download(d)
		if err == nil && r.Status != 1 {
			h.t.Errorf("Download is answered by status %d", r.Status)
		}
		return err
	}).Number
	return h.good(n + 1)
}

// wantTransfer fails the test unless the session tells of just this transfer.
func (h *house) wantTransfer(s *acs.Session, key string, code int) {
	h.t.Helper()
	all := s.Transfers()
	if len(all) != 1 || all[0].CommandKey != key || all[0].Code != code {
		h.t.Errorf("session %d tells %+v, want key %q and code %d", s.Number, all, key, code)
	}
}

func transfers() []exhibit {
	return []exhibit{
		{36, "a_configuration_file_is_put_in_place_and_told_once", configRestored},
	}
}

// configRestored: Download of what Upload gave, answered by status 1, done after
// the session, told once.
func configRestored(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		h.good(1)
		text := strings.Replace(h.router.ConfigText(), "'home'", "'gate'", -1)
		depot.Put("/config", files.File{Data: []byte(text), Auth: files.Digest, Username: "cpe", Password: "depot"})
		s := h.order(acs.Download{CommandKey: "restore 1", FileType: configFile, URL: fileURL("/config"), Username: "cpe", Password: "depot"})
		h.wantEvents(s, "7 TRANSFER COMPLETE", "M Download [restore 1]")
		h.wantTransfer(s, "restore 1", 0)
		if got := h.router.ConfigText(); got != text || h.router.Imports() != 1 {
			t.Errorf("%d imports; the configuration is\n%s", h.router.Imports(), got)
		}
		if date := h.get(di + "VendorConfigFile.1.Date"); date != s.Transfers()[0].CompleteTime {
			t.Errorf("VendorConfigFile.1.Date is %s", date)
		}
		h.none(s.Number, 24*time.Hour)
	})
}
