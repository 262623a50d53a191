// Package discovery looks at what DHCP servers say of the ACS (TR-069 3.1), and
// decides what of it to believe: nothing that did not come from the side of the
// ACS, and no URL that the administrator would not have been allowed to write.
// Whoever answers DHCP first on a network could otherwise take the router over.
package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/agent/settings"
	"gatehouse/internal/dhcpoption"
	"gatehouse/platform"
)

// maxURL is how long a URL may be, in characters: that of option 43 has at most
// 255 bytes, and one that is longer was not meant for us.
const maxURL = 256

// An Offer is what the lease of one interface says.
type Offer struct {
	Interface string // logical, else the link
	Told      dhcpoption.Told
	Uplink    bool  // it came from the side of the ACS
	Refused   error // why it does not count; nil: it does, as far as the layers of settings let it
}

// Values are the settings that an offer has.
func (o Offer) Values() map[string]string {
	values := map[string]string{}
	for name, v := range map[string]string{
		settings.URL:                      o.Told.URL,
		settings.ProvisioningCode:         o.Told.ProvisioningCode,
		settings.RetryMinimumWaitInterval: o.Told.RetryMinimum,
		settings.RetryIntervalMultiplier:  o.Told.RetryMultiplier,
	} {
		if v != "" {
			values[name] = v
		}
	}
	return values
}

// Look reads the leases, and returns an offer for each that has something to
// say.
func Look(ctx context.Context, p platform.Platform, s *settings.Settings) (offers []Offer, err error) {
	if p.DHCPClient == nil {
		return nil, nil
	}
	var up map[string]bool
	for a, err := range p.DHCPClient.DHCPAnswers(ctx) {
		if err != nil {
			return nil, err
		}
		told, wrong := dhcpoption.Lease{Vendor: a.Vendor, Identified: a.Identified, Identified6: a.Identified6}.Read()
		if told == (dhcpoption.Told{}) && wrong == nil {
			continue
		}
		if up == nil {
			if up, err = Uplinks(ctx, p.Links, s); err != nil {
				return nil, err
			}
		}
		o := Offer{Interface: cmp.Or(a.Interface, a.Link), Told: told, Uplink: up[a.Link]}
		switch {
		case !o.Uplink:
			o.Refused = fmt.Errorf("came in by %s, which does not lead to the ACS", a.Link)
		case told.URL != "":
			o.Refused = Check(s, told.URL)
		case wrong != nil:
			o.Refused = wrong
		}
		if o.Refused == nil && !printable(told.ProvisioningCode) {
			o.Refused = errors.New("has a ProvisioningCode with control characters")
		}
		offers = append(offers, o)
	}
	return offers, nil
}

// Uplinks are the links on the way to the ACS: the one that the configuration
// names, else those by which a default route leaves.
func Uplinks(ctx context.Context, links platform.Links, s *settings.Settings) (map[string]bool, error) {
	if name := s.Get(settings.Interface); name != "" {
		return map[string]bool{name: true}, nil
	}
	up := map[string]bool{}
	if links == nil {
		return up, nil
	}
	for l, err := range links.Links(ctx) {
		if err != nil {
			return nil, err
		}
		if l.Upstream {
			up[l.Name] = true
		}
	}
	return up, nil
}

// Check says why a URL that DHCP names is refused; the error never repeats it.
func Check(s *settings.Settings, acs string) error {
	if utf8.RuneCountInString(acs) > maxURL {
		return fmt.Errorf("the URL has more than %d characters", maxURL)
	}
	if !printable(acs) || strings.Contains(acs, " ") {
		return errors.New("the URL has control characters or spaces")
	}
	if err := s.CheckURL(acs); err != nil {
		return fmt.Errorf("the URL %w", err)
	}
	u, err := url.Parse(acs)
	if err != nil {
		return errors.New("the URL cannot be read") // CheckURL has read it
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	a, err := netip.ParseAddr(host)
	if a = a.Unmap(); host == "localhost" || err == nil && (a.IsLoopback() || a.IsUnspecified() || a.IsMulticast()) {
		return errors.New("the URL leads to no other host")
	}
	domains := s.List(settings.DHCPDomains)
	for _, d := range domains {
		if d = strings.ToLower(strings.Trim(d, ".")); host == d || strings.HasSuffix(host, "."+d) {
			return nil
		}
	}
	if len(domains) > 0 {
		return errors.New("the URL is in none of the domains of list dhcp_domains in section acs")
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
