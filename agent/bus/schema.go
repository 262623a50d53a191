package bus

// Schemas: from what a vendor declares to objects of the tree. All of it comes
// from outside, so that all of it is checked before the engine, which panics at
// a malformed declaration, sees it.

import (
	"math"
	"slices"
	"strings"

	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
	"gatehouse/datamodel"
)

const (
	maxEntries = 512 // parameters and objects of one registration
	maxName    = 256
	maxEnum    = 256
)

// A row is a row of any schema: a pointer for each parameter, made when it is
// asked for.
type row struct{ cells []any }

// A shape is one object of a registration: a table of its own, or parameters
// on somebody else's rows.
type shape struct {
	reg      *registration
	path     string // template
	extends  bool   // somebody else's rows
	types    []string
	params   []datamodel.Param[row]
	defaults map[string]string
	add      bool
	volatile bool
	unique   [][]string
}

var cellTypes = map[string]func() any{
	"string":       func() any { return new(string) },
	"boolean":      func() any { return new(bool) },
	"int":          func() any { return new(int32) },
	"unsignedInt":  func() any { return new(uint32) },
	"long":         func() any { return new(int64) },
	"unsignedLong": func() any { return new(uint64) },
	"dateTime":     func() any { return new(time.Time) },
	"base64Binary": func() any { return new([]byte) },
	"hexBinary":    func() any { return new([]byte) },
	"list":         func() any { return new([]string) },
	"alias":        func() any { return new(datamodel.Alias) },
}

// at returns the cell of a parameter.
func (r *row) at(i, n int, typ func() any) any {
	if r.cells == nil {
		r.cells = make([]any, n)
	}
	if r.cells[i] == nil {
		r.cells[i] = typ()
	}
	return r.cells[i]
}

// clone copies what the cells point to.
func clone(r *row) {
	r.cells = slices.Clone(r.cells)
	for i, p := range r.cells {
		switch p := p.(type) {
		case *string:
			r.cells[i] = copied(*p)
		case *bool:
			r.cells[i] = copied(*p)
		case *int32:
			r.cells[i] = copied(*p)
		case *uint32:
			r.cells[i] = copied(*p)
		case *int64:
			r.cells[i] = copied(*p)
		case *uint64:
			r.cells[i] = copied(*p)
		case *time.Time:
			r.cells[i] = copied(*p)
		case *[]byte:
			r.cells[i] = copied(slices.Clone(*p))
		case *[]string:
			r.cells[i] = copied(slices.Clone(*p))
		case *datamodel.Alias:
			r.cells[i] = copied(*p)
		}
	}
}

func copied[T any](v T) *T { return &v }

// build makes the objects of a registration from a schema, a(ssa{sv}).
func (d *Door) build(reg *registration, schema any) ([]datamodel.Object, error) {
	base, err := d.base(reg.prefix)
	if err != nil { // the tree has changed since it was looked at
		return nil, err
	}
	entries, _ := schema.([][]any)
	if len(entries) == 0 || len(entries) > maxEntries {
		return nil, refuse(api.InvalidArguments, reg.prefix, "a schema has 1 to %d entries, not %d", maxEntries, len(entries))
	}
	b := builder{reg: reg, base: base, shapes: map[string]*shape{}}
	for _, e := range entries {
		name, _ := e[0].(string)
		typ, _ := e[1].(string)
		attrs, _ := e[2].(map[string]dbus.Variant)
		if err := b.entry(name, typ, attrs); err != nil {
			return nil, err
		}
	}
	return b.objects()
}

// base returns the object of the standard that a prefix extends. What follows
// must be a name that only this vendor can mean: X_VENDOR_… (TR-106 3.3).
func (d *Door) base(prefix string) (string, error) {
	base := ""
	for o := range d.cfg.Tree.Objects() {
		if p := o.Path(); strings.HasPrefix(prefix, p) && len(p) > len(base) && !strings.Contains(p, "X_") {
			base = p
		}
	}
	rest := prefix[len(base):]
	switch {
	case len(prefix) > maxName:
		return "", refuse(api.InvalidName, prefix[:maxName], "is too long")
	case base == "":
		return "", refuse(api.InvalidName, prefix, "a prefix begins with %s", datamodel.Root)
	case !vendorName(rest):
		return "", refuse(api.InvalidName, prefix, "what you add to %s must be called X_VENDOR_…, VENDOR being an OUI or the name of a company", base)
	}
	return base, nil
}

// vendorName reports whether name begins with X_VENDOR_.
func vendorName(name string) bool {
	rest, ok := strings.CutPrefix(name, "X_")
	vendor, _, more := strings.Cut(rest, "_")
	return ok && more && vendor != "" && !strings.ContainsFunc(vendor, func(r rune) bool { return !alnum(r) && r != '-' })
}

