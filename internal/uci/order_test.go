package uci

import (
	"slices"
	"testing"
)

// TestOrder: sections change places, others keep theirs; the change is told, and
// taken back as often as somebody likes, with what else has changed since.
func TestOrder(t *testing.T) {
	const before = "# of somebody\n\nconfig pool 'a'\n\toption n '1'\n\nconfig other\n\nconfig pool 'b'\n\nconfig pool 'c'\n\toption n '3'\n"
	d := files(t, map[string]string{"dhcp": before})
	c := d.Begin()
	p, err := c.Package(t.Context(), "dhcp")
	if err != nil {
		t.Fatal(err)
	}
	p.Order(p.Section("c"), p.Section("a"), p.Section("b"))
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, d := range c.Deltas() {
		told = append(told, d.Section.Name+": "+d.Old.Value()+", "+d.New.Value())
	}
	if want := []string{"a: place 1, place 3", "b: place 3, place 4", "c: place 4, place 1"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	undo := c.Undo()
	if err := c.Commit(); err != nil {
		t.Fatal(err)
	}
	names := func() (all []string) {
		t.Helper()
		p, err := d.Read("dhcp")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Sections {
			all = append(all, s.givenName()+s.Get("n"))
		}
		return all
	}
	if got, want := names(), []string{"c3", "", "a1", "b"}; !slices.Equal(got, want) {
		t.Errorf("now %q, want %q", got, want)
	}
	// Meanwhile b has gone, and d has come.
	if err := change(t.Context(), d, "dhcp", func(p *Package) error {
		p.Delete(p.Section("b"))
		_, err := p.Add("pool", "d")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := d.Undo(t.Context(), undo); err != nil {
			t.Fatal(err)
		}
		if got, want := names(), []string{"a1", "", "c3", "d"}; !slices.Equal(got, want) {
			t.Errorf("taken back it is %q, want %q", got, want)
		}
	}
}

// TestOrderRecord: a line of a record that is damaged changes nothing.
func TestOrderRecord(t *testing.T) {
	d := files(t, map[string]string{"dhcp": "config pool 'a'\n\nconfig pool 'b'\n"})
	before := text(t, d, "dhcp")
	for line, good := range map[string]bool{"order a": false, `order "a`: false, `order "a" "a" "nobody"`: true} {
		if _, err := d.Undo(t.Context(), []byte("package \"dhcp\"\n"+line+"\n")); (err == nil) != good {
			t.Errorf("%s: %v", line, err)
		}
		if now := text(t, d, "dhcp"); now != before {
			t.Errorf("%s: %s", line, now)
		}
	}
}
