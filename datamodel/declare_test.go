package datamodel

// Declarations that are malformed, rows as text, and everybody at once.

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/store/storetest"
)

func TestMalformedDeclarations(t *testing.T) {
	type row struct {
		v string
		b bool
		p *int
		a Alias
	}
	_ = row{}.p
	v := Param[row]{Name: "V", At: func(r *row) any { return &r.v }}
	rw := Param[row]{Name: "V", At: func(r *row) any { return &r.v }, Access: ReadWrite}
	rows := func(context.Context, []Key) iter.Seq2[Row[row], error] { return nil }
	stage := func(context.Context, *Tx, []Key, Change[row]) error { return nil }
	fresh := func(context.Context, []Key) (Key, *row, error) { return "", &row{}, nil }
	same := func(*row) {}
	for _, tt := range []struct {
		path   string
		params []Param[row]
		src    Source[row]
		want   string
	}{
		{"Device.A.", nil, Source[row]{}, "no Rows"},
		{"InternetGatewayDevice.A.", nil, Source[row]{Rows: rows}, "begins with no"},
		{"Device.A", nil, Source[row]{Rows: rows}, "ends with no dot"},
		{"Device.{i}.", nil, Source[row]{Rows: rows}, "misplaced"},
		{"Device.A.{i}.{i}.", nil, Source[row]{Rows: rows}, "misplaced"},
		{"Device.A..B.", nil, Source[row]{Rows: rows}, "has a part"},
		{"Device.A.", []Param[row]{v, v}, Source[row]{Rows: rows}, "declared twice"},
		{"Device.A.", []Param[row]{{Name: "V ", At: v.At}}, Source[row]{Rows: rows}, "misspelt"},
		{"Device.A.", []Param[row]{{Name: "V", At: func(r *row) any { return r.v }}}, Source[row]{Rows: rows}, "no pointer"},
		{"Device.A.", []Param[row]{rw}, Source[row]{Rows: rows}, "no Stage"},
		{"Device.A.", []Param[row]{rw}, Source[row]{Rows: rows, Stage: stage}, "no Clone"},
		{"Device.A.{i}.", []Param[row]{v}, Source[row]{Rows: rows, New: fresh}, "no Stage"},
		{"Device.A.", []Param[row]{v}, Source[row]{Rows: rows, Without: []string{"W"}}, "not declared"},
		{"Device.A.", []Param[row]{v}, Source[row]{Rows: rows, ReadOnly: []string{"S."}}, "not declared"},
		{"Device.A.{i}.", []Param[row]{v}, Source[row]{Rows: rows, Unique: [][]string{{"W"}}}, "not declared"},
		{"Device.A.", []Param[row]{{Name: "Alias", At: func(r *row) any { return &r.a }}}, Source[row]{Rows: rows}, "belongs to a table"},
		{"Device.A.", []Param[row]{{Name: "S.A", At: v.At}, v, {Name: "S.B", At: v.At}}, Source[row]{Rows: rows}, "stands apart"},
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, tt.want) {
					t.Errorf("%s: %q, want %q", tt.path, got, tt.want)
				}
			}()
			Define(tt.path, tt.params, tt.src).Writable()
		}()
	}
	o := Define("Device.A.{i}.", []Param[row]{rw, {Name: "S.B", At: func(r *row) any { return &r.b }, Access: ReadWrite}, {Name: "S.C", At: v.At}},
		Source[row]{Rows: rows, New: fresh, Stage: stage, Clone: same, Without: []string{"S.C"}, ReadOnly: []string{"S."}, Rename: "Count"})
	var got []string
	for p := range o.Params() {
		got = append(got, p.Path+" "+p.Type.String())
		if p.Writable != (p.Path == "Device.A.{i}.V") {
			t.Errorf("%+v", p)
		}
	}
	equal(t, "parameters", got, []string{"Device.A.{i}.V string", "Device.A.{i}.S.B boolean"})
	if !o.Writable() || o.Extends() || o.Count() != "Count" || o.Path() != "Device.A.{i}." {
		t.Errorf("%v %v %q", o.Writable(), o.Extends(), o.Count())
	}
}