func alnum(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// A builder gathers entries into shapes.
type builder struct {
	reg    *registration
	base   string
	shapes map[string]*shape // by path
	order  []*shape
}

func (b *builder) refuse(name, format string, args ...any) error {
	return refuse(api.InvalidArguments, b.reg.prefix+name, format, args...)
}

// entry takes one entry; name counts from the prefix.
func (b *builder) entry(name, typ string, attrs map[string]dbus.Variant) error {
	full := b.reg.prefix + name
	if len(full) > maxName || !validNames(full[len(b.base):]) {
		return b.refuse(name, "is no name")
	}
	at := strings.LastIndex(full, "{i}.") + len("{i}.")
	path := b.base
	if at > len(b.base) {
		path = full[:at]
	}
	s := b.shape(path)
	if strings.HasSuffix(full, ".") {
		if typ != "object" || s.extends || full != path {
			return b.refuse(name, "is no table of yours: only such an entry ends in a dot, and its type is object")
		}
		return b.table(s, name, attrs)
	}
	return b.param(s, name, full[len(path):], typ, attrs)
}

func (b *builder) shape(path string) *shape {
	s := b.shapes[path]
	if s == nil {
		s = &shape{reg: b.reg, path: path, extends: path == b.base, defaults: map[string]string{}}
		b.shapes[path] = s
		b.order = append(b.order, s)
	}
	return s
}

// validNames checks the names and {i} after the base.
func validNames(rest string) bool {
	last := "{i}"
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, "."), ".") {
		switch {
		case part == "{i}":
			if last == "{i}" {
				return false
			}
		case part == "" || !alpha(rune(part[0])) || strings.HasSuffix(part, "_") || strings.ContainsFunc(part, func(r rune) bool { return !alnum(r) && r != '_' && r != '-' }):
			return false
		}
		last = part
	}
	return strings.HasSuffix(rest, ".") == (last == "{i}")
}

func alpha(r rune) bool { return alnum(r) && (r < '0' || r > '9') || r == '_' }

// table takes what is said of a table as a whole.
func (b *builder) table(s *shape, name string, attrs map[string]dbus.Variant) error {
	_, err := options(dbusMap(attrs), "Add", "Volatile", "Unique")
	if err != nil {
		return err
	}
	if s.add, err = option(attrs, "Add", false); err != nil {
		return err
	}
	if s.volatile, err = option(attrs, "Volatile", false); err != nil {
		return err
	}
	keys, err := option(attrs, "Unique", []string(nil))
	for _, k := range keys {
		s.unique = append(s.unique, strings.Split(k, ","))
	}
	return err
}

func dbusMap(m map[string]dbus.Variant) any { return m }

// param takes one parameter of a shape.
func (b *builder) param(s *shape, name, local, typ string, attrs map[string]dbus.Variant) error {
	switch {
	case cellTypes[typ] == nil:
		return b.refuse(name, "%q is no type", typ)
	case typ == "alias" && (s.extends || local != "Alias"):
		return b.refuse(name, "an alias is called Alias, and belongs to a table of yours")
	case slices.ContainsFunc(s.params, func(p datamodel.Param[row]) bool { return p.Name == local }):
		return b.refuse(name, "is declared twice")
	}
	p := datamodel.Param[row]{Name: local}
	if err := limits(&p, typ, attrs); err != nil {
		return b.refuse(name, "%v", err)
	}
	if typ == "alias" {
		p.Access = datamodel.ReadWrite
	}
	if v, ok := attrs["Default"]; ok {
		text, ok := plain(typ, v.Value())
		if !ok {
			return b.refuse(name, "its Default is no %s", typ)
		}
		s.defaults[local] = text
	}
	s.params, s.types = append(s.params, p), append(s.types, typ)
	return nil
}

// objects are the shapes as objects of the tree.
func (b *builder) objects() ([]datamodel.Object, error) {
	var all []datamodel.Object
	for _, s := range b.order {
		if len(s.params) == 0 {
			return nil, b.refuse("", "%s has no parameter", s.path)
		}
		for _, key := range s.unique {
			for _, n := range key {
				if !slices.ContainsFunc(s.params, func(p datamodel.Param[row]) bool { return p.Name == n }) {
					return nil, b.refuse("", "Unique names %s, which is not declared", n)
				}
			}
		}
		if name := s.twice(); name != "" {
			return nil, b.refuse("", "%s is a parameter, and an object", name)
		}
		s.group()
		if _, err := s.row(nil); err != nil {
			return nil, b.refuse("", "a Default of %s: %v", s.path, err)
		}
		all = append(all, s.define(b.base != datamodel.Root))
	}
	return all, nil
}

// twice returns the name of a parameter that others take for an object.
func (s *shape) twice() string {
	for _, p := range s.params {
		for _, q := range s.params {
			if strings.HasPrefix(q.Name, p.Name+".") {
				return p.Name
			}
		}
	}
	return ""
}

