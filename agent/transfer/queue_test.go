package transfer

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

func file(t testing.TB, fsys *storetest.FS) *store.File {
	t.Helper()
	dir, err := store.Open("/state", store.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	return dir.File("transfers", 1)
}

// opened is a queue on a folder of a file system that crashes.
func opened(t testing.TB, fsys *storetest.FS, boot, version string) *Queue {
	t.Helper()
	return Open(file(t, fsys), boot, version,
		func() (time.Time, bool) { return time.Now().Round(0), true }, func(int64) int64 { return 0 }, slog.New(slog.DiscardHandler))
}

var order = Order{
	Method: Download, CommandKey: " a\tkey\n", Kind: Firmware, FileType: "1 Firmware Upgrade Image",
	URL: "https://files.example/fw?token=1", Username: "u", Password: "p\"w", FileSize: 77, TargetName: "../x", Delay: time.Minute,
}

var scheduled = Order{
	Method: ScheduleDownload, CommandKey: "s", Kind: Config, FileType: "3 Vendor Configuration File", URL: "http://files.example/c",
	Windows: []Window{{Start: time.Hour, End: 2 * time.Hour, AnyTime: true, Retries: -1}, {Start: 3 * time.Hour, End: 4 * time.Hour, Retries: 2}},
}

// known is what a queue knows of its transfers, without clocks.
func known(q *Queue) []Transfer {
	all := q.List()
	for i := range all {
		all[i].base, all[i].due = time.Time{}, time.Time{}
	}
	return all
}

// What is written is what is read, whatever stands in it.
func TestQueueSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := storetest.New()
		q := opened(t, fsys, "b1", "1.0")
		for _, o := range []Order{order, scheduled, {Method: Upload, Kind: Log, FileType: "2 Vendor Log File", Instance: 3, URL: "http://x/"}} {
			if err := q.Add(o); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := q.begin(3); err != nil {
			t.Fatal(err)
		}
		if _, done := q.end(3, failed(Auth, "no\tentry")); !done {
			t.Error("it is not done")
		}
		want := known(q)
		if want[0].ID != 3 || want[0].Failure != Auth || want[0].Password != "" {
			t.Errorf("the result is not the first: %+v", want[0])
		}
		if got := known(opened(t, fsys.Restart(storetest.PowerCut), "b2", "1.0")); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// TestQueueCrash: at every write and sync, the order, once accepted, is there
// after the crash, and a result, once told, is there until it is acknowledged;
// nothing else ever is.
func TestQueueCrash(t *testing.T) {
	one := Order{Method: Download, CommandKey: "k", Kind: Config, FileType: "3 Vendor Configuration File", URL: "http://files.example/c"}
	steps := map[string]struct {
		before func(q *Queue)
		do     func(q *Queue) error
		old    string
		new    string
	}{
		"order":       {func(*Queue) {}, func(q *Queue) error { return q.Add(one) }, "", "waiting"},
		"result":      {func(q *Queue) { must(q.Add(one)) }, func(q *Queue) error { return ended(q) }, "waiting", "done"},
		"acknowledge": {func(q *Queue) { must(q.Add(one)); must(ended(q)) }, func(q *Queue) error { q.Acknowledge(1); return nil }, "done", ""},
		"cancel":      {func(q *Queue) { must(q.Add(one)) }, func(q *Queue) error { return q.Cancel("k") }, "waiting", ""},
		"forget":      {func(q *Queue) { must(q.Add(one)) }, func(q *Queue) error { q.Forget(); return nil }, "waiting", ""},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			storetest.Matrix{
				Setup: func(t testing.TB, fsys *storetest.FS) { step.before(opened(t, fsys, "b", "1")) },
				Act: func(fsys *storetest.FS) error {
					q := opened(t, fsys, "b", "1")
					if err := step.do(q); err != nil {
						return err
					}
					return q.save() // of a step that nobody waits for: what it could not keep is no promise
				},
				Check: func(t testing.TB, fsys *storetest.FS, done bool) {
					q := opened(t, fsys, "b2", "1")
					state := ""
					for _, x := range q.List() {
						state += stateNames[x.State]
					}
					if state != step.new && (done || state != step.old) {
						t.Errorf("%q after the crash", state)
					}
				},
			}.Run(t)
		})
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func ended(q *Queue) error {
	if _, err := q.begin(1); err != nil {
		return err
	}
	if _, done := q.end(1, nil); !done {
		return errors.New("not done")
	}
	return nil
}

// What became of an image is known at the next start, and only then.
func TestImages(t *testing.T) {
	for _, x := range []struct {
		image, boot, version string
		want                 Failure
	}{
		{"2", "b2", "2", NoFailure}, {"2", "b2", "1", Internal}, {"2", "b1", "1", Internal}, {"1", "b2", "1", NoFailure},
		{"1", "b1", "1", Internal}, // it runs already, but the device did not restart
		{"", "b2", "2", NoFailure}, {"", "b2", "1", NoFailure}, {"", "b1", "1", Internal},
	} {
		fsys := storetest.New()
		q := opened(t, fsys, "b1", "1")
		o := order
		o.Delay = 0
		must(q.Add(o))
		if _, err := q.begin(1); err != nil {
			t.Fatal(err)
		}
		must(q.applying(1, "b1", "1", x.image))
		q = opened(t, fsys.Restart(storetest.PowerCut), x.boot, x.version)
		if all := q.Results(); len(all) != 1 || all[0].Failure != x.want {
			t.Errorf("%+v: %+v", x, all)
		}
	}
}

// A transfer that brings the device down is given up.
func TestBegunTooOften(t *testing.T) {
	fsys := storetest.New()
	must(opened(t, fsys, "b", "1").Add(Order{Method: Download, Kind: Config, FileType: "3 Vendor Configuration File", URL: "http://x/"}))
	for n := range maxBegun {
		q := opened(t, fsys, fmt.Sprint(n), "1")
		if len(q.Results()) > 0 {
			t.Fatalf("given up after %d", n)
		}
		if _, err := q.begin(1); err != nil {
			t.Fatal(err)
		}
	}
	if all := opened(t, fsys, "last", "1").Results(); len(all) != 1 || all[0].Failure != Failed {
		t.Errorf("%+v", all)
	}
}

// When things are due, in this process and in a later one: never later than
// asked for, whatever the clock says by then.
func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := storetest.New()
		q := opened(t, fsys, "b", "1")
		must(q.Add(order))
		must(q.Add(scheduled))
		began := time.Now()
		due := func(q *Queue, want time.Duration) {
			t.Helper()
			_, at, ok := q.next(time.Now())
			if ok || at.Sub(began) != want {
				t.Errorf("due after %v, %t; want %v", at.Sub(began), ok, want)
			}
		}
		due(q, time.Minute)
		time.Sleep(30 * time.Second)
		due(opened(t, fsys, "b2", "1"), time.Minute)
		early := Open(file(t, fsys), "b3", "1",
			func() (time.Time, bool) { return time.Now().Add(-24 * time.Hour), false }, func(int64) int64 { return 0 }, slog.New(slog.DiscardHandler))
		due(early, 90*time.Second) // the clock went back: the whole delay once more, and no more
		time.Sleep(31 * time.Second)
		if x, _, ok := q.next(time.Now()); !ok || x.ID != 1 {
			t.Errorf("%+v, %t", x, ok)
		}
		must(q.Cancel(order.CommandKey))
		due(q, time.Hour)
		time.Sleep(5 * time.Hour)
		late := opened(t, fsys, "b4", "1")
		x, _, ok := late.next(time.Now())
		if !ok || !x.missed() {
			t.Errorf("after its last window: %+v, %t", x, ok)
		}
	})
}

