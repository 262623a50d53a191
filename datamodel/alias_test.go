package datamodel

// Aliases: unique, swapped, made on the fly.

import (
	"errors"
	"testing"
)

func TestAliases(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	if err := set(t, tree, "Device.Port.1.Alias", "a", "Device.Port.2.Alias", "b"); err != nil {
		t.Fatal(err)
	}
	wants(t, set(t, tree, "Device.Port.3.Alias", "a"), map[string]error{"Device.Port.3.Alias": ErrValue})
	wants(t, set(t, tree, "Device.Port.1.Alias", "cpe-3"), map[string]error{"Device.Port.1.Alias": ErrValue})
	if err := set(t, tree, "Device.Port.1.Alias", "b", "Device.Port.2.Alias", "a"); err != nil {
		t.Errorf("a swap: %v", err)
	}
	equal(t, "swapped", values(t, tree.Reader(ReadOptions{}), "Device.Port.*.Alias"), []string{"Device.Port.1.Alias=b", "Device.Port.2.Alias=a", "Device.Port.3.Alias=cpe-3"})
	if err := set(t, tree, "Device.Port.2.Alias", "cpe-2"); err != nil {
		t.Errorf("back to the default: %v", err)
	}
	r.prepareErr = nil
	r.commitErr = errors.New("no")
	if err := set(t, tree, "Device.Port.3.Alias", "z", "Device.Port.3.MTU", "1400"); err == nil {
		t.Error("no error")
	}
	if got := get(t, tree, "Device.Port.3.Alias"); got != "cpe-3" {
		t.Errorf("rolled back to %s", got)
	}
}

func TestAutoCreate(t *testing.T) {
	tree := newRouter().tree(t)
	if err := set(t, tree, "Device.Rule.[web].Label", "x"); !errors.Is(err, ErrNoName) {
		t.Errorf("without AutoCreate: %v", err)
	}
	tx := begin(t, tree)
	defer tx.Abort()
	tx.AutoCreate = true
	if err := tx.Set(t.Context(), assign("Device.Rule.[web].Label", "x", "Device.Rule.[web].ExternalPort", "8", "Device.Rule.[ssh].Label", "y")...); err != nil {
		t.Fatal(err)
	}
	wants(t, tx.Set(t.Context(), assign("Device.Port.[new].MTU", "1500")...), map[string]error{"Device.Port.[new].MTU": ErrDenied})
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "made", values(t, tree.Reader(ReadOptions{Aliases: true}), "Device.Rule.*.Label"), []string{"Device.Rule.[web].Label=x", "Device.Rule.[ssh].Label=y"})
}