// group puts the parameters of a fixed sub-object next to each other, as the
// engine wants them.
func (s *shape) group() {
	order := make([]int, len(s.params))
	for i := range order {
		order[i] = i
	}
	dir := func(i int) string {
		return s.params[i].Name[:strings.LastIndexByte(s.params[i].Name, '.')+1]
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(dir(a), dir(b)) })
	params, types := make([]datamodel.Param[row], len(order)), make([]string, len(order))
	for to, from := range order {
		params[to], types[to] = s.params[from], s.types[from]
		cell := cellTypes[types[to]]
		params[to].At = func(r *row) any { return r.at(to, len(params), cell) }
	}
	s.params, s.types = params, types
}

// limits takes the attributes of a parameter.
func limits(p *datamodel.Param[row], typ string, attrs map[string]dbus.Variant) error {
	if _, err := options(dbusMap(attrs), "Access", "Min", "Max", "MinLength", "MaxLength", "MaxItems", "Enum", "Pattern", "Notify", "Hidden", "Default"); err != nil {
		return err
	}
	if err := pick(attrs, "Access", map[string]func(){
		"readOnly": func() { p.Access = datamodel.ReadOnly }, "readWrite": func() { p.Access = datamodel.ReadWrite },
		"command": func() { p.Access = datamodel.Command }}); err != nil {
		return err
	}
	if err := pick(attrs, "Notify", map[string]func(){
		"any": func() { p.Notify = datamodel.NotifyAny }, "never": func() { p.Notify = datamodel.NotifyNever },
		"forced": func() { p.Notify = datamodel.NotifyForced }, "defaultOn": func() { p.Notify = datamodel.NotifyDefaultOn }}); err != nil {
		return err
	}
	var err error
	if p.Hidden, err = option(attrs, "Hidden", false); err != nil {
		return err
	}
	p.Check, err = checkOf(typ, attrs)
	return err
}

func pick(attrs map[string]dbus.Variant, name string, choices map[string]func()) error {
	v, ok := attrs[name]
	if !ok {
		return nil
	}
	text, _ := v.Value().(string)
	f, ok := choices[text]
	if !ok {
		return refuse(api.InvalidArguments, "", "%s cannot be %s", name, v)
	}
	f()
	return nil
}

// checkOf makes the check of a parameter.
func checkOf(typ string, attrs map[string]dbus.Variant) (datamodel.Check, error) {
	var all datamodel.All
	for _, name := range []string{"Min", "Max", "MinLength", "MaxLength", "MaxItems"} {
		if v, ok := attrs[name]; ok {
			if _, ok := number(v); !ok {
				return nil, refuse(api.InvalidArguments, "", "%s is no number that counts here", name)
			}
		}
	}
	get := func(name string, otherwise int64) int64 {
		if v, ok := attrs[name]; ok {
			n, _ := number(v)
			return n
		}
		return otherwise
	}
	enum, err := option(attrs, "Enum", []string(nil))
	if err != nil {
		return nil, err
	}
	pattern, err := option(attrs, "Pattern", []string(nil))
	if err != nil || len(enum) > maxEnum || len(pattern) > maxEnum {
		return nil, refuse(api.InvalidArguments, "", "Enum and Pattern are lists of at most %d texts", maxEnum)
	}
	if len(enum) > 0 {
		all = append(all, datamodel.Enum(enum))
	}
	if len(pattern) > 0 {
		all = append(all, datamodel.Pattern(pattern))
	}
	length := datamodel.Len{Min: int(get("MinLength", 0)), Max: int(get("MaxLength", 0))}
	_, min := attrs["Min"]
	_, max := attrs["Max"]
	switch typ {
	case "int", "unsignedInt", "long", "unsignedLong":
		if max {
			all = append(all, datamodel.Range{Min: get("Min", math.MinInt64), Max: get("Max", 0)})
		} else if min {
			all = append(all, datamodel.AtLeast(get("Min", 0)))
		}
		return one(all), nil
	case "hexBinary":
		return datamodel.Hex(length), nil
	case "base64Binary":
		return datamodel.Base64(length), nil
	case "list":
		return datamodel.List{Of: one(all), MaxItems: int(get("MaxItems", 0)), MaxLen: length.Max}, nil
	case "string":
		if length != (datamodel.Len{}) {
			all = append(all, length)
		}
		return one(all), nil
	}
	return nil, nil
}

// one is all of them as one check, nil for none.
func one(all datamodel.All) datamodel.Check {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// number is an integer of any D-Bus type, as far as lengths and limits go.
func number(v dbus.Variant) (int64, bool) {
	switch n := v.Value().(type) {
	case int32:
		return int64(n), true
	case uint32:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(min(n, math.MaxInt64)), true
	case byte:
		return int64(n), true
	}
	return 0, false
}

// sameTemplate compares a template with a path that may have numbers for {i}.
func sameTemplate(template, path string) bool {
	for {
		t, tRest, tMore := strings.Cut(template, ".")
		p, pRest, pMore := strings.Cut(path, ".")
		if tMore != pMore || t != p && !(t == "{i}" && p != "") {
			return false
		}
		if !tMore {
			return true
		}
		template, path = tRest, pRest
	}
}
