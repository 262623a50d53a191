package xmpp

import (
	"strings"
)

// A JID is an address of the network (RFC 7622): local@domain/resource. Parsed
// ones are comparable: the first two parts have no case, the resource has.
type JID struct {
	Local, Domain, Resource string
}

// maxPart is the longest part of a JID in bytes (RFC 7622 3).
const maxPart = 1023

// ParseJID takes an address apart; ok is false if it is none.
func ParseJID(s string) (j JID, ok bool) {
	bare, resource, full := strings.Cut(strings.TrimSpace(s), "/")
	local, domain, has := strings.Cut(bare, "@")
	if !has {
		local, domain = "", bare
	}
	j = JID{
		Local:    strings.ToLower(local),
		Domain:   strings.ToLower(strings.TrimSuffix(domain, ".")),
		Resource: resource,
	}
	switch {
	case j.Domain == "" || has && local == "" || full && resource == "",
		len(local) > maxPart, len(domain) > maxPart, len(resource) > maxPart,
		strings.ContainsAny(bare, " \t\r\n\"&'<>:") && !strings.HasPrefix(domain, "["),
		strings.Contains(domain, "@"):
		return JID{}, false
	}
	return j, true
}

// Bare is the JID without its resource.
func (j JID) Bare() JID { return JID{Local: j.Local, Domain: j.Domain} }

func (j JID) String() string {
	s := j.Domain
	if j.Local != "" {
		s = j.Local + "@" + s
	}
	if j.Resource != "" {
		s += "/" + j.Resource
	}
	return s
}

// allowed reports whether who may ask for a session: a bare entry of the list
// stands for all its resources, a full one for itself; an empty list lets
// everybody in (ConnReqAllowedJabberIDs). An entry that is no JID lets in
// nobody: a list of misspelled entries must not be an open door.
func allowed(list []string, who JID) bool {
	empty := true
	for _, entry := range list {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		empty = false
		if j, ok := ParseJID(entry); ok && (j == who || j.Resource == "" && j == who.Bare()) {
			return true
		}
	}
	return empty
}
