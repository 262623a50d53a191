package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/lab/acs"
	"gatehouse/lab/files"
)

// fileTypes are the types of files by a short name (TR-069 A.3.2.8, A.4.1.5).
var (
	downloadTypes = map[string]string{"firmware": "1 Firmware Upgrade Image", "config": "3 Vendor Configuration File"}
	uploadTypes   = map[string]string{"config": "1 Vendor Configuration File", "log": "2 Vendor Log File"}
)

// typeOf reads a short name; what is none is a type in full.
func typeOf(short map[string]string, name string) string {
	if full, ok := short[name]; ok {
		return full
	}
	return name
}

func key(args []string, n int) string {
	if len(args) > n {
		return args[n]
	}
	return ""
}

func makeDownload(args []string) (order, error) {
	if len(args) < 2 || len(args) > 3 {
		return nil, fmt.Errorf("what, and from where?")
	}
	d := acs.Download{FileType: typeOf(downloadTypes, args[0]), URL: args[1], CommandKey: key(args, 2)}
	return func(c *acs.Conversation, out *screen) error {
		_, err := c.Download(d)
		return err
	}, nil
}

func makeUpload(args []string) (order, error) {
	if len(args) < 2 || len(args) > 3 {
		return nil, fmt.Errorf("what, and where to?")
	}
	u := acs.Upload{FileType: typeOf(uploadTypes, args[0]), URL: args[1], CommandKey: key(args, 2)}
	return func(c *acs.Conversation, out *screen) error {
		_, err := c.Upload(u)
		return err
	}, nil
}

func makeCancel(args []string) (order, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("which key?")
	}
	return func(c *acs.Conversation, out *screen) error { return c.CancelTransfer(args[0]) }, nil
}

func makeQueue(args []string) (order, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("no arguments")
	}
	states := []string{"?", "not started", "in progress", "completed"}
	return func(c *acs.Conversation, out *screen) error {
		all, err := c.GetAllQueuedTransfers()
		rows := make([][]string, len(all))
		for i, t := range all {
			rows[i] = []string{t.CommandKey, states[max(0, min(t.State, 3))], t.FileType}
		}
		out.table(rows)
		return err
	}, nil
}

// maxFile bounds a file that the lab hands out.
const maxFile = 256 << 20

// depot is a file server for the files of a folder, at an address of its own;
// uploads go to /up/NAME and come to lie in the folder.
func depot(folder, listen string, out *screen) (*files.Server, error) {
	s := files.New()
	names, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range names {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
			continue
		}
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		s.Put("/"+e.Name(), files.File{Data: data})
	}
	s.Uploaded = func(path string, data []byte) {
		name := filepath.Join(folder, "up-"+filepath.Base(path))
		if err := os.WriteFile(name, data, fs.FileMode(0o600)); err != nil {
			out.line(red, "!", err.Error())
			return
		}
		out.line("", "", fmt.Sprintf("%d bytes were uploaded to %s", len(data), name))
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	go s.Serve(l) // until Close
	out.line("", "", fmt.Sprintf("the files of %s are at http://%s/; uploads go to http://%s/up/NAME", strings.TrimSuffix(folder, "/"), l.Addr(), l.Addr()))
	return s, nil
}
