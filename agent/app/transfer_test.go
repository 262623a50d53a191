package app_test

import (
	"testing"
	"time"

	"gatehouse/lab/acs"
)

// S003-32: what the rules say of file servers counts for them, by host; one for
// the sessions does not.
func TestTransferFollowsRules(t *testing.T) {
	for rule, within := range map[string][2]time.Duration{
		"other.example.net response=3": {3 * time.Second, 4 * time.Second},
		"transfer response=90":         {90 * time.Second, 91 * time.Second},
		"cwmp response=3":              {time.Minute, 61 * time.Second},
	} {
		t.Run(rule, func(t *testing.T) {
			story(t, acs.Options{}, config("config transport 'transport'", "\tlist rule '"+rule+"'"), func(t *testing.T, h *house) {
				silent, err := h.net.Listen("tcp", otherIP+":80")
				if err != nil {
					t.Fatal(err)
				}
				defer silent.Close()
				h.acs.Queue("", func(c *acs.Conversation) error {
					_, err := c.Download(acs.Download{CommandKey: "k", FileType: "3 Vendor Configuration File", URL: "http://other.example.net/f"})
					return err
				})
				h.start()
				h.session(1)
				began := time.Now()
				s := h.session(2)
				if all := s.Transfers(); len(all) != 1 || all[0].Code != 9015 {
					t.Errorf("the ACS is told %+v", all)
				}
				if took := time.Since(began); took < within[0]-time.Second || took > within[1]+time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
