package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/lab/pipe"
)

// A session that serve has recorded is played to the same device without a
// difference, and to another one with what is different.
func TestRecordAndReplay(t *testing.T) {
	dir := t.TempDir()
	answers := map[string]string{"GetParameterValues": value("Device.A.B", "string", "one"), "SetParameterValues": "<Status>0</Status>"}
	story, _, _ := serveWith(t, []string{"--record", dir, "--get", "Device.A."}, "0 BOOTSTRAP", "", answers)
	files, err := filepath.Glob(dir + "/*.txt")
	if err != nil || len(files) != 1 || !strings.Contains(story, files[0]) {
		t.Fatalf("%q, %v\n%s", files, err, story)
	}
	if text, err := os.ReadFile(files[0]); err != nil || strings.Contains(string(text), ">lab<") || !strings.Contains(string(text), "***") {
		t.Errorf("%v, %s", err, text)
	}
	for _, row := range []struct {
		answer string
		grave  int
		told   string
	}{
		{value("Device.A.B", "string", "one"), 0, "played to its end: 0 differences, and 0 other values"},
		{value("Device.A.B", "string", "two"), 0, `Device.A.B: Value is "two", recorded "one"`},
		{value("Device.A.C", "string", "one"), 2, "Device.A.B is missing"},
	} {
		answers["GetParameterValues"] = row.answer
		told, grave := replayTo(t, files[0], answers)
		if grave != row.grave || !strings.Contains(told, row.told) {
			t.Errorf("%d grave differences, want %d and %q in\n%s", grave, row.grave, row.told, told)
		}
	}
	if _, err := parseReplay([]string{"/nonexistent"}, io.Discard); err == nil {
		t.Error("a file that there is not")
	}
}

// replayTo plays a file to a device.
func replayTo(t *testing.T, file string, answers map[string]string) (told string, grave int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o, err := parseReplay([]string{"--values", file}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		n := pipe.New()
		l, err := n.Listen("tcp", "192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		paper := &page{}
		done := make(chan error, 1)
		go func() {
			var err error
			grave, err = replay(context.Background(), o, l, &screen{w: paper})
			done <- err
		}()
		conn, err := n.Dial(t.Context(), "tcp", "192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		d := &device{conn: conn, rd: bufio.NewReader(conn), answers: answers}
		d.session(t, "0 BOOTSTRAP")
		if err := <-done; err != nil {
			t.Error(err)
		}
		conn.Close()
		told = paper.String()
	})
	return told, grave
}