func TestFillAndText(t *testing.T) {
	when := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	type row struct {
		s    string
		n    uint32
		when time.Time
		hex  []byte
		ref  Ref
		refs []Ref
	}
	params := []Param[row]{
		{Name: "S", At: func(r *row) any { return &r.s }, Check: Written{Read: Enum{"A", "B"}, Write: Enum{"B"}}},
		{Name: "N", At: func(r *row) any { return &r.n }, Check: Range{1, 5}},
		{Name: "When", At: func(r *row) any { return &r.when }},
		{Name: "Hex", At: func(r *row) any { return &r.hex }, Check: All{Hex{}, Len{Max: 2}}},
		{Name: "Ref", At: func(r *row) any { return &r.ref }},
		{Name: "Refs", At: func(r *row) any { return &r.refs }},
	}
	a := row{"A", 3, when, []byte{0xab}, Ref{"Device.A.{i}.", []Key{"x y"}}, []Ref{{"Device.B.", nil}, {"Device.A.{i}.B.{i}.", []Key{"1,2", "\n"}}}}
	texts := map[string]string{}
	for _, p := range params {
		texts[p.Name] = Text(params, &a, p.Name)
	}
	if texts["Ref"] != `Device.A.{i}. "x y"` || texts["Hex"] != "AB" || texts["When"] != "2026-11-22T01:02:03Z" || Text(params, &a, "Nope") != "" {
		t.Errorf("%q", texts)
	}
	var b row
	if err := Fill(params, &b, func(n string) (string, bool) { s, ok := texts[n]; return s, ok }); err != nil {
		t.Fatal(err)
	}
	for _, p := range params {
		if got := Text(params, &b, p.Name); got != texts[p.Name] {
			t.Errorf("%s: %q, then %q", p.Name, texts[p.Name], got)
		}
	}
	for name, bad := range map[string]string{"S": "C", "N": "6", "When": "yesterday", "Hex": "ABCDEF", "Ref": "nowhere", "Refs": "Device.A.{i}."} {
		c := b
		err := Fill(params, &c, func(n string) (string, bool) {
			if n == name {
				return bad, true
			}
			return "4", n == "N"
		})
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Name != name || !errors.Is(err, ErrValue) {
			t.Errorf("%s=%q: %v", name, bad, err)
		}
		if Text(params, &c, name) != texts[name] || name != "N" && c.n != 4 {
			t.Errorf("%s=%q: left %+v", name, bad, c)
		}
	}
}

func TestKeptFile(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	a := add(t, tree, "Device.Rule.", "Label", "two\nlines", "Port", "Device.Port.2")
	key := r.rules.rows[0].at[0]
	want := "row " + key + "\n  Enable false\n  ExternalPort 0\n  Protocol TCP\n  Port \"Device.Port.{i}. eth0\"\n  Label \"two\\nlines\"\n"
	if r.rulesFile.Text() != want {
		t.Errorf("the file:\n%s\nwant\n%s", r.rulesFile.Text(), want)
	}
	old := []byte(r.rulesFile.Text())
	if err := set(t, tree, a.Path+"Label", "changed"); err != nil {
		t.Fatal(err)
	}
	if err := r.rules.Recover(t.Context(), old); err != nil || get(t, tree, a.Path+"Label") != "two\nlines" {
		t.Errorf("recovered: %v, %q", err, get(t, tree, a.Path+"Label"))
	}
	r.rules.Max = 1
	tx := begin(t, tree)
	if _, err := tx.Add(t.Context(), "Device.Rule."); !errors.Is(err, ErrResources) {
		t.Errorf("a full table: %v", err)
	}
	tx.Abort()
	file := &storetest.File{}
	file.Write("  Label x\nrow \"\n  Label y\nrow k1\n  Label z\n  Nope 1\n  ExternalPort 70000\n  Enable\nrow\n  Label w\n")
	damaged := NewKept("rules", ruleParams, file)
	rows := 0
	for r, err := range damaged.Rows(t.Context(), nil) {
		if rows++; err != nil || r.Key != "k1" || r.Value.label != "z" || r.Value.external != 0 {
			t.Errorf("a damaged file: %+v, %v", r, err)
		}
	}
	if rows != 1 {
		t.Errorf("%d rows of a damaged file", rows)
	}
	var u *Unavailable
	if _, err := NewKept("rules", ruleParams, broken{}).all(); !errors.As(err, &u) {
		t.Errorf("a file that cannot be read: %v", err)
	}
	if _, err := NewKept[rule]("rules", ruleParams, &storetest.File{}).Load(t.Context(), []Key{"x"}); !errors.Is(err, ErrGone) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such row: %v", err)
	}
}

