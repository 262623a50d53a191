package linuxconf

// The one table in the kernel that is ours, over nfnetlink. Others' tables are
// neither read nor written.

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	nft "github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The names of what is ours, in the family ip.
const (
	tableName = "gatehouse"
	setName   = "outside"
)

const (
	// answerTime bounds the wait for the kernel, which answers at once.
	answerTime = 10 * time.Second
	// sendBuffer holds the largest ruleset in one piece: one of 256 mappings
	// from anywhere else takes 170 KB.
	sendBuffer = 1 << 20
)

// nftables implements kernel.
type nftables struct {
	ns *os.File
}

func (n nftables) open() (*nft.Conn, error) {
	options := []nft.ConnOption{nft.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetDeadline(time.Now().Add(answerTime)), c.SetWriteBuffer(sendBuffer), c.SetReadBuffer(sendBuffer))
	})}
	if n.ns != nil {
		options = append(options, nft.WithNetNSFd(int(n.ns.Fd())))
	}
	return nft.New(options...)
}

// find returns our table, nil when there is none.
func find(c *nft.Conn) (*nft.Table, error) {
	all, err := c.ListTablesOfFamily(nft.TableFamilyIPv4)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Name == tableName {
			return t, nil
		}
	}
	return nil, nil
}

// replace implements kernel: one batch, which the kernel commits as a whole.
func (n nftables) replace(rules ruleset) error {
	c, err := n.open()
	if err != nil {
		return err
	}
	old, err := find(c)
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	if old == nil && rules.empty() {
		return nil
	}
	// What is added first can be deleted, whoever was here meanwhile.
	c.DelTable(c.AddTable(&nft.Table{Family: nft.TableFamilyIPv4, Name: tableName}))
	if !rules.empty() {
		if err := add(c, rules); err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	return nil
}

func add(c *nft.Conn, rules ruleset) error {
	t := c.AddTable(&nft.Table{Family: nft.TableFamilyIPv4, Name: tableName})
	var outside *nft.Set
	if len(rules.outside) > 0 {
		outside = &nft.Set{Table: t, Name: setName, KeyType: nft.TypeIFName, KeyByteOrder: binaryutil.NativeEndian}
		var links []nft.SetElement
		for _, l := range rules.outside {
			links = append(links, nft.SetElement{Key: linkName(l)})
		}
		if err := c.AddSet(outside, links); err != nil {
			return err
		}
	}
	pre := c.AddChain(&nft.Chain{Table: t, Name: "prerouting", Type: nft.ChainTypeNAT, Hooknum: nft.ChainHookPrerouting, Priority: nft.ChainPriorityNATDest})
	post := c.AddChain(&nft.Chain{Table: t, Name: "postrouting", Type: nft.ChainTypeNAT, Hooknum: nft.ChainHookPostrouting, Priority: nft.ChainPriorityNATSource})
	for _, i := range rules.in {
		c.AddRule(&nft.Rule{Table: t, Chain: pre, Exprs: i.exprs(outside), UserData: comment(i.key)})
	}
	for _, o := range rules.out {
		c.AddRule(&nft.Rule{Table: t, Chain: post, UserData: comment(o.key), Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, equal(linkName(o.link)), &expr.Masq{},
		}})
	}
	return nil
}

// exprs are the steps of a rule: each loads something into register 1 and
// compares it.
func (i incoming) exprs(outside *nft.Set) []expr.Any {
	var x []expr.Any
	switch {
	case i.link != "":
		x = append(x, &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, equal(linkName(i.link)))
	case outside != nil && i.key != "":
		x = append(x, &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Lookup{SourceRegister: 1, SetName: outside.Name, SetID: outside.ID})
	}
	// Only what is for this machine: what passes through is somebody else's.
	x = append(x, &expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}, equal(binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)))
	if i.from.IsValid() {
		x = append(x, source(i.from)...)
	}
	proto := byte(unix.IPPROTO_TCP)
	if i.udp {
		proto = unix.IPPROTO_UDP
	}
	x = append(x, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{proto}))
	if i.first != 0 {
		x = append(x, &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}) // both protocols have it there
		if i.first == i.last {
			x = append(x, equal(port(i.first)))
		} else {
			x = append(x, &expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: port(i.first)}, &expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: port(i.last)})
		}
	}
	if !i.to.IsValid() {
		return append(x, &expr.Verdict{Kind: expr.VerdictReturn})
	}
	x = append(x, &expr.Immediate{Register: 1, Data: i.to.AsSlice()})
	to := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}
	if i.port != 0 {
		x = append(x, &expr.Immediate{Register: 2, Data: port(i.port)})
		to.RegProtoMin, to.Specified = 2, true
	}
	return append(x, to)
}

// source compares where a packet comes from (RFC 791 §3.1).
func source(from netip.Prefix) []expr.Any {
	x := []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}}
	if bits := from.Bits(); bits < 32 {
		mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - bits))
		x = append(x, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)})
	}
	return append(x, equal(from.Addr().AsSlice()))
}

func equal(data []byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func port(n uint16) []byte { return binaryutil.BigEndian.PutUint16(n) }

// linkName is the name of a link as the kernel compares it.
func linkName(name string) []byte {
	b := make([]byte, maxLink+1)
	copy(b, name)
	return b
}

// comment notes the key of a row with its rule, where `nft list` shows it.
func comment(key string) []byte {
	if key == "" {
		return nil
	}
	return userdata.AppendString(nil, userdata.TypeComment, key)
}

// present implements kernel.
func (n nftables) present() (keys []string, err error) {
	c, err := n.open()
	if err != nil {
		return nil, err
	}
	t, err := find(c)
	if t == nil || err != nil {
		return nil, err
	}
	for _, chain := range []string{"prerouting", "postrouting"} {
		rules, err := c.GetRules(t, &nft.Chain{Name: chain, Table: t})
		if errors.Is(err, unix.ENOENT) { // somebody has taken it away meanwhile
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if key, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}
