package bus

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"gatehouse/datamodel"
)

func testDoor(t testing.TB) *Door {
	t.Helper()
	tree, err := datamodel.New(datamodel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	type none struct{ A string }
	params := []datamodel.Param[none]{{Name: "A", At: func(n *none) any { return &n.A }}}
	src := datamodel.Source[none]{Rows: datamodel.One(func(context.Context, []datamodel.Key) (none, error) { return none{}, nil })}
	if _, err := tree.Add(datamodel.Define("Device.", params, src), datamodel.Define("Device.T.{i}.", params, src)); err != nil {
		t.Fatal(err)
	}
	d := &Door{cfg: Config{Tree: tree, Topics: 1}}
	d.vendors.init(d)
	return d
}

// FuzzSchema: whatever a vendor declares, the engine, which panics at a
// malformed declaration, is not handed one.
func FuzzSchema(f *testing.F) {
	f.Add("Device.X_ACME_Led.{i}.", `[["","object",{"Add":true,"Unique":["A"]}],["A","string",{"MaxLength":3}],["B.C","int",{"Min":1,"Max":2,"Default":1}],["Z.{i}.Q","list",{"Enum":["a"]}]]`)
	f.Add("Device.T.{i}.X_ACME_", `[["A","alias",{}],["B","boolean",{"Access":"command","Notify":"forced"}],["A.B","dateTime",{}],["-","hexBinary",{"MaxLength":-1}]]`)
	f.Add("Device.X_A_B", `[["","base64Binary",{"Hidden":true}],[".","object",{}],["{i}.","object",{}],["é","string",{}]]`)
	f.Fuzz(func(t *testing.T, prefix, text string) {
		var list [][]any
		if json.Unmarshal([]byte(text), &list) != nil {
			return
		}
		for _, e := range list {
			if len(e) != 3 {
				return
			}
			attrs := map[string]dbus.Variant{}
			raw, _ := e[2].(map[string]any)
			for k, v := range raw {
				switch v := v.(type) {
				case float64:
					attrs[k] = dbus.MakeVariant(int64(v))
				case []any:
					texts := []string{}
					for _, s := range v {
						text, _ := s.(string)
						texts = append(texts, text)
					}
					attrs[k] = dbus.MakeVariant(texts)
				case string, bool:
					attrs[k] = dbus.MakeVariant(v)
				}
			}
			e[2] = attrs
		}
		d := testDoor(t)
		v := newVendor(d, ":1.1")
		objs, err := d.build(&registration{v: v, prefix: prefix, topic: 1}, list)
		if err != nil {
			return
		}
		for _, o := range objs {
			if !strings.Contains(o.Path()+prefix, "X_") {
				t.Errorf("%s was made of %s", o.Path(), prefix)
			}
		}
		if remove, err := d.cfg.Tree.Add(objs...); err == nil {
			remove()
		}
	})
}

func TestSameTemplate(t *testing.T) {
	for _, tt := range []struct {
		template, path string
		want           bool
	}{
		{"Device.A.{i}.B", "Device.A.3.B", true},
		{"Device.A.{i}.B", "Device.A.[x].B", true},
		{"Device.A.{i}.B", "Device.A.3.C", false},
		{"Device.A.{i}.B", "Device.A.3.B.C", false},
	} {
		if sameTemplate(tt.template, tt.path) != tt.want {
			t.Error(tt)
		}
	}
}
