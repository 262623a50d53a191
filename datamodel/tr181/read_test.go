package tr181_test

import (
	"testing"
)

func TestWholeTree(t *testing.T) {
	h := build(t)
	for item, err := range h.tree.Values(t.Context(), "Device.") {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(item.Name, "=", item.Value)
	}
}
