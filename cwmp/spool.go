package cwmp

// This file keeps a long parameter list as compact records: 20,000 parameters
// take some 300 kB instead of the 12 MB of a document. A record holds what its
// name does not share with the name before it, the number of its class (the
// fixed text around the value: the XSD type for values, the access for names),
// and the value. Texts are kept escaped, so that replaying is copying.

import "encoding/binary"

// chunkSize is the unit in which a spool grows; a record lies in one chunk.
const chunkSize = 32 << 10

// maxClasses bounds the table of classes; the XSD types are nine.
const maxClasses = 4096

// A spool is one list. It is filled once, then read as often as needed.
type spool struct {
	head    string   // "<ParameterValueStruct><Name>"
	foot    string   // "</Value></ParameterValueStruct>\n"
	classes []string // texts between name and value
	index   map[string]int
	chunks  [][]byte
	used    int // bytes in chunks
	limit   int

	count   int    // records
	size    int64  // bytes of the list as XML
	last    []byte // the escaped name before
	rec     []byte // the record being made
	scratch []byte // for whoever adds
}

// newSpool makes a spool for elements of that name; end is what stands between
// a value and the end of its element.
func newSpool(element, end string, limit int) *spool {
	return &spool{
		head: "<" + element + "><Name>", foot: end + "</" + element + ">\n",
		index: map[string]int{}, limit: limit,
	}
}

// add appends one record; mid is the text between name and value. The error is
// fault 9004: the answer is too long.
func (s *spool) add(name, value string, mid []byte) error {
	k, err := s.class(mid)
	if err != nil {
		return err
	}
	// Build at the end of rec what must be measured before it is stored.
	b := appendEscaped(s.rec[:0], name)
	nameLen := len(b)
	b = appendEscaped(b, value)
	s.rec = b
	escName, escValue := b[:nameLen], b[nameLen:]

	shared := 0
	for shared < len(s.last) && shared < nameLen && s.last[shared] == escName[shared] {
		shared++
	}
	const headroom = 4 * binary.MaxVarintLen64
	c, err := s.room(headroom + nameLen - shared + len(escValue))
	if err != nil {
		return err
	}
	c = binary.AppendUvarint(c, uint64(shared))
	c = binary.AppendUvarint(c, uint64(nameLen-shared))
	c = append(c, escName[shared:]...)
	c = binary.AppendUvarint(c, uint64(k))
	c = binary.AppendUvarint(c, uint64(len(escValue)))
	c = append(c, escValue...)
	last := len(s.chunks) - 1
	s.used += len(c) - len(s.chunks[last])
	s.chunks[last] = c

	s.last = append(s.last[:0], escName...)
	s.count++
	s.size += int64(len(s.head) + len(b) + len(mid) + len(s.foot))
	return nil
}

func (s *spool) class(mid []byte) (int, error) {
	if k, ok := s.index[string(mid)]; ok {
		return k, nil
	}
	if len(s.classes) == maxClasses {
		return 0, Faultf(FaultResourcesExceeded, "too many kinds of parameters in one answer")
	}
	k := len(s.classes)
	s.classes = append(s.classes, string(mid))
	s.index[s.classes[k]] = k
	return k, nil
}

// room returns the last chunk with n bytes free.
func (s *spool) room(n int) ([]byte, error) {
	if s.limit > 0 && s.used+n > s.limit {
		return nil, Faultf(FaultResourcesExceeded, "the answer is too long, ask for less at a time")
	}
	if k := len(s.chunks) - 1; k >= 0 && cap(s.chunks[k])-len(s.chunks[k]) >= n {
		return s.chunks[k], nil
	}
	// The first chunk is small: most answers are.
	size := chunkSize
	if len(s.chunks) == 0 {
		size = 1 << 10
	}
	s.chunks = append(s.chunks, make([]byte, 0, max(size, n)))
	return s.chunks[len(s.chunks)-1], nil
}

// A spoolReader prints the records of a spool as XML.
type spoolReader struct {
	s     *spool
	chunk int
	rest  []byte // of the chunk
	name  []byte // the escaped name of the last record
	out   []byte // printed, not yet read
	buf   []byte
}

func (s *spool) open() *spoolReader { return &spoolReader{s: s} }

// read fills p as far as it can; 0 is the end.
func (r *spoolReader) read(p []byte) int {
	n := 0
	for n < len(p) {
		if len(r.out) == 0 && !r.next() {
			break
		}
		k := copy(p[n:], r.out)
		r.out = r.out[k:]
		n += k
	}
	return n
}

// next prints one record into out.
func (r *spoolReader) next() bool {
	for len(r.rest) == 0 {
		if r.chunk == len(r.s.chunks) {
			return false
		}
		r.rest = r.s.chunks[r.chunk]
		r.chunk++
	}
	shared := r.uvarint()
	r.name = append(r.name[:shared], r.take(r.uvarint())...)
	mid := r.s.classes[r.uvarint()]
	value := r.take(r.uvarint())

	b := append(append(r.buf[:0], r.s.head...), r.name...)
	b = append(append(append(b, mid...), value...), r.s.foot...)
	r.buf, r.out = b, b
	return true
}

func (r *spoolReader) uvarint() int {
	v, n := binary.Uvarint(r.rest)
	r.rest = r.rest[n:]
	return int(v)
}

func (r *spoolReader) take(n int) []byte {
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
