package datamodel

// What a check demands, as data: for documentation, for tests at the edges,
// and for the comparison with the BBF table.

import "math"

// Limits are the demands of a check. Zero lengths and counts mean no bound.
type Limits struct {
	MinLen, MaxLen     int
	Spans              []Span // closed; math.MinInt64 and math.MaxInt64 for an open end
	Enum               []string
	Patterns           []string
	Address            string // "MACAddress", "IPv4Prefix", …: one of the address checks
	Hex                bool
	Write              []string // what may be written, where it differs from what may be read
	List               bool
	MinItems, MaxItems int
	MaxList            int // bound of the whole text of a list
}

// LimitsOf returns the demands of c, which may be nil.
func LimitsOf(c Check) Limits {
	var l Limits
	if c != nil {
		c.limit(&l)
	}
	return l
}

func (c Len) limit(l *Limits)     { l.MinLen, l.MaxLen = c.Min, c.Max }
func (c Range) limit(l *Limits)   { l.Spans = []Span{Span(c)} }
func (c Spans) limit(l *Limits)   { l.Spans = c }
func (c AtLeast) limit(l *Limits) { l.Spans = []Span{{int64(c), math.MaxInt64}} }
func (c Enum) limit(l *Limits)    { l.Enum = c }
func (c Pattern) limit(l *Limits) { l.Patterns = c }
func (c Hex) limit(l *Limits)     { l.Hex, l.MinLen, l.MaxLen = true, c.Min, c.Max }
func (c Base64) limit(l *Limits)  { l.MinLen, l.MaxLen = c.Min, c.Max }
func (Any) limit(*Limits)         {}

func (c List) limit(l *Limits) {
	if c.Of != nil {
		c.Of.limit(l)
	}
	l.List, l.MinItems, l.MaxItems, l.MaxList = true, c.MinItems, c.MaxItems, c.MaxLen
}

func (c All) limit(l *Limits) {
	for _, one := range c {
		one.limit(l)
	}
}

func (c Written) limit(l *Limits) {
	if c.Read != nil {
		c.Read.limit(l)
	}
	l.Write = c.Write
}

func (MACAddress) limit(l *Limits)  { l.Address = "MACAddress" }
func (IPAddress) limit(l *Limits)   { l.Address = "IPAddress" }
func (IPv4Address) limit(l *Limits) { l.Address = "IPv4Address" }
func (IPv6Address) limit(l *Limits) { l.Address = "IPv6Address" }
func (IPPrefix) limit(l *Limits)    { l.Address = "IPPrefix" }
func (IPv4Prefix) limit(l *Limits)  { l.Address = "IPv4Prefix" }
func (IPv6Prefix) limit(l *Limits)  { l.Address = "IPv6Prefix" }
