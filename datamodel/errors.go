package datamodel

// The errors that cross to the wire, and how they blame a parameter.

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that a caller tells apart with errors.Is; the number is the CWMP
// fault that agent/rpc makes of each.
var (
	ErrDenied    = errors.New("request denied")                          // 9001
	ErrArguments = errors.New("invalid arguments")                       // 9003
	ErrDuplicate = fmt.Errorf("%w: named twice", ErrArguments)           // 9003
	ErrResources = errors.New("resources exceeded")                      // 9004
	ErrNoName    = errors.New("invalid parameter name")                  // 9005
	ErrType      = errors.New("invalid parameter type")                  // 9006
	ErrValue     = errors.New("invalid parameter value")                 // 9007
	ErrReadOnly  = errors.New("attempt to set a read-only parameter")    // 9008
	ErrGone      = errors.New("no longer there")                         // a Source's word for a row that has vanished
	ErrBusy      = errors.New("a transaction is under way in this call") // Begin inside a callback of a transaction
)

// Unavailable says that a source of information did not answer, so nothing is
// known of its rows: they are left out of a walk, and are a fault 9002 that
// names the source when they were asked for by name.
type Unavailable struct {
	Source string // "netlink route", "ubus network.device"
	Err    error
}

func (e *Unavailable) Error() string { return e.Source + " is not available: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Unavailable) Unwrap() error { return e.Err }

// A FieldError comes from the Check or Stage of a Source, or from the Prepare
// of what it enlisted, and blames one parameter of the row. An Err that is
// none of the errors above counts as ErrValue.
type FieldError struct {
	Name string // as declared: "Enable", "Stats.Reset"
	Err  error
}

func (e *FieldError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// A ParamError blames one parameter or object, by its path in the form in
// which the caller wrote it.
type ParamError struct {
	Path string
	Err  error
}

func (e *ParamError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ParamError) Unwrap() error { return e.Err }

// Errors are all the errors of one call, in the order in which the parameters
// were assigned. It is never empty.
type Errors []*ParamError

func (e Errors) Error() string {
	var b strings.Builder
	for i, p := range e {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// Unwrap returns every error, for errors.Is and errors.As.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, p := range e {
		errs[i] = p
	}
	return errs
}

// known reports whether err already says what kind of refusal it is.
func known(err error) bool {
	for _, k := range []error{ErrDenied, ErrArguments, ErrResources, ErrNoName, ErrType, ErrValue, ErrReadOnly, ErrGone, ErrBusy} {
		if errors.Is(err, k) {
			return true
		}
	}
	var u *Unavailable
	return errors.As(err, &u)
}

// asValue makes an error of no known kind an ErrValue.
func asValue(err error) error {
	if known(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrValue, err)
}
