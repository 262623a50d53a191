package platform

import (
	"context"
	"iter"
)

// A DHCPClient tells what DHCP servers have answered this device, as long as its
// clients keep that: the last answer on each link.
type DHCPClient interface {
	DHCPAnswers(ctx context.Context) iter.Seq2[DHCPAnswer, error]
}

// A DHCPAnswer holds the options for vendors of one lease, without code and
// length; nil: they were not sent. Any host of that network may have sent them.
type DHCPAnswer struct {
	Link      string // that it came in by
	Interface string // the logical interface; "" where links are the interfaces

	Vendor      []byte // option 43
	Identified  []byte // option 125
	Identified6 []byte // DHCPv6 option 17
}
