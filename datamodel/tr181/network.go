// Writing to the network: one batch per transaction, enlisted together with
// the tables of rows that we keep (those survive a reboot; the kernel's do not).

package tr181

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// undoNetwork names the network's entries in the journal.
const undoNetwork = "network"

// A change is one change of the network, in a form that the journal can keep.
type change struct {
	Address *platform.Address `json:",omitempty"`
	Route   *platform.Route   `json:",omitempty"`
	Link    string            `json:",omitempty"`
	Enabled *bool             `json:",omitempty"`
	MTU     uint32            `json:",omitempty"`
	IPv6    *bool             `json:",omitempty"`
	Delete  bool              `json:",omitempty"` // the Address or Route goes
}

// put asks a batch for the change.
func (c change) put(b platform.NetworkBatch) (item int) {
	switch {
	case c.Address != nil && c.Delete:
		return b.DeleteAddress(*c.Address)
	case c.Address != nil:
		return b.AddAddress(*c.Address)
	case c.Route != nil && c.Delete:
		return b.DeleteRoute(*c.Route)
	case c.Route != nil:
		return b.AddRoute(*c.Route)
	case c.Enabled != nil:
		return b.SetLink(c.Link, *c.Enabled)
	case c.IPv6 != nil:
		return b.SetIPv6(c.Link, *c.IPv6)
	}
	return b.SetMTU(c.Link, c.MTU)
}

// networkBatch is a batch of the platform as a participant: it knows which
// parameter to blame for each change, and how to undo them after a crash.
type networkBatch struct {
	platform.NetworkBatch
	m     *Model
	steps []step
	blame map[int]string // item: path of the parameter
	out   wayOut
}

// network returns the batch of the transaction.
func (m *Model) network(ctx context.Context, tx *datamodel.Tx) (*networkBatch, error) {
	return datamodel.Enlist(tx, undoNetwork, func() (*networkBatch, error) {
		b, err := m.p.Network.Begin(ctx)
		if err != nil {
			return nil, lacking(err)
		}
		return &networkBatch{NetworkBatch: b, m: m, blame: map[int]string{}}, nil
	})
}

// ask notes what a row asks for.
func (b *networkBatch) ask(s step) { b.steps = append(b.steps, s) }

// Prepare fills the batch, and asks the platform whether it could.
func (b *networkBatch) Prepare(ctx context.Context) error {
	b.steps = settle(b.steps)
	b.out = b.m.wayOut(ctx)
	for _, s := range b.steps {
		b.blame[s.do.put(b.NetworkBatch)] = s.path
	}
	return blamed(b.NetworkBatch.Prepare(ctx), b.blame)
}

// Commit makes the changes.
func (b *networkBatch) Commit(ctx context.Context) (deferred bool, err error) {
	deferred, err = b.NetworkBatch.Commit(ctx)
	return deferred, blamed(err, b.blame)
}

// Undo is what the journal keeps: the opposite changes, last first.
func (b *networkBatch) Undo() (name string, data []byte) {
	back := make([]change, 0, len(b.steps))
	for _, s := range slices.Backward(b.steps) {
		back = append(back, s.undo)
	}
	data, err := json.Marshal(back)
	if err != nil { // cannot be: all of change has a text
		return undoNetwork, nil
	}
	return undoNetwork, data
}

// blamed turns the blame of an item into that of the parameter that asked for
// it.
func blamed(err error, blame map[int]string) error {
	var item *platform.ItemError
	if !errors.As(err, &item) {
		return lacking(err)
	}
	reason := lacking(item.Err)
	var un *datamodel.Unavailable
	switch {
	case errors.As(reason, &un):
	case errors.Is(item.Err, platform.ErrUnsupported), errors.Is(item.Err, platform.ErrGone):
		reason = fmt.Errorf("%w: %v", datamodel.ErrDenied, item.Err)
	default:
		reason = fmt.Errorf("%w: %w", datamodel.ErrValue, item.Err)
	}
	return &datamodel.ParamError{Path: blame[item.Item], Err: reason}
}

// undoNetwork undoes what a crash left half done. Each change goes by itself:
// those that never came to be have nothing to undo.
func (m *Model) undoNetwork(ctx context.Context, data []byte) error {
	var back []change
	if err := json.Unmarshal(data, &back); err != nil {
		return fmt.Errorf("journal of the network: %w", err)
	}
	for _, c := range back {
		if err := m.apply(ctx, c); err != nil && !isItem(err) {
			return err
		}
	}
	return nil
}

