// Small conversions between what the platform says and what TR-181 prints.

package tr181

import (
	"iter"
	"math"
	"net/netip"
	"strings"
	"time"

	"gatehouse/datamodel"
)

// infiniteTime is the dateTime that stands for never (TR-106 §3.2.2).
var infiniteTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// seconds is d in whole seconds, as an unsignedInt.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), math.MaxUint32))
}

// since is how many seconds ago t was.
func since(now, t time.Time) uint32 { return seconds(now.Sub(t)) }

// kib is n bytes in KiB, as an unsignedInt.
func kib(n uint64) uint32 { return uint32(min(n>>10, math.MaxUint32)) }

// ends is when a lifetime that is left now is over; a negative one never is.
func ends(now time.Time, left time.Duration) time.Time {
	if left < 0 {
		return infiniteTime
	}
	return now.Add(left).UTC().Truncate(time.Second)
}

// limit cuts s to n characters.
func limit(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// upMAC prints a MAC address in upper case, as TR-181's examples do.
func upMAC(s string) string { return strings.ToUpper(s) }

// maskOf is the dotted mask of an IPv4 prefix length.
func maskOf(bits int) string {
	m := ^uint32(0) << (32 - bits)
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}

// maskBits is the prefix length of a dotted mask, and false when the mask has
// a hole or is no mask at all.
func maskBits(s string) (int, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	bits := 0
	for ; m&(1<<31) != 0; m <<= 1 {
		bits++
	}
	return bits, m == 0
}

// enabled names the Status of something that is on or off.
func enabled(on bool) string {
	if on {
		return "Enabled"
	}
	return "Disabled"
}

// rowsFrom turns what the platform yields into rows, one by one.
func rowsFrom[V, T any](seq iter.Seq2[V, error], row func(V) datamodel.Row[T]) iter.Seq2[datamodel.Row[T], error] {
	return func(yield func(datamodel.Row[T], error) bool) {
		for v, err := range seq {
			if err != nil {
				yield(datamodel.Row[T]{}, lacking(err))
				return
			}
			if !yield(row(v), nil) {
				return
			}
		}
	}
}