func FuzzKept(f *testing.F) {
	f.Add([]byte("row k1\n  Label \"x y\"\n  Port \"Device.Port.{i}. eth0\"\nrow a b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k := NewKept("rules", ruleParams, nil)
		once := k.text(k.parse(text))
		if twice := k.text(k.parse(once)); string(twice) != string(once) {
			t.Fatalf("first\n%s\nthen\n%s", once, twice)
		}
	})
}

func TestSecretsStayInside(t *testing.T) {
	tree := newRouter().tree(t)
	rd := tree.Reader(ReadOptions{Secrets: true})
	equal(t, "for ourselves", values(t, rd, "Device.Box.Password"), []string{"Device.Box.Password=secret"})
	err := set(t, tree, "Device.Box.Password", "hunter2\xff")
	if !errors.Is(err, ErrValue) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// A row whose key is that of one deleted in the same transaction is another
// row.
func TestDeleteAndAddTheSameKey(t *testing.T) {
	for _, fail := range []error{nil, errors.New("no")} {
		r := newRouter()
		tree := r.tree(t)
		values(t, tree.Reader(ReadOptions{}), "")
		r.commitErr = fail
		tx := begin(t, tree)
		if err := tx.Delete(t.Context(), "Device.Port.2.Address.1."); err != nil {
			t.Fatal(err)
		}
		a, err := tx.Add(t.Context(), "Device.Port.2.Address.")
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Set(t.Context(), assign(a.Path+"IPAddress", "192.0.2.1")...); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Commit(t.Context()); !errors.Is(err, fail) {
			t.Fatal(err)
		}
		want := []string{"Device.Port.2.Address.2.IPAddress=192.0.2.2", "Device.Port.2.Address.3.IPAddress=192.0.2.1"}
		if fail != nil {
			want = []string{"Device.Port.2.Address.1.IPAddress=192.0.2.1", "Device.Port.2.Address.2.IPAddress=192.0.2.2"}
		}
		equal(t, "numbers", values(t, tree.Reader(ReadOptions{}), "Device.Port.*.Address.*.IPAddress"), want)
	}
}

func TestAbortRollsBackWhatWasEnlisted(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	tx := begin(t, tree)
	r.enlist(tx)
	tx.Abort()
	equal(t, "log", r.log, []string{"rollback"})
}

// Readers, a writer and a vendor who comes and goes: for the race detector.
func TestTogether(t *testing.T) {
	r := newRouter()
	for _, k := range r.order { // no knob is turned, no row changed by hand
		r.ports[k] = port{name: k, mtu: 1500}
	}
	tree, err := New(Options{Numbers: r.numbers})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add(Define("Device.Rule.{i}.", ruleParams, Source[rule]{Rows: r.rules.Rows, Load: r.rules.Load, New: r.rules.New, Stage: r.rules.Stage})); err != nil {
		t.Fatal(err)
	}
	island := Define("Device.X_ACME_A.{i}.", addrParams[1:], Source[addr]{Volatile: true, Rows: func(context.Context, []Key) iter.Seq2[Row[addr], error] {
		return func(yield func(Row[addr], error) bool) { yield(Row[addr]{"k", &addr{}}, nil) }
	}})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 100 {
				for _, err := range tree.Values(t.Context(), "") {
					if err != nil {
						t.Error(err)
					}
				}
				if err := tree.Sync(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			remove, err := tree.Add(island)
			if err != nil {
				t.Error(err)
				return
			}
			remove()
		}
	})
	for range 30 {
		a := add(t, tree, "Device.Rule.", "Label", "x")
		tx := begin(t, tree)
		if err := tx.Delete(t.Context(), a.Path); err != nil {
			t.Error(err)
		}
		if _, err := tx.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if a := add(t, tree, "Device.Rule."); a.Number != 31 {
		t.Errorf("number %d", a.Number)
	}
}