// apply makes changes in a batch of their own.
func (m *Model) apply(ctx context.Context, cs ...change) error {
	b, err := m.p.Network.Begin(ctx)
	if err != nil {
		return err
	}
	for _, c := range cs {
		c.put(b)
	}
	if err := b.Prepare(ctx); err != nil {
		return errors.Join(err, b.Rollback(context.WithoutCancel(ctx)))
	}
	if _, err := b.Commit(ctx); err != nil {
		return errors.Join(err, b.Rollback(context.WithoutCancel(ctx)))
	}
	return nil
}

func isItem(err error) bool {
	var item *platform.ItemError
	return errors.As(err, &item)
}

// A linkSetting is what an ACS wrote of a link, to be put back when the link
// comes back. Zero values were never written.
type linkSetting struct {
	enable string // "true", "false", ""
	mtu    uint32 // bytes; 0
	ipv6   string // as enable
}

var linkSettingParams = []datamodel.Param[linkSetting]{
	{Name: "Enable", At: func(s *linkSetting) any { return &s.enable }, Access: datamodel.ReadWrite},
	{Name: "MaxMTUSize", At: func(s *linkSetting) any { return &s.mtu }, Access: datamodel.ReadWrite},
	{Name: "IPv6Enable", At: func(s *linkSetting) any { return &s.ipv6 }, Access: datamodel.ReadWrite},
}

// A linkChange is what is to be changed of a link; nil means left alone.
type linkChange struct {
	enable *bool
	mtu    *uint32
	ipv6   *bool
	has6   bool // what ipv6 changes
}

// stageLink enlists a change of the link called name.
func (m *Model) stageLink(ctx context.Context, tx *datamodel.Tx, name string, want linkChange) error {
	l, links, err := m.linkNamed(ctx, name)
	if err != nil {
		return err
	}
	if err := m.keepLink(ctx, tx, name, want); err != nil {
		return err
	}
	b, err := m.network(ctx, tx)
	if err != nil {
		return err
	}
	// What two objects say alike of one link is asked for twice, which harms nothing.
	depth := links.depth(l)
	if want.mtu != nil && *want.mtu != l.MTU {
		b.ask(step{do: change{Link: name, MTU: *want.mtu}, undo: change{Link: name, MTU: l.MTU}, path: tx.Path("MaxMTUSize"), depth: depth})
	}
	if want.ipv6 != nil && *want.ipv6 != want.has6 {
		b.ask(step{do: change{Link: name, IPv6: want.ipv6}, undo: change{Link: name, IPv6: &want.has6}, path: tx.Path("IPv6Enable"), depth: depth})
	}
	if want.enable != nil && *want.enable != l.Enabled {
		b.ask(step{do: change{Link: name, Enabled: want.enable}, undo: change{Link: name, Enabled: &l.Enabled}, path: tx.Path("Enable"), depth: depth})
	}
	return nil
}

// linkEdits collects what one transaction changes of links, so that two
// objects of one link (IP.Interface, Ethernet.Interface) neither overwrite each
// other's half of the kept row nor contradict each other unheard.
type linkEdits struct {
	kept   map[string]linkSetting
	enable map[string]bool
}

// Prepare, Commit and Rollback make it a participant that does nothing: it
// lives as long as the transaction.
func (*linkEdits) Prepare(context.Context) error        { return nil }
func (*linkEdits) Commit(context.Context) (bool, error) { return false, nil }
func (*linkEdits) Rollback(context.Context) error       { return nil }

var errContradiction = errors.New("another parameter of the same request says the opposite of this link")

func (m *Model) keepLink(ctx context.Context, tx *datamodel.Tx, name string, want linkChange) error {
	edits, err := datamodel.Enlist(tx, "link edits", func() (*linkEdits, error) {
		return &linkEdits{map[string]linkSetting{}, map[string]bool{}}, nil
	})
	if err != nil {
		return err
	}
	at := []datamodel.Key{name}
	s, have := edits.kept[name]
	if !have {
		kept, err := m.links.Load(ctx, at)
		if err != nil && !errors.Is(err, datamodel.ErrGone) {
			return err
		}
		if have = err == nil; have {
			s = *kept
		}
	}
	c := datamodel.Change[linkSetting]{New: &s}
	if was := s; have {
		c.Old = &was
	}
	if want.enable != nil {
		if said, ok := edits.enable[name]; ok && said != *want.enable {
			return &datamodel.FieldError{Name: "Enable", Err: errContradiction}
		}
		edits.enable[name] = *want.enable
		s.enable = strconv.FormatBool(*want.enable)
	}
	if want.mtu != nil {
		s.mtu = *want.mtu
	}
	if want.ipv6 != nil {
		s.ipv6 = strconv.FormatBool(*want.ipv6)
	}
	edits.kept[name] = s
	return m.links.Stage(ctx, tx, at, c)
}
