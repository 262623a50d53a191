package datamodel

// What knows the type of rows: a thin skin over an engine that does not.

import (
	"context"
	"iter"
	"reflect"
	"unsafe"
)

// A row is a *T of which only this file knew the T: the rest of the engine
// passes it on, and looks into it by a Param's At. Casting *T, Param[T],
// Change[T], Row[T], Source[T] and Kept[T] to those of row is sound, for they
// only hold pointers to T, and functions of such: their layout does not depend
// on it. It is done because the compiler lays generic code down once for each
// row type, and flash is dear: of the seventy objects of a router that would be
// a megabyte.
type row struct{ _ [0]func() } // not to be compared

// newRow returns the zero row of a type.
func newRow(typ reflect.Type) *row { return (*row)(reflect.New(typ).UnsafePointer()) }

// copyRow returns a plain copy of r, whose type is typ.
func copyRow(typ reflect.Type, r *row) *row {
	c := reflect.New(typ)
	c.Elem().Set(reflect.NewAt(typ, unsafe.Pointer(r)).Elem())
	return (*row)(c.UnsafePointer())
}

// Define binds a table of parameters to its source. A malformed declaration is a
// mistake of a programmer, which the first test that builds the tree finds: it
// panics when the object is put into a Tree, or asked what it declares.
func Define[T any](path string, params []Param[T], src Source[T]) Object {
	return define(path, *(*[]Param[row])(unsafe.Pointer(&params)), (*Source[row])(unsafe.Pointer(&src)), reflect.TypeFor[T]())
}

// Fill parses texts into a row, for each parameter for which get has one, and
// checks what may be read. It goes through all of them, leaves alone what does
// not parse or is out of its limits, and returns the first error, as a
// FieldError. A reference is written as Text writes it.
func Fill[T any](params []Param[T], r *T, get func(name string) (text string, ok bool)) error {
	return fillRow(reflect.TypeFor[T](), *(*[]Param[row])(unsafe.Pointer(&params)), (*row)(unsafe.Pointer(r)), get)
}

// Text returns the canonical text of one parameter of a row; "" for a name that
// is not declared. A reference is written as the template and the keys, which
// mean the same for ever: "Device.IP.Interface.{i}. eth0".
func Text[T any](params []Param[T], r *T, name string) string {
	return rowText(*(*[]Param[row])(unsafe.Pointer(&params)), (*row)(unsafe.Pointer(r)), name)
}

// NewKept returns the table called name (in the journal, in messages) that is
// kept in backing; nil keeps it in RAM.
func NewKept[T any](name string, params []Param[T], backing Backing) *Kept[T] {
	k := &Kept[T]{kept: kept{typ: reflect.TypeFor[T](), name: name, params: *(*[]Param[row])(unsafe.Pointer(&params)), backing: backing}}
	k.how = (*Kept[row])(unsafe.Pointer(k))
	return k
}

// Rows is Source.Rows.
func (k *Kept[T]) Rows(_ context.Context, parent []Key) iter.Seq2[Row[T], error] {
	seq := k.below(parent)
	return *(*iter.Seq2[Row[T], error])(unsafe.Pointer(&seq))
}

// Load is Source.Load.
func (k *Kept[T]) Load(_ context.Context, at []Key) (*T, error) {
	r, err := k.load(at)
	return (*T)(unsafe.Pointer(r)), err
}

// New is Source.New: a random key, and Default.
func (k *Kept[T]) New(_ context.Context, parent []Key) (Key, *T, error) {
	key, r, err := k.fresh(parent)
	return key, (*T)(unsafe.Pointer(r)), err
}

// Stage is Source.Stage, of the same object or of one that shares its rows.
func (k *Kept[T]) Stage(_ context.Context, tx *Tx, at []Key, c Change[T]) error {
	return k.stage(tx, at, (*row)(unsafe.Pointer(c.New)))
}
