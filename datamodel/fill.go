package datamodel

// Rows from texts and back, for rows that live in settings or in our own files.

import "reflect"

// fillRow is Fill for rows of a type.
func fillRow(typ reflect.Type, params []Param[row], r *row, get func(name string) (text string, ok bool)) error {
	var first error
	for i := range params {
		p := &params[i]
		text, ok := get(p.Name)
		if !ok {
			continue
		}
		err := fill(p.At(newRow(typ)), p.Check, text)
		if err == nil {
			err = fill(p.At(r), p.Check, text)
		}
		if err != nil && first == nil {
			first = &FieldError{p.Name, asValue(err)}
		}
	}
	return first
}

// fill parses and checks one value.
func fill(p any, c Check, text string) error {
	switch f := p.(type) {
	case *Ref:
		r, err := parseKeyText(text)
		*f = r
		return err
	case *[]Ref:
		var list []Ref
		for _, item := range splitList(text) {
			r, err := parseKeyText(item)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		*f = list
		return nil
	}
	if err := parse(p, fieldType(p, c), text); err != nil {
		return err
	}
	return readable(c, p)
}

func fieldType(p any, c Check) Type {
	t, _ := typeOf(p)
	if t == Base64Binary && LimitsOf(c).Hex {
		t = HexBinary
	}
	return t
}

// rowText is Text for rows of any type.
func rowText(params []Param[row], r *row, name string) string {
	for i := range params {
		if params[i].Name == name {
			return fieldText(params[i].At(r), params[i].Check)
		}
	}
	return ""
}

func fieldText(p any, c Check) string {
	switch f := p.(type) {
	case *Ref:
		if f.Table == "" {
			return ""
		}
		return f.keyText()
	case *[]Ref:
		items := make([]string, len(*f))
		for i, r := range *f {
			items[i] = r.keyText()
		}
		return joinList(items)
	}
	return format(p, fieldType(p, c))
}
