package zoo

// Downloads, and how the results of transfers are told.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/files"
	"gatehouse/platform/fake"
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
		{10, "genieacs_body_fault_to_a_transfer_complete", refusedReport(acs.Trouble{Body: bodyFault, Times: 2})},
		{19, "freeacs_289_the_wrong_response_to_transfer_complete", refusedReport(acs.Trouble{Say: "AutonomousTransferCompleteResponse", Times: 2})},
		{19, "a_fault_to_transfer_complete", refusedReport(acs.Trouble{Fault: 8002, Times: 2})},
		{19, "http_500_to_transfer_complete", refusedReport(acs.Trouble{Status: 500, Times: 2})},
		{19, "silence_to_transfer_complete", refusedReport(acs.Trouble{Hang: true, Times: 2})},
		{19, "fault_8005_to_transfer_complete", repeatedReport},
		{35, "icwmp_13807_404", downloadFails(configFile, "/nothing", files.File{}, 9016)},
		{35, "icwmp_14809_401", downloadFails(configFile, "/f", files.File{Auth: files.Basic, Username: "x", Password: "y"}, 9012)},
		{35, "wrong_password_by_digest", downloadFails(configFile, "/f", files.File{Auth: files.Digest, Username: "depot", Password: "y"}, 9012)},
		{35, "403", downloadFails(configFile, "/f", files.File{Status: 403}, 9012)},
		{35, "500", downloadFails(configFile, "/f", files.File{Status: 500}, 9016)},
		{35, "cut_short", downloadFails(configFile, "/f", files.File{Data: files.Some(200_000), Cut: 100_000}, 9017)},
		{35, "silence_in_the_middle", downloadFails(configFile, "/f", files.File{Data: files.Some(200_000), Stall: 100_000}, 9017)},
		{35, "redirects_for_ever", downloadFails(configFile, "/f", files.File{Redirect: "/f"}, 9016)},
		{35, "not_a_configuration", downloadFails(configFile, "/f", files.File{Data: files.Some(100)}, 9018)},
		{35, "not_an_image", downloadFails(firmware, "/f", files.File{Data: files.Some(100)}, 9018)},
		{35, "not_signed", downloadFails(firmware, "/f", files.File{Data: fake.UnsignedImage()}, 9019)},
		{35, "more_than_there_is_room_for", downloadFails(firmware, "/f", files.File{Data: fake.Image("2.0", 70<<20), Chunked: true}, 9010)},
		{35, "no_such_host", unreachable("http://nowhere.example.net/f", 9015)},
		{35, "connection_refused", unreachable("http://files.example.net:81/f", 9015)},
		{35, "easycwmp_151_bad_urls_and_arguments", badOrders},
		{35, "genieacs_187_the_flash_fails_later", flashFails},
		{35, "genieacs_187_the_old_image_comes_up_again", oldImage},
		{35, "genieacs_325_9017_at_first_then_it_works", windowRetry},
		{36, "a_configuration_file_is_put_in_place_and_told_once", configRestored},
		{36, "firmware_is_told_when_it_runs", upgraded},
		{36, "genieacs_2017_transfer_complete_after_a_power_cut", powerCut},
		{36, "genieacs_2021_a_foreign_command_key", foreignKey},
		{36, "uploads_without_secrets", uploaded},
		{36, "the_queue_is_told_cancelled_and_full", queued},
	}
}

// bodyFault is what GenieACS answers to a method that it does not know.
const bodyFault = `<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"><soap-env:Body:Fault>` +
	`<faultcode>Server</faultcode></soap-env:Body:Fault></soap-env:Envelope>`

// goodConfig is a configuration that the router takes.
const goodConfig = "package system\n\nconfig system 'system'\n\toption hostname 'gate'\n"

// refusedReport: whatever the ACS answers to a TransferComplete, the session
// ends, the result stays, and it is told again, later and later, until it has
// arrived; and then no more.
func refusedReport(trouble acs.Trouble) func(t *testing.T) {
	return func(t *testing.T) {
		story(t, plan{}, func(t *testing.T, h *house) {
			depot := h.depot(t)
			h.start()
			h.good(1)
			depot.Put("/f", files.File{Data: []byte(goodConfig)})
			h.acs.SetChaos(acs.Chaos{Call: trouble})
			n := h.talk(func(c *acs.Conversation) error {
				_, err := c.Download(acs.Download{CommandKey: "k", FileType: configFile, URL: fileURL("/f")})
				return err
			}).Number
			for try := range 3 {
				s := h.session(n + 1 + try)
				h.wantEvents(s, "7 TRANSFER COMPLETE", "M Download [k]")
				if !trouble.Hang || try == 2 { // what was never answered is not in the record
					h.wantTransfer(s, "k", 0)
				}
				if s.Inform.RetryCount != uint32(try) {
					t.Errorf("session %d has RetryCount %d", s.Number, s.Inform.RetryCount)
				}
			}
			h.none(n+3, 24*time.Hour)
			if h.router.Imports() != 1 {
				t.Errorf("the file was put in place %d times", h.router.Imports())
			}
		})
	}
}

