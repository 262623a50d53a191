package storetest

import (
	"bytes"
	"io/fs"
	"sync"
)

// A File is one state file in memory, with knobs, for tests of what keeps its
// state in a Backing. The zero value does not exist. It is safe for use by
// several goroutines, and must not be copied.
type File struct {
	mu     sync.Mutex
	text   []byte
	exists bool
	saves  int
	err    error
}

// Load returns the text, and fs.ErrNotExist where there is no file.
func (f *File) Load() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.exists {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(f.text), nil
}

// Save replaces the text, unless that is refused.
func (f *File) Save(text []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.text, f.exists = bytes.Clone(text), true
	f.saves++
	return nil
}

// Text is what the file holds; "" also where there is none.
func (f *File) Text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.text)
}

// Saves is how often Save has succeeded.
func (f *File) Saves() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.saves
}

// Write places a text, as if it had always been there: it is no Save, and it is
// never refused.
func (f *File) Write(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text, f.exists = []byte(text), true
}

// Delete takes the file away.
func (f *File) Delete() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text, f.exists = nil, false
}

// Refuse makes every Save fail with err; nil ends that.
func (f *File) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}
