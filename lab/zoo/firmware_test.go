package zoo

// Downloads across a restart: images, and what a power cut leaves.

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/lab/files"
	"gatehouse/platform/fake"
)

// restarted waits for the restart of the router and starts the agent again, on
// what the flash held at that very moment.
func (h *house) restarted(f func()) {
	h.t.Helper()
	var flash *storetest.FS
	down := make(chan struct{}, 1)
	h.router.OnReboot(func(bool) {
		flash = h.state.Restart(storetest.PowerCut)
		down <- struct{}{}
	})
	f()
	<-down
	h.powerOn(flash)
}

// powerOn starts the agent as after a power cut: with that flash, and nothing
// in memory.
func (h *house) powerOn(flash *storetest.FS) {
	h.t.Helper()
	h.end()
	h.state = flash
	h.boot()
}

// upgraded: the answer comes first, then the download, then the restart, and
// success is told when the new version runs.
func upgraded(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		h.good(1)
		depot.Put("/fw", files.File{Data: fake.Image("2.0", 3<<20), Chunked: true, Pace: 100 * time.Millisecond})
		var n int
		h.restarted(func() {
			n = h.talk(func(c *acs.Conversation) error {
				_, err := c.Download(acs.Download{CommandKey: "to 2.0", FileType: firmware, URL: fileURL("/fw"), FileSize: 3 << 20, TargetFileName: "../../etc/passwd"})
				return err
			}).Number
			if len(depot.Requests()) > 0 {
				t.Error("the download was over before the session was")
			}
		})
		s := h.good(n + 1)
		h.wantEvents(s, "1 BOOT", "7 TRANSFER COMPLETE", "M Download [to 2.0]", "4 VALUE CHANGE")
		h.wantTransfer(s, "to 2.0", 0)
		if v, _ := s.Inform.Parameters.Get(di + "SoftwareVersion"); v != "2.0" {
			t.Errorf("the Inform tells version %q", v)
		}
		// The same once more: the version does not change by it.
		h.restarted(func() {
			h.talk(func(c *acs.Conversation) error {
				_, err := c.Download(acs.Download{CommandKey: "again", FileType: firmware, URL: fileURL("/fw")})
				return err
			})
		})
		s = h.good(s.Number + 2)
		h.wantTransfer(s, "again", 0)
		h.none(s.Number, 24*time.Hour)
	})
}

// flashFails: an image that was found good, and then cannot be written.
func flashFails(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		h.good(1)
		depot.Put("/fw", files.File{Data: fake.Image("2.0", 1000)})
		h.router.FailInstall(errors.New("mtd0: I/O error"))
		s := h.order(acs.Download{CommandKey: "k", FileType: firmware, URL: fileURL("/fw")})
		h.wantTransfer(s, "k", 9002)
		if !strings.Contains(s.Transfers()[0].Text, "I/O error") {
			t.Errorf("told %q", s.Transfers()[0].Text)
		}
	})
}

// oldImage: the device restarts, and has the version that it had.
func oldImage(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		n := h.good(1).Number
		depot.Put("/fw", files.File{Data: fake.Image("2.0", 1000)})
		h.router.KeepOldImage(true)
		h.restarted(func() {
			n = h.talk(func(c *acs.Conversation) error {
				_, err := c.Download(acs.Download{CommandKey: "k", FileType: firmware, URL: fileURL("/fw")})
				return err
			}).Number
		})
		s := h.good(n + 1)
		h.wantEvents(s, "1 BOOT", "7 TRANSFER COMPLETE", "M Download [k]")
		h.wantTransfer(s, "k", 9002)
	})
}

// powerCut: the power fails while the file is on its way, and after the result;
// the order and the result are there again.
func powerCut(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		h.good(1)
		depot.Put("/f", files.File{Data: []byte(goodConfig), Stall: -1, Times: 1})
		n := h.talk(func(c *acs.Conversation) error {
			_, err := c.Download(acs.Download{CommandKey: "k", FileType: configFile, URL: fileURL("/f")})
			return err
		}).Number
		time.Sleep(10 * time.Second)
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 503, Skip: 1}})
		h.powerOn(h.state.Restart(storetest.PowerCut))
		h.wantEvents(h.good(n+1), "1 BOOT")
		h.session(n + 2) // does not get through
		flash := h.state.Restart(storetest.PowerCut)
		h.acs.SetChaos(acs.Chaos{})
		h.powerOn(flash)
		s := h.good(len(h.acs.Sessions()) + 1)
		h.wantEvents(s, "1 BOOT", "7 TRANSFER COMPLETE", "M Download [k]")
		h.wantTransfer(s, "k", 0)
		h.powerOn(h.state.Restart(storetest.PowerCut))
		h.wantEvents(h.good(s.Number+1), "1 BOOT")
		h.none(s.Number+1, 24*time.Hour)
		if h.router.Imports() != 1 {
			t.Errorf("the file was put in place %d times", h.router.Imports())
		}
	})
}