// repeatedReport: 8005 asks for the same once more, in the same session.
func repeatedReport(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		h.good(1)
		depot.Put("/f", files.File{Data: []byte(goodConfig)})
		h.acs.SetChaos(acs.Chaos{Call: acs.Trouble{Fault: 8005, Times: 2}})
		s := h.order(acs.Download{CommandKey: "k", FileType: configFile, URL: fileURL("/f")})
		if all := s.Transfers(); len(all) != 3 || all[0] != all[2] {
			t.Errorf("told %+v", all)
		}
		h.none(s.Number, 24*time.Hour)
	})
}

// downloadFails: the fault says what was wrong, and nothing was changed.
func downloadFails(kind, path string, f files.File, code int) func(t *testing.T) {
	return func(t *testing.T) {
		story(t, plan{}, func(t *testing.T, h *house) {
			depot := h.depot(t)
			if path != "/nothing" {
				depot.Put(path, f)
			}
			h.start()
			h.good(1)
			before := h.router.ConfigText()
			s := h.order(acs.Download{CommandKey: "k", FileType: kind, URL: fileURL(path), Username: "depot", Password: "s3cret"})
			h.wantEvents(s, "7 TRANSFER COMPLETE", "M Download [k]")
			h.wantTransfer(s, "k", code)
			if reboots, _ := h.router.Restarts(); h.router.ConfigText() != before || reboots > 0 {
				t.Error("the router was changed")
			}
			h.none(s.Number, 24*time.Hour)
			if h.log.has("s3cret") {
				t.Error("the password is in the log")
			}
			if left, _ := os.ReadDir(filepath.Join(h.dir, "spool")); len(left) > 0 {
				t.Errorf("%s stays in the spool", left[0].Name())
			}
		})
	}
}

func unreachable(url string, code int) func(t *testing.T) {
	return func(t *testing.T) {
		story(t, plan{}, func(t *testing.T, h *house) {
			h.depot(t)
			h.start()
			h.good(1)
			s := h.order(acs.Download{CommandKey: "k", FileType: configFile, URL: url})
			h.wantTransfer(s, "k", code)
		})
	}
}

// badOrders are refused at once, and leave nothing.
func badOrders(t *testing.T) {
	story(t, plan{quiet: []acs.Rule{acs.RuleFault}}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		n := h.talk(func(c *acs.Conversation) error {
			for _, x := range []struct {
				d    acs.Download
				code int
			}{
				{acs.Download{FileType: configFile, URL: "ftp://files.example.net/f"}, 9013},
				{acs.Download{FileType: configFile, URL: "tftp://192.0.2.1/f"}, 9013},
				{acs.Download{FileType: configFile, URL: "/etc/passwd"}, 9013},
				{acs.Download{FileType: configFile, URL: "file:///etc/passwd"}, 9013},
				{acs.Download{FileType: configFile, URL: ""}, 9003},
				{acs.Download{FileType: configFile, URL: "http://"}, 9003},
				{acs.Download{FileType: configFile, URL: "http://[::1/f"}, 9003},
				{acs.Download{FileType: configFile, URL: "http://u:p@files.example.net/f"}, 9003},
				{acs.Download{FileType: configFile, URL: "http://files.example.net/" + strings.Repeat("x", 3000)}, 9003},
				{acs.Download{FileType: "2 Web Content", URL: fileURL("/f")}, 9003},
				{acs.Download{FileType: "4 Tone File", URL: fileURL("/f")}, 9003},
				{acs.Download{FileType: "X 00005E Secret Sauce", URL: fileURL("/f")}, 9003},
				{acs.Download{FileType: "", URL: fileURL("/f")}, 9003},
				{acs.Download{FileType: firmware, URL: fileURL("/f"), FileSize: 1 << 31}, 9004},
				{acs.Download{FileType: firmware, URL: fileURL("/f"), CommandKey: strings.Repeat("k", 33)}, 9003},
			} {
				_, err := c.Download(x.d)
				wantFault(t, x.d.FileType+" from "+x.d.URL[:min(40, len(x.d.URL))], err, x.code)
			}
			all, err := c.GetAllQueuedTransfers()
			if len(all) > 0 {
				t.Errorf("queued: %+v", all)
			}
			return err
		}).Number
		h.none(n, time.Hour)
	})
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

