package datamodel

// Instance numbers: which number a key has in its table. None is ever given
// twice, whatever happened to the row that had it.

import (
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// How many rows that are no longer there a table remembers: the numbers of
// what comes back stay the same, within reason.
const (
	deadVolatile   = 64
	deadPersistent = 256
	maxVolatile    = 16384 // rows of one table whose numbers are remembered in RAM only
	maxPersistent  = 512   // rows of one table whose numbers are on disk though nobody made them
	aheadOnDisk    = 4096  // numbers that a table may give in RAM until it says so on disk
	maxDropped     = 64    // rows deleted under a walk that are told from new ones
	maxRecent      = 256   // keys of rows in RAM only that were lately asked for by number
)

type numbers struct {
	mu     sync.Mutex
	tables map[string]*numTable
	seed   maphash.Seed
	dirty  bool
	saving sync.Mutex // held over a save; mu is not
}

// A numTable numbers the rows of one table below one parent. Its fields
// belong to numbers.mu.
type numTable struct {
	all      *numbers
	template string
	parent   []Key
	volatile bool
	last     uint32 // the highest number given
	ahead    uint32 // on disk as the highest number given; 0: last is
	walk     uint32 // counts the passes over the table

	// A table on disk maps keys to numbers and back. A volatile one, which may
	// have ten thousand rows, maps hashes of keys, and a few numbers back; so
	// does one on disk with the rows of the system beyond the first few hundred:
	// the routes of a BGP router do not belong on flash.
	byKey  map[Key]given
	byNum  map[uint32]Key
	byHash map[uint64]given
	recent map[uint32]Key
	alias  map[Key]string // only those that somebody wrote

	dropped map[Key]uint32 // rows that were deleted, and the last pass that had begun then
}

type given struct {
	num  uint32
	seen uint32 // the last pass that met the row
}

func newNumbers() *numbers {
	return &numbers{tables: make(map[string]*numTable), seed: maphash.MakeSeed()}
}

func rowID(template string, at []Key) string {
	n := len(template)
	for _, k := range at {
		n += 1 + len(k)
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(template)
	for _, k := range at {
		b.WriteByte(0)
		b.WriteString(k)
	}
	return b.String()
}

// table returns the table of n below parent.
func (a *numbers) table(n *node, parent []Key) *numTable {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tableLocked(n.path, parent, n.volatile)
}

func (a *numbers) tableLocked(template string, parent []Key, volatile bool) *numTable {
	id := rowID(template, parent)
	t := a.tables[id]
	if t == nil {
		t = &numTable{all: a, template: template, parent: slices.Clone(parent), volatile: volatile}
		a.tables[id] = t
	}
	return t
}

// known returns the table of n below parent, nil when it never had a row.
func (a *numbers) known(n *node, parent []Key) *numTable {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tables[rowID(n.path, parent)]
}

func (t *numTable) hash(key Key) uint64 { return maphash.String(t.all.seed, key) }

func (t *numTable) get(key Key) (given, bool) {
	g, ok := t.byKey[key]
	if !ok && len(t.byHash) > 0 {
		g, ok = t.byHash[t.hash(key)]
	}
	return g, ok
}

// put notes what is given to key: on disk where it is already or has to be,
// and for the first rows of a table that is not volatile.
func (t *numTable) put(key Key, g given, onDisk bool) {
	_, there := t.byKey[key]
	if !there && (t.volatile || !onDisk && len(t.byKey) >= maxPersistent) {
		if t.byHash == nil {
			t.byHash = make(map[uint64]given)
		}
		if len(t.byHash) >= maxVolatile {
			t.makeRoom()
		}
		t.byHash[t.hash(key)] = g
		return
	}
	if t.byKey == nil {
		t.byKey, t.byNum = make(map[Key]given), make(map[uint32]Key)
	}
	t.byKey[key] = g
	t.byNum[g.num] = key
	delete(t.byHash, t.hash(key))
}

// makeRoom forgets an eighth of what RAM has, when there is more than we remember.
// They get new numbers when they are met again.
func (t *numTable) makeRoom() {
	n := maxVolatile / 8
	for h := range t.byHash {
		delete(t.byHash, h)
		if n--; n == 0 {
			break
		}
	}
}

// begin counts a pass over the table.
func (t *numTable) begin() (pass uint32) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.walk++
	return t.walk
}

// number returns the number of key, giving it one if it has none, and notes
// that the pass has met it; pass 0 notes nothing. It returns 0 for a row that
// was deleted while the pass was under way.
func (t *numTable) number(key Key, pass uint32) uint32 {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	g, ok := t.get(key)
	switch {
	case !ok && pass > 0 && pass <= t.dropped[key]:
		return 0
	case !ok:
		delete(t.dropped, key)
		t.last++
		g = given{t.last, pass}
		t.put(key, g, false)
		if _, onDisk := t.byKey[key]; onDisk {
			t.all.dirty = true
		} else if !t.volatile && t.last > t.ahead {
			// Or the next process would give these numbers again.
			t.ahead, t.all.dirty = t.last+aheadOnDisk, true
		}
	case g.seen < pass:
		g.seen = pass
		if _, onDisk := t.byKey[key]; onDisk {
			t.byKey[key] = g
		} else {
			t.byHash[t.hash(key)] = g
		}
	}
	return g.num
}

// peek returns the number of key, if it has one.
func (t *numTable) peek(key Key) (uint32, bool) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	g, ok := t.get(key)
	return g.num, ok
}

