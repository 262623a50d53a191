package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Bounds on what DNS may send us to.
const (
	maxServices = 16 // SRV records that are looked at
	maxTargets  = 32 // addresses in all
)

// A Search says how the servers of a service are found.
type Search struct {
	Service  string // of the SRV name, without underscore: "rueconfig"; "": no SRV
	Domain   string // where it is offered
	Fallback string // host to go to where no SRV record exists; "": Domain itself
	Port     uint16 // of the fallback
	// OnSilence lets the fallback stand in also when nobody answers the SRV
	// question. Whoever must not be led astray by an attacker who only drops
	// packets leaves it false.
	OnSilence bool
	// Single takes one address of each name and family: who talks to it must
	// always meet the same server.
	Single bool
}

// A Target is one server: an address, and the name that it goes by.
type Target struct {
	Name  string
	Addr  netip.AddrPort
	Other netip.AddrPort // of the other family, where the name has both; see Dial
}

func (t Target) String() string { return t.Name + " (" + t.Addr.String() + ")" }

// Found is what a search has come to.
type Found struct {
	Targets []Target  // in the order in which to try them, never none
	SRV     bool      // DNS named them as the service; else they are the fallback's
	Expires time.Time // when to search again; zero: never
	Several []string  // names of which Single left addresses out
}

// Find looks up where a service is: SRV records in the order of RFC 2782 and
// the addresses of each target, or those of the fallback when DNS has said
// that there are no such records. A target that has no address is passed over.
// Its errors are those of SRV and Lookup.
func (r *Resolver) Find(ctx context.Context, s Search) (Found, error) {
	host := s.Fallback
	if host == "" {
		host = s.Domain
	}
	if s.Service == "" {
		return r.findAll(ctx, s, false, []SRV{{Target: host, Port: s.Port}}, time.Time{})
	}
	records, ttl, err := r.SRV(ctx, s.Service, "tcp", s.Domain)
	var silent *NoAnswerError
	switch {
	case err == nil:
		return r.findAll(ctx, s, true, records, time.Now().Add(ttl))
	case errors.Is(err, ErrNoSuchName), s.OnSilence && errors.As(err, &silent):
		return r.findAll(ctx, s, false, []SRV{{Target: host, Port: s.Port}}, time.Time{})
	}
	return Found{}, err
}

// findAll resolves the targets, in their order.
func (r *Resolver) findAll(ctx context.Context, s Search, srv bool, records []SRV, expires time.Time) (Found, error) {
	f := Found{SRV: srv, Expires: expires}
	var errs []error
	for _, rec := range records[:min(len(records), maxServices)] {
		a, err := r.Lookup(ctx, rec.Target)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !a.Expires.IsZero() && (f.Expires.IsZero() || a.Expires.Before(f.Expires)) {
			f.Expires = a.Expires
		}
		if s.Single {
			var left bool
			if a.Addrs, left = single(a.Addrs); left {
				f.Several = append(f.Several, rec.Target)
			}
		}
		for _, addr := range a.Addrs {
			t := Target{Name: rec.Target, Addr: netip.AddrPortFrom(addr, rec.Port)}
			if i := slices.IndexFunc(a.Addrs, func(o netip.Addr) bool { return o.Is4() != addr.Is4() }); i >= 0 {
				t.Other = netip.AddrPortFrom(a.Addrs[i], rec.Port)
			}
			if len(f.Targets) < maxTargets {
				f.Targets = append(f.Targets, t)
			}
		}
	}
	if f.Targets == nil {
		if len(errs) == 1 {
			return Found{}, errs[0]
		}
		return Found{}, fmt.Errorf("none of the %d servers of %s can be found: %w", len(errs), s.Domain, errors.Join(errs...))
	}
	return f, nil
}

// single keeps the first address, which goes for the one of the other family,
// too: they are one host. It says whether others were left out.
func single(addrs []netip.Addr) (first []netip.Addr, left bool) {
	first = addrs[:1:1]
	other := slices.IndexFunc(addrs, func(a netip.Addr) bool { return a.Is4() != addrs[0].Is4() })
	if other >= 0 {
		first = append(first, addrs[other])
	}
	return first, len(addrs) > len(first)
}
