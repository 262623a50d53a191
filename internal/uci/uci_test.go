package uci

import (
	"encoding/json"
	"os"
	"testing"
)

// The vectors hold input files and what libuci's "uci export" printed for each,
// null where it refused the file.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		In     string
		Export *string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 400 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for i, v := range vectors {
		p, err := Parse("t", []byte(v.In))
		switch {
		case err != nil && v.Export != nil:
			t.Errorf("%d: refused: %v\n%s", i, err, v.In)
		case err == nil && v.Export == nil:
			t.Errorf("%d: libuci refuses this\n%q", i, v.In)
		case err == nil && string(p.Export(true)) != *v.Export:
			t.Errorf("%d: %q\ngives %q\nwant  %q", i, v.In, p.Export(true), *v.Export)
		}
	}
}
