package tape

import (
	"fmt"
	"net/http"
	"slices"

	"gatehouse/lab/acs"
)

// said is a body, read as far as it can be.
type said struct {
	empty bool
	m     *acs.Message // nil when it is empty or cannot be read
	err   error
}

func listen(body string) said {
	if body == "" {
		return said{empty: true}
	}
	m, err := acs.Parse([]byte(body))
	return said{m: m, err: err}
}

// method is the message's name; "" when there is none.
func (s said) method() string {
	if s.m == nil {
		return ""
	}
	return s.m.Method
}

func (s said) String() string {
	switch {
	case s.empty:
		return "an empty POST"
	case s.err != nil:
		return "something unreadable"
	case s.m.Fault != nil:
		return s.m.Fault.Error()
	}
	return s.m.Method
}

// compare tells in what a request is not the recorded one.
func (p *Player) compare(x Exchange, want, got said, r *http.Request) {
	if had, has := x.Header.Get("Authorization") != "", r.Header.Get("Authorization") != ""; had && !has {
		p.tell(true, "no credentials, recorded with some")
	}
	if had, has := x.Header.Get("Cookie") != "", r.Header.Get("Cookie") != ""; had && !has {
		p.tell(true, "no cookie, recorded with one")
	}
	switch {
	case got.err != nil:
		p.tell(true, fmt.Sprintf("cannot be read: %v", got.err))
	case want.err != nil: // nothing to compare with
	case want.String() != got.String():
		p.tell(true, fmt.Sprintf("%v, recorded %v", got, want))
	case got.m != nil:
		p.nodes(got.m.Method, want.m.Body, got.m.Body)
	}
}

// volatile are elements that are never the same twice.
var volatile = []string{"CurrentTime", "RetryCount"}

// nodes compares two elements of the same name.
func (p *Player) nodes(path string, want, got *acs.Node) {
	if named(want) || named(got) {
		p.members(path, want, got)
		return
	}
	if len(want.Children) == 0 && len(got.Children) == 0 {
		if want.Text != got.Text && want.Text != "***" && !slices.Contains(volatile, want.Local) {
			p.tell(false, fmt.Sprintf("%s is %q, recorded %q", path, acs.Mask(path, got.Text), want.Text))
		}
		return
	}
	for i, w := range want.Children {
		if i >= len(got.Children) || got.Children[i].Local != w.Local {
			p.tell(true, fmt.Sprintf("%s has no %s at its place", path, about(w)))
			return
		}
		p.nodes(path+"."+w.Local, w, got.Children[i])
	}
	for _, g := range got.Children[min(len(want.Children), len(got.Children)):] {
		p.tell(true, fmt.Sprintf("%s has %s, recorded without", path, about(g)))
	}
}

// about names an element for people.
func about(n *acs.Node) string {
	if len(n.Children) > 0 && n.Children[0].Text != "" {
		return n.Local + " " + n.Children[0].Text
	}
	if len(n.Children) == 0 && n.Text != "" {
		return n.Local + " " + n.Text
	}
	return n.Local
}

// named tells whether an element is a list whose members have names.
func named(n *acs.Node) bool {
	return len(n.Children) > 0 && n.Children[0].Child("Name") != nil
}

// members compares two lists by the names of their members: their order is
// nobody's business.
func (p *Player) members(path string, want, got *acs.Node) {
	by := map[string]*acs.Node{}
	for _, g := range got.Children {
		by[g.Child("Name").String()] = g
	}
	for _, w := range want.Children {
		name := w.Child("Name").String()
		g := by[name]
		delete(by, name)
		if g == nil {
			p.tell(true, name+" is missing")
			continue
		}
		if a, b := kind(w), kind(g); a != b {
			p.tell(true, fmt.Sprintf("%s is of type %s, recorded %s", name, b, a))
		}
		for _, c := range w.Children {
			if v := g.Child(c.Local); c.Local != "Name" && v != nil && v.Text != c.Text && c.Text != "***" {
				p.tell(false, fmt.Sprintf("%s: %s is %q, recorded %q", name, c.Local, acs.Mask(name, v.Text), c.Text))
			}
		}
	}
	for _, g := range got.Children {
		if name := g.Child("Name").String(); by[name] != nil {
			p.tell(true, name+" was not there when it was recorded")
		}
	}
}

// kind is the XSD type of a value, without its prefix.
func kind(n *acs.Node) string {
	v := n.Child("Value")
	if v == nil {
		return ""
	}
	for _, a := range v.Attr {
		if a.Name.Local == "type" {
			return a.Value
		}
	}
	return ""
}
