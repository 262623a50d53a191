// The packet filter's rules, as far as a backend asks what became of its
// configuration: where they are and what they are called.

package linux

import (
	"context"
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// A Rule is one rule of a table of nftables.
type Rule struct {
	Chain   string
	Comment string // "" none
}

// commentType marks the comment in the user data of a rule: a TLV of one byte
// each (libnftnl, udata.h).
const commentType = 0

// Rules reads a table in the namespace of o; one that is not there has no rules.
// It needs CAP_NET_ADMIN.
func Rules(ctx context.Context, o Options, family uint8, table string) iter.Seq2[Rule, error] {
	return func(yield func(Rule, error) bool) {
		b := newBackend(o)
		body := attribute([]byte{family, unix.NFNETLINK_V0, 0, 0}, unix.NFTA_RULE_TABLE, append([]byte(table), 0))
		all, err := whole(ctx, b, "netlink nftables", unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, body, decodeRule)
		rows(ctx, all, err, yield)
	}
}

// RuleGeneration is another number after each change of any table; never 0.
func RuleGeneration(ctx context.Context, o Options) (n uint32, err error) {
	b := newBackend(o)
	ask := question(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0, []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0})
	err = b.ask(ctx, ask, func(_ uint16, m []byte) bool {
		for typ, v := range attributes(m[min(4, len(m)):]) {
			if typ == unix.NFTA_GEN_ID && len(v) == 4 {
				n = binary.BigEndian.Uint32(v)
			}
		}
		return true
	})
	if err != nil {
		err = unavailable(ctx, "netlink nftables", err)
	}
	return n, err
}

// decodeRule reads one NFT_MSG_NEWRULE.
func decodeRule(kind uint16, m []byte) (r Rule, ok bool) {
	if kind != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWRULE || len(m) < 4 {
		return r, false
	}
	for typ, v := range attributes(m[4:]) {
		switch typ {
		case unix.NFTA_RULE_CHAIN:
			r.Chain = text(v)
		case unix.NFTA_RULE_USERDATA:
			for len(v) >= 2 && len(v) >= 2+int(v[1]) {
				if v[0] == commentType {
					r.Comment = text(v[2 : 2+int(v[1])])
				}
				v = v[2+int(v[1]):]
			}
		}
	}
	return r, true
}
