package tr181

import (
	"testing"
	"time"

	"gatehouse/platform"
)

// POSIX TZ strings, which Go itself takes for UTC.
func TestZone(t *testing.T) {
	winter := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	summer := time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		s              platform.TimeStatus
		winter, summer string
	}{
		{platform.TimeStatus{POSIX: "CET-1CEST,M3.5.0,M10.5.0/3"}, "13:00 +0100", "14:00 +0200"},
		{platform.TimeStatus{POSIX: "EST5EDT,M3.2.0,M11.1.0"}, "07:00 -0500", "08:00 -0400"},
		{platform.TimeStatus{POSIX: "<+0530>-5:30"}, "17:30 +0530", "17:30 +0530"},
		{platform.TimeStatus{POSIX: "UTC0"}, "12:00 +0000", "12:00 +0000"},
		{platform.TimeStatus{POSIX: "NZST-12NZDT,M9.5.0,M4.1.0/3"}, "01:00 +1300", "00:00 +1200"},
		{platform.TimeStatus{POSIX: "nonsense"}, "12:00 +0000", "12:00 +0000"},
		{platform.TimeStatus{Zone: "No/Such"}, "12:00 +0000", "12:00 +0000"},
		{platform.TimeStatus{}, "12:00 +0000", "12:00 +0000"},
	} {
		l := Zone(test.s)
		if got := winter.In(l).Format("15:04 -0700"); got != test.winter {
			t.Errorf("%+v in winter: %s, want %s", test.s, got, test.winter)
		}
		if got := summer.In(l).Format("15:04 -0700"); got != test.summer {
			t.Errorf("%+v in summer: %s, want %s", test.s, got, test.summer)
		}
	}
}

func TestMask(t *testing.T) {
	for bits := range 33 {
		if got, ok := maskBits(maskOf(bits)); !ok || got != bits {
			t.Errorf("/%d is %s is /%d (%v)", bits, maskOf(bits), got, ok)
		}
	}
	for _, bad := range []string{"", "255.0.255.0", "0.0.0.1", "ffff::", "255.255.255"} {
		if bits, ok := maskBits(bad); ok {
			t.Errorf("%q is a mask of /%d", bad, bits)
		}
	}
}