// windowRetry: within its windows a download is tried again; after the last of
// them 9020 says so.
func windowRetry(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		h.good(1)
		depot.Put("/f", files.File{Data: []byte(goodConfig), Cut: 10, Times: 2})
		depot.Put("/slow", files.File{Data: files.Some(1 << 20), Pace: 30 * time.Second})
		order := func(key, path string, ws ...acs.Window) *acs.Session {
			n := h.talk(func(c *acs.Conversation) error {
				return c.ScheduleDownload(acs.ScheduleDownload{CommandKey: key, FileType: configFile, URL: fileURL(path), Windows: ws})
			}).Number
			return h.good(n + 1)
		}
		asked := time.Now()
		s := order("night", "/f", acs.Window{Start: 3600, End: 7200, Mode: "2 Immediately", MaxRetries: 5})
		h.wantEvents(s, "7 TRANSFER COMPLETE", "M ScheduleDownload [night]")
		h.wantTransfer(s, "night", 0)
		if tries := depot.Requests(); len(tries) != 3 || tries[0].At.Sub(asked) < time.Hour || s.Start.Sub(asked) > 2*time.Hour {
			t.Errorf("%d tries, told after %v", len(tries), s.Start.Sub(asked))
		}
		depot.Put("/f", files.File{Status: 404})
		s = order("two", "/f", acs.Window{Start: 60, End: 120, Mode: "2 Immediately"}, acs.Window{Start: 600, End: 900, Mode: "1 At Any Time"})
		h.wantTransfer(s, "two", 9016)
		if n := len(depot.Requests()); n != 5 {
			t.Errorf("%d tries in two windows", n-3)
		}
		s = order("slow", "/slow", acs.Window{Start: 10, End: 60, Mode: "2 Immediately", MaxRetries: -1})
		h.wantTransfer(s, "slow", 9020)
		h.talk(func(c *acs.Conversation) error {
			for _, ws := range [][]acs.Window{
				{{Start: 10, End: 10, Mode: "2 Immediately"}},
				{{Start: 10, End: 20, Mode: "2 Immediately"}, {Start: 15, End: 30, Mode: "2 Immediately"}},
				{{Start: 10, End: 20, Mode: "3 When Idle"}},
				{{Start: 10, End: 20, Mode: "4 Confirmation Needed"}},
				{{Start: 10, End: 20, Mode: "when it suits"}},
				{},
			} {
				wantFault(t, "windows", c.ScheduleDownload(acs.ScheduleDownload{FileType: configFile, URL: fileURL("/f"), Windows: ws}), 9003)
			}
			return nil
		})
	})
}

// foreignKey: what one ACS has ordered is not told to the next.
func foreignKey(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		h.start()
		h.good(1)
		depot.Put("/f", files.File{Data: []byte(goodConfig)})
		other := h.server(otherIP+":80", acs.Options{})
		h.closers = append(h.closers, other.Close)
		h.talk(func(c *acs.Conversation) error {
			for _, delay := range []uint32{0, 3600} {
				if _, err := c.Download(acs.Download{CommandKey: "k", FileType: configFile, URL: fileURL("/f"), DelaySeconds: delay}); err != nil {
					return err
				}
			}
			_, err := c.SetParameterValues("", acs.P(ms+"URL", "xsd:string", "http://other.example.net/acs"))
			return err
		})
		s := h.sessionOf(other, 1)
		h.wantEvents(s, "0 BOOTSTRAP")
		time.Sleep(24 * time.Hour)
		for _, s := range other.Sessions() {
			if len(s.Transfers()) > 0 || s.Inform.Has("7 TRANSFER COMPLETE") {
				t.Errorf("session %d tells %+v", s.Number, s.Transfers())
			}
		}
		if v := other.Violations(); len(v) > 0 {
			t.Errorf("the other ACS complains: %v", v)
		}
	})
}

// queued: what GetAllQueuedTransfers tells, what can be cancelled, and where
// the queue ends.
func queued(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		n := h.talk(func(c *acs.Conversation) error {
			for i := range 17 {
				_, err := c.Download(acs.Download{CommandKey: string(rune('a' + i)), FileType: firmware, URL: fileURL("/f"), FileSize: 1000, TargetFileName: "fw.bin", DelaySeconds: 86400})
				if i == 16 {
					wantFault(t, "one more", err, 9004)
				} else if err != nil {
					return err
				}
			}
			all, err := c.GetAllQueuedTransfers()
			if err != nil || len(all) != 16 || all[3] != (acs.QueuedTransfer{CommandKey: "d", State: 1, IsDownload: true, FileType: firmware, FileSize: 1000, TargetFileName: "fw.bin"}) {
				t.Errorf("%v, %+v", err, all)
			}
			for i := range 16 {
				if err := c.CancelTransfer(string(rune('a' + i))); err != nil {
					return err
				}
			}
			if err := c.CancelTransfer("unknown"); err != nil {
				t.Errorf("an unknown key: %v", err)
			}
			all, err = c.GetQueuedTransfers()
			if len(all) > 0 {
				t.Errorf("after they were cancelled: %+v", all)
			}
			return err
		}).Number
		h.none(n, 48*time.Hour)
		depot := h.depot(t)
		depot.Put("/f", files.File{Data: []byte(goodConfig), Stall: -1})
		h.talk(func(c *acs.Conversation) error {
			_, err := c.Download(acs.Download{CommandKey: "k", FileType: configFile, URL: fileURL("/f")})
			return err
		})
		time.Sleep(10 * time.Second)
		h.talk(func(c *acs.Conversation) error {
			all, err := c.GetQueuedTransfers()
			if len(all) != 1 || all[0].State != 2 {
				t.Errorf("under way: %+v", all)
			}
			wantFault(t, "cancel what is under way", c.CancelTransfer("k"), 9021)
			return err
		})
	})
}
