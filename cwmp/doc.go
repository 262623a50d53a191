// Package cwmp speaks the CPE WAN Management Protocol (TR-069 Amendment 6) as
// a CPE does: it reads and writes envelopes, carries them over HTTP, and runs
// a session phase after phase. It knows no data model: parameters are names,
// texts and XSD types, and whoever implements [Handler] gives them a meaning.
//
// What an ACS sends is read into a bounded document (envelope.go); what we
// send is written by a small encoder of our own, and long parameter lists are
// kept as compact records (spool.go), so that their number and length are
// known before the first byte leaves and the same bytes can leave again.
//
// A [Session] is one contact with an ACS, from Inform to the empty reply. It
// talks through an [Exchanger]; [Client] is the one that does HTTP, with its
// authentication, cookies, redirects and compression. Both are made for one
// session and dropped with it.
//
// Clauses are cited as "TR-069 A.3.2.1"; "RFC 7616" and the like stand for
// themselves.
package cwmp