// key returns the key of a number. Not ok and sure: no row has it.
func (t *numTable) key(num uint32) (key Key, ok, sure bool) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if key, ok = t.byNum[num]; ok {
		return key, true, true
	}
	if key, ok = t.recent[num]; ok {
		g, _ := t.get(key)
		ok = g.num == num
	}
	return key, ok, !t.volatile && len(t.byHash) == 0 && num <= t.last
}

// met remembers the key of a number that somebody asked for.
func (t *numTable) met(num uint32, key Key) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if _, ok := t.byNum[num]; ok {
		return
	}
	if t.recent == nil || len(t.recent) >= maxRecent {
		t.recent = make(map[uint32]Key)
	}
	t.recent[num] = key
}

// end finishes a pass that met every row there is. When most of what the table
// remembers has gone, it forgets it.
func (t *numTable) end(pass uint32, live int) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	forgot := false
	if len(t.byHash) > 2*live+deadVolatile {
		forgot = true
		maps.DeleteFunc(t.byHash, func(_ uint64, g given) bool { return g.seen < pass })
		maps.DeleteFunc(t.alias, func(k Key, _ string) bool { _, ok := t.get(k); return !ok })
	}
	if len(t.byKey) > live+deadPersistent {
		forgot = true
		for k, g := range t.byKey {
			if g.seen < pass && t.alias[k] == "" {
				t.forget(k)
			}
		}
	}
	if forgot {
		t.dropOrphans()
	}
}

func (t *numTable) forget(key Key) {
	g, ok := t.get(key)
	if !ok {
		return
	}
	delete(t.alias, key)
	if _, onDisk := t.byKey[key]; onDisk {
		delete(t.byKey, key)
		delete(t.byNum, g.num)
		t.all.dirty = true
	}
	delete(t.byHash, t.hash(key))
}

// dropOrphans forgets the tables below rows that t has forgotten.
func (t *numTable) dropOrphans() {
	depth := len(t.parent)
	maps.DeleteFunc(t.all.tables, func(_ string, c *numTable) bool {
		if !strings.HasPrefix(c.template, t.template) || len(c.parent) <= depth || !slices.Equal(c.parent[:depth], t.parent) {
			return false
		}
		_, ok := t.get(c.parent[depth])
		if !ok && !c.volatile {
			t.all.dirty = true
		}
		return !ok
	})
}

// reserve gives a number to a row that is not there yet. It is burnt if the
// row never comes to be.
func (t *numTable) reserve() uint32 {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.last++
	t.all.dirty = t.all.dirty || !t.volatile
	return t.last
}

