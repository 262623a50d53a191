package linuxconf

import (
	"strings"
	"testing"
	"time"
)

// TestWrittenAndNotTakenUp: the agent has ended between the two, and hostapd goes on
// with the passphrase of before.
func TestWrittenAndNotTakenUp(t *testing.T) {
	v := newVilla(t, pi)
	reload(t, &v.p, v.offer(piKey, "wifi1", "ap1", "Home", nil))
	v.units.orders()
	v.units.last = time.Now().Add(-time.Minute) // of before the file was written
	reload(t, &v.p, []string{"wireless"})
	if got := v.units.orders(); got != nil {
		t.Errorf("we have started it ourselves, and %v", got)
	}
	v.start()
	for _, want := range []int{1, 0} {
		reload(t, &v.p, []string{"wireless"})
		if got := v.units.orders(); len(got) != want {
			t.Errorf("%v, want %d", got, want)
		}
	}
}

// TestToldOnce: what is not offered is told when it is taken up, and not by each
// reader.
func TestToldOnce(t *testing.T) {
	v := newVilla(t, router)
	reload(t, &v.p, v.offer(routerKey, "wifi1", "ap1", "", nil))
	for range 3 {
		for range v.p.WiFi.State.SSIDs(t.Context()) {
			t.Error("it is offered")
		}
	}
	if n := strings.Count(v.log.String(), "a network is not offered"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &v.log)
	}
}

// TestResetWithoutHostapd: who has removed hostapd has left our files, and a reset is
// to leave no passphrase.
func TestResetWithoutHostapd(t *testing.T) {
	v := newVilla(t, pi)
	reload(t, &v.p, v.offer(piKey, "wifi1", "ap1", "Home", nil))
	v.units.known = nil
	v.start()
	if err := v.p.Power.FactoryReset(t.Context()); err != nil || v.power != 1 {
		t.Errorf("%d restarts (%v)", v.power, err)
	}
	if text := v.file("wlan0.conf"); text != "" {
		t.Errorf("left:\n%s", text)
	}
}
