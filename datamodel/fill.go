package datamodel

// Rows from texts and back, for rows that live in settings or in our own files.

// Fill parses texts into a row, for each parameter for which get has one, and
// checks what may be read. It goes through all of them, leaves alone what does
// not parse or is out of its limits, and returns the first error, as a
// FieldError. A reference is written as Text writes it.
func Fill[T any](params []Param[T], row *T, get func(name string) (text string, ok bool)) error {
	var first error
	for i := range params {
		p := &params[i]
		text, ok := get(p.Name)
		if !ok {
			continue
		}
		var try T
		err := fill(p.At(&try), p.Check, text)
		if err == nil {
			err = fill(p.At(row), p.Check, text)
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

// Text returns the canonical text of one parameter of a row; "" for a name that
// is not declared. A reference is written as the template and the keys, which
// mean the same for ever: "Device.IP.Interface.{i}. eth0".
func Text[T any](params []Param[T], row *T, name string) string {
	for i := range params {
		if params[i].Name == name {
			return fieldText(params[i].At(row), params[i].Check)
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
