package uciconf

// Static routes: the route and route6 sections of network.

import (
	"net/netip"
	"strconv"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// Routes are the configured routes of both families.
func (c *Conf) Routes() platform.Table[platform.StaticRoute] {
	return kind[platform.StaticRoute]{
		pkg: "network", types: []string{"route", "route6"}, prefix: "route", read: readRoute, write: writeRoute,
	}.table(c)
}

func readRoute(_ *view, s *uci.Section) platform.StaticRoute {
	r := platform.StaticRoute{Enabled: !isSet(s, "disabled", false), Interface: s.Get("interface"), Metric: int32(number(s, "metric"))}
	r.Gateway, _ = netip.ParseAddr(s.Get("gateway"))
	target := s.Get("target")
	switch {
	case target == "default" && s.Type == "route":
		target = "0.0.0.0/0"
	case target == "default":
		target = "::/0"
	}
	r.Dest, _ = prefixOf(target, s.Get("netmask"))
	return r
}

func writeRoute(e *edit, p *uci.Package, s *uci.Section, old, r *platform.StaticRoute) error {
	e.flag(s, "disabled", !old.Enabled, !r.Enabled, false)
	e.str(s, "interface", old.Interface, r.Interface)
	if old.Dest != r.Dest {
		e.writeTarget(p, s, r.Dest)
	}
	if old.Gateway != r.Gateway {
		e.set(s, "gateway", text(r.Gateway))
	}
	if old.Metric != r.Metric {
		e.set(s, "metric", "")
		if r.Metric > 0 {
			e.set(s, "metric", strconv.Itoa(int(r.Metric)))
		}
	}
	return nil
}

// writeTarget writes the destination as the section has it, with a mask or
// without; the type follows the family.
func (e *edit) writeTarget(p *uci.Package, s *uci.Section, dest netip.Prefix) {
	typ := "route"
	if dest.IsValid() && dest.Addr().Is6() {
		typ = "route6"
	}
	if s.Type != typ {
		if err := p.Retype(s, typ); err != nil {
			e.fail(err)
		}
		e.own(s, "")
	}
	switch {
	case !dest.IsValid():
		e.set(s, "target", "")
		e.set(s, "netmask", "")
	case s.Get("netmask") != "" && typ == "route":
		e.set(s, "target", dest.Addr().String())
		e.set(s, "netmask", maskOf(dest.Bits()))
	default:
		e.set(s, "target", dest.String())
		e.set(s, "netmask", "")
	}
}
