package notify

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/datamodel"
)

// told holds, for each watched parameter, the hash of the value that the ACS
// was last told. Hashes cost 8 bytes where values have no bound; 64 bits make
// it certain enough that a change is not overlooked by chance, and the key
// that nobody on the LAN can choose a value that is.
type told struct {
	k0, k1  uint64
	hashes  map[string]uint64
	fresh   bool // not in the run file yet
	changed bool // not in flash yet
	other   bool // and other parameters than there
}

func (t *told) hash(value string) uint64 { return sipHash(t.k0, t.k1, value) }

func (t *told) set(name string, h uint64) {
	old, ok := t.hashes[name]
	if ok && old == h {
		return
	}
	t.hashes[name] = h
	t.fresh, t.changed = true, true
	t.other = t.other || !ok
}

func (t *told) forget(name string) {
	if _, ok := t.hashes[name]; ok {
		delete(t.hashes, name)
		t.fresh, t.changed, t.other = true, true, true
	}
}

// encode returns the key and one line for each parameter.
func (t *told) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "key %016x%016x\n", t.k0, t.k1)
	for _, name := range slices.Sorted(maps.Keys(t.hashes)) {
		fmt.Fprintf(&b, "%016x %s\n", t.hashes[name], name)
	}
	return b.Bytes()
}

// loadTold reads what was told: from the run file, which is newer, or from
// flash after a boot.
func loadTold(run, flash datamodel.Backing, log *slog.Logger) (*told, error) {
	newer, kept := load(run, log), load(flash, log)
	for _, text := range [][]byte{newer, kept} {
		if text == nil {
			continue
		}
		t, err := parseTold(text)
		if err == nil {
			t.changed = !bytes.Equal(text, kept)
			return t, nil
		}
		log.Warn("what the ACS was told is not understood", "err", err)
	}
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	return newTold(key[:]), nil
}

func load(b datamodel.Backing, log *slog.Logger) []byte {
	if b == nil {
		return nil
	}
	text, err := b.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("what the ACS was told cannot be read", "err", err)
	}
	return text
}

func newTold(key []byte) *told {
	return &told{
		k0:     binary.BigEndian.Uint64(key),
		k1:     binary.BigEndian.Uint64(key[8:]),
		hashes: map[string]uint64{},
	}
}

func parseTold(text []byte) (*told, error) {
	head, rest, _ := strings.Cut(string(text), "\n")
	key, err := hex.DecodeString(strings.TrimPrefix(head, "key "))
	if err != nil || len(key) != 16 {
		return nil, errors.New("no key in the first line")
	}
	t := newTold(key)
	for line := range strings.Lines(rest) {
		h, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		v, err := strconv.ParseUint(h, 16, 64)
		if err != nil || !ok || name == "" {
			return nil, fmt.Errorf("line %q", line)
		}
		t.hashes[name] = v
	}
	return t, nil
}
