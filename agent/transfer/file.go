package transfer

// The queue as a text that one can cat:
//
//	transfer	1	waiting
//		method	Download
//		key	upgrade-7
//		window	0 3600 any 2
//
// A line that is not understood is left out with a warning.

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/store"
)

// columns are what is kept of a transfer, beside its number, its state and its
// windows. Empty ones are left out.
var columns = [...]struct {
	name string
	at   func(t *Transfer) any
}{
	{"method", func(t *Transfer) any { return (*string)(&t.Method) }},
	{"key", func(t *Transfer) any { return &t.CommandKey }},
	{"kind", func(t *Transfer) any { return (*uint8)(&t.Kind) }},
	{"type", func(t *Transfer) any { return &t.FileType }},
	{"instance", func(t *Transfer) any { return &t.Instance }},
	{"url", func(t *Transfer) any { return &t.URL }},
	{"username", func(t *Transfer) any { return &t.Username }},
	{"password", func(t *Transfer) any { return (*string)(&t.Password) }},
	{"size", func(t *Transfer) any { return &t.FileSize }},
	{"target", func(t *Transfer) any { return &t.TargetName }},
	{"delay", func(t *Transfer) any { return &t.Delay }},
	{"asked", func(t *Transfer) any { return &t.Asked }},
	{"begun", func(t *Transfer) any { return &t.Begun }},
	{"at-window", func(t *Transfer) any { return &t.Window }},
	{"started", func(t *Transfer) any { return &t.Started }},
	{"completed", func(t *Transfer) any { return &t.Completed }},
	{"failure", func(t *Transfer) any { return (*uint8)(&t.Failure) }},
	{"text", func(t *Transfer) any { return &t.Text }},
	{"boot", func(t *Transfer) any { return &t.Boot }},
	{"version", func(t *Transfer) any { return &t.Version }},
	{"image", func(t *Transfer) any { return &t.Image }},
}

func (q *Queue) text() []byte {
	var b []byte
	if !q.applied.IsZero() {
		b = store.AppendLine(b, "applied", format(&q.applied))
	}
	for _, t := range q.all {
		b = store.AppendLine(b, "transfer", strconv.FormatUint(uint64(t.ID), 10), stateNames[t.State])
		for _, c := range columns {
			if s := format(c.at(t)); s != "" {
				b = store.AppendLine(b, "", c.name, s)
			}
		}
		for _, w := range t.Windows {
			b = store.AppendLine(b, "", "window", fmt.Sprintf("%d %d %t %d", w.Start/time.Second, w.End/time.Second, w.AnyTime, w.Retries))
		}
	}
	return b
}

// format is the text of a value, "" for the zero one.
func format(v any) string {
	var n int64
	switch p := v.(type) {
	case *string:
		return *p
	case *time.Time:
		if p.IsZero() {
			return ""
		}
		return p.UTC().Format(time.RFC3339)
	case *uint8:
		n = int64(*p)
	case *uint32:
		n = int64(*p)
	case *int:
		n = int64(*p)
	case *time.Duration:
		n = int64(*p / time.Second)
	}
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// parse reads what text has written.
func (q *Queue) parse(text []byte) {
	var t *Transfer
	for f, err := range store.Lines(text) {
		switch {
		case err != nil:
		case len(f) == 3 && f[0] == "transfer":
			t, err = parseTransfer(f[1], f[2])
			if err == nil {
				q.all = append(q.all, t)
				q.lastID = max(q.lastID, t.ID)
			}
		case len(f) == 2 && f[0] == "applied":
			err = scan(f[1], &q.applied)
		case len(f) == 3 && f[0] == "" && t != nil:
			err = t.set(f[1], f[2])
		case len(f) == 3 && f[0] == "": // of a transfer that was left out
		default:
			err = errNotUnderstood
		}
		if err != nil {
			q.log.Warn("a line of the queue of transfers is left out", "err", err)
		}
	}
	q.all = slices.DeleteFunc(q.all, func(t *Transfer) bool { return !t.sound() })
	if len(q.all) > maxQueue {
		q.all = q.all[:maxQueue]
	}
}

var errNotUnderstood = errors.New("not understood")

func parseTransfer(id, state string) (*Transfer, error) {
	t := &Transfer{}
	if err := scan(id, &t.ID); err != nil {
		return nil, err
	}
	i := slices.Index(stateNames[:], state)
	if i <= 0 || t.ID == 0 {
		return nil, errNotUnderstood
	}
	t.State = State(i)
	return t, nil
}

// sound says whether the transfer can be worked with.
func (t *Transfer) sound() bool {
	switch t.Method {
	case Download, Upload, ScheduleDownload:
	default:
		return false
	}
	return t.Kind >= Firmware && t.Kind <= Log && int(t.Failure) < len(failureNames) && t.Delay >= 0 &&
		checkWindows(t.Windows) == nil && t.Window >= 0 && t.Begun >= 0 && (t.Windows != nil) == (t.Method == ScheduleDownload)
}

func (t *Transfer) set(name, text string) error {
	if name == "window" {
		var w Window
		var start, end uint32
		if _, err := fmt.Sscanf(text, "%d %d %t %d", &start, &end, &w.AnyTime, &w.Retries); err != nil {
			return err
		}
		w.Start, w.End = time.Duration(start)*time.Second, time.Duration(end)*time.Second
		t.Windows = append(t.Windows, w)
		return nil
	}
	for _, c := range columns {
		if c.name == name {
			return scan(text, c.at(t))
		}
	}
	return errNotUnderstood
}

// scan reads what format has written.
func scan(text string, v any) (err error) {
	var n uint64
	switch p := v.(type) {
	case *string:
		*p = text
	case *time.Time:
		*p, err = time.Parse(time.RFC3339, text)
	case *uint8:
		n, err = strconv.ParseUint(text, 10, 8)
		*p = uint8(n)
	case *uint32:
		n, err = strconv.ParseUint(text, 10, 32)
		*p = uint32(n)
	case *int:
		n, err = strconv.ParseUint(text, 10, 31)
		*p = int(n)
	case *time.Duration:
		n, err = strconv.ParseUint(text, 10, 32)
		*p = time.Duration(n) * time.Second
	}
	return err
}
