package uciconf

// What fw4 makes of the rows of NAT, so that one can look whether it is there.

import (
	"context"
	"fmt"

	"gatehouse/internal/uci"
)

// A NATRule is a rule that fw4 makes of a row while that is on: in its table, by
// its comment. Rows of the same name on one zone share theirs.
type NATRule struct{ Key, Chain, Comment string }

// NATRules are the rules of all rows of NAT. A row that was loaded before its
// section had a name is found by the name that fw4 made up then.
func (c *Conf) NATRules(ctx context.Context) ([]NATRule, error) {
	v := c.view()
	p, err := v.get("firewall")
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, unavailable(c, "firewall", err)
	}
	var all []NATRule
	add := func(s *uci.Section, chain, name string) {
		all = append(all, NATRule{v.key(p, s), chain, "!fw4: " + name})
	}
	redirects := 0
	for _, s := range p.Sections {
		switch s.Type {
		case "zone":
			name := s.Get("name")
			add(s, "srcnat_"+name, "Masquerade IPv4 "+name+" traffic")
		case "redirect":
			chain := "dstnat_" + s.Get("src")
			if name := s.Get("name"); name != "" {
				add(s, chain, name)
			} else {
				add(s, chain, s.Name)
				add(s, chain, fmt.Sprintf("@redirect[%d]", redirects))
			}
			redirects++
		}
	}
	return all, nil
}