// bind gives a reserved number to the key of its row. No pass under way has to
// have met it.
func (t *numTable) bind(key Key, num uint32) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if g, ok := t.get(key); ok && g.num != num {
		delete(t.byNum, g.num)
	}
	t.put(key, given{num: num, seen: t.walk}, true)
	t.all.dirty = t.all.dirty || !t.volatile
}

// replace binds the number of a new row to its key, and returns what takes
// that back: it may be the key of a row that goes away as this one comes, which
// then has its number and its alias again.
func (t *numTable) replace(key Key, num uint32) (undo func()) {
	was, had := t.peek(key)
	alias := t.aliasOf(key)
	t.bind(key, num)
	if alias != "" {
		t.setAlias(key, "")
	}
	return func() {
		if !had {
			t.drop(key)
			return
		}
		t.bind(key, was)
		t.setAlias(key, alias)
	}
}

// drop forgets a row that was deleted, and the tables below it.
func (t *numTable) drop(key Key) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.forget(key)
	t.dropOrphans()
	if t.dropped == nil || len(t.dropped) >= maxDropped {
		t.dropped = make(map[Key]uint32)
	}
	t.dropped[key] = t.walk
}

// bury appends to b how [numTable.exhume] brings a row back that is about to be
// deleted, and the tables below it.
func (t *numTable) bury(b []byte, key Key, num uint32) []byte {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	b = appendLine(b, undoDelete, t.template, key, strconv.FormatUint(uint64(num), 10)+" "+t.alias[key], t.parent)
	at := append(slices.Clone(t.parent), key)
	for _, c := range t.all.tables {
		if !c.volatile && c.last > 0 && strings.HasPrefix(c.template, t.template) && len(c.parent) >= len(at) && slices.Equal(c.parent[:len(at)], at) {
			b = appendLine(b, undoTable, c.template, "", strconv.FormatUint(uint64(max(c.last, c.ahead)), 10), c.parent)
		}
	}
	return b
}

// exhume gives a row that comes back its number and its alias; without a key it
// is the table that comes back, which gives no number again up to num.
func (t *numTable) exhume(key Key, num uint32, alias string) {
	t.all.mu.Lock()
	t.last = max(t.last, num)
	t.all.dirty = true
	t.all.mu.Unlock()
	if key == "" {
		return
	}
	t.bind(key, num)
	t.setAlias(key, alias)
}

// aliasOf returns the alias of key; "" when nobody wrote one.
func (t *numTable) aliasOf(key Key) string {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	return t.alias[key]
}

// setAlias writes the alias of key; "" takes it away.
func (t *numTable) setAlias(key Key, alias string) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if t.alias == nil {
		t.alias = make(map[Key]string)
	}
	if alias == "" {
		delete(t.alias, key)
	} else {
		t.alias[key] = alias
		if g, ok := t.get(key); ok {
			t.put(key, g, true)
		}
	}
	t.all.dirty = t.all.dirty || !t.volatile
}

// byAlias returns the key that somebody gave the alias to.
func (t *numTable) byAlias(alias string) (Key, bool) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	for k, a := range t.alias {
		if a == alias {
			return k, true
		}
	}
	return "", false
}

// rekey calls the row at parent+old of the template new from now on, in its
// table and in those below it.
func (a *numbers) rekey(template string, parent []Key, old, new Key, volatile bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tableLocked(template, parent, volatile)
	if g, ok := t.get(old); ok {
		alias := t.alias[old]
		_, onDisk := t.byKey[old]
		t.forget(old)
		t.forget(new) // a row that had this key once is not the one that has it now
		t.put(new, g, onDisk)
		if alias != "" {
			t.alias[new] = alias
		}
	}
	depth := len(parent)
	for id, c := range maps.Clone(a.tables) {
		if strings.HasPrefix(c.template, template) && len(c.parent) > depth && slices.Equal(c.parent[:depth], parent) && c.parent[depth] == old {
			delete(a.tables, id)
			c.parent[depth] = new
			a.tables[rowID(c.template, c.parent)] = c
		}
	}
	a.dirty = true
}