// An order that came before the clock was set is not years old once it is, and
// its windows have not passed: at worst the wait begins anew.
func TestDueWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := storetest.New()
		at := func(boot string, off time.Duration, known bool) *Queue {
			return Open(file(t, fsys), boot, "1", func() (time.Time, bool) { return time.Now().Add(off).Round(0), known },
				func(int64) int64 { return 0 }, slog.New(slog.DiscardHandler))
		}
		due := func(q *Queue, want time.Duration) {
			t.Helper()
			now := time.Now()
			if x, at, ok := q.next(now); ok || at.Sub(now) != want {
				t.Errorf("due in %v, %t %+v; want %v", at.Sub(now), ok, x, want)
			}
		}
		const wrong = -20 * 365 * 24 * time.Hour
		must(at("b1", wrong, false).Add(scheduled))
		time.Sleep(10 * time.Minute)
		set := at("b2", 0, true)
		due(set, time.Hour)
		time.Sleep(10 * time.Minute)
		due(set, 50*time.Minute)
		time.Sleep(10 * time.Minute)
		due(at("b3", 0, true), 40*time.Minute)
	})
}

// FuzzState reads what may lie on a disk, and what it made of that reads again
// as the same.
func FuzzState(f *testing.F) {
	f.Add("transfer\t1\twaiting\n\tmethod\tDownload\n\tkind\t2\n\turl\thttp://x/\n")
	f.Add("applied\t2026-01-01T00:00:00Z\ntransfer\t7\tdone\n\tmethod\tScheduleDownload\n\tkind\t1\n\twindow\t0 10 true -1\n\tfailure\t9\n")
	f.Add("transfer\t1\tapplying\n\tmethod\tUpload\n\tkind\t3\n\tfailure\t200\n\tbegun\t-1\n")
	f.Fuzz(func(t *testing.T, text string) {
		read := func(text string) *Queue {
			q := &Queue{log: slog.New(slog.DiscardHandler)}
			q.parse([]byte(text))
			return q
		}
		q := read(text)
		again := read(string(q.text()))
		if !reflect.DeepEqual(known(q), known(again)) || !q.applied.Equal(again.applied) {
			t.Errorf("%+v\nbecame %+v", known(q), known(again))
		}
	})
}

// The password is in no log and no error.
func TestSecret(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, order); strings.Contains(text, `p"w`) || strings.Contains(text, `p\"w`) || strings.Contains(text, "702277") {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

// Nor is what may be one in a URL.
func TestWithoutSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"https://files.example/a/b?token=1#x": "https://files.example/a/b?…",
		"http://u:p@files.example:81/f":       "http://files.example:81/f",
		"http://files.example":                "http://files.example",
		"http://u:p@[::1/f":                   "?",
		"":                                    "",
	} {
		if got := WithoutSecrets(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// Secrets in a line of a log.
func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"psk=\"fr1ends\" ok":                 "psk=\"***\" ok",
		"PASSWORD: hunter2, user: x":         "PASSWORD: ***, user: x",
		"passphrase 'a b' passwd=c&d=e":      "passphrase '*** b' passwd=***&d=e",
		"no secrets here":                    "no secrets here", // "secrets" has the word in it, and no value that matters
		"password":                           "password",
		"wpa_psk=abc;password=\"\"; x":       "wpa_psk=***;password=\"\"; x",
		"<Password>s3cret</Password>":        "<Password>***</Password>",
		"":                                   "",
		"client_secret_key: abc, psk2='d e'": "client_secret_key: ***, psk2='*** e'",
		"password_hash=$6$x":                 "password_hash=***",
		"passwords-are=gone psk":             "passwords-are=*** psk",
		"secret=\x00\xff rest":               "secret=*** rest",
	} {
		if got := string(maskSecrets([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
