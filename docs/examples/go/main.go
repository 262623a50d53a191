// A vendor's process in Go with godbus: LEDs of its own,
// Device.X_ACMEGO_Led.{i}., and a colour on each Ethernet interface,
// Device.Ethernet.Interface.{i}.X_ACMEGO_Colour.
//
// It is told of changes in three steps: Validate may refuse and changes
// nothing, Apply does it, Revert takes it back when another part of the same
// transaction has failed.
package main

import (
	"crypto/rand"
	"fmt"
	"log"
	"maps"
	"sync"

	"github.com/godbus/dbus/v5"
)

const (
	agent   = "org.gatehouse1"
	path    = dbus.ObjectPath("/org/gatehouse1/Subtree")
	subtree = "org.gatehouse1.Subtree"
	led     = "Device.X_ACMEGO_Led.{i}."
	eth     = "Device.Ethernet.Interface.{i}."
)

type values = map[string]dbus.Variant

// of makes a{sv} of pairs.
func of(pairs ...any) values {
	v := values{}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i].(string)] = dbus.MakeVariant(pairs[i+1])
	}
	return v
}

type row struct {
	Key    string
	Values values
}

type change struct {
	Kind, Table string // "set" brings what was assigned, "add" the whole row, "delete" nothing
	Keys        []string
	Values      values
}

type tables map[string]map[string]values

func (t tables) clone() tables {
	c := tables{}
	for table, rows := range t {
		c[table] = map[string]values{}
		for key, v := range rows {
			c[table][key] = maps.Clone(v)
		}
	}
	return c
}

// A vendor is what the agent calls. godbus calls it in many goroutines.
type vendor struct {
	mu     sync.Mutex
	tables tables
	last   uint64 // transaction, and what was before it
	before tables
}

// Rows returns every row of a table with its key. Rows of the standard are
// called as the system calls them: "eth0".
func (v *vendor) Rows(table string, parent []string) ([]row, *dbus.Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	rows := []row{}
	for key, values := range v.tables[table] {
		rows = append(rows, row{key, maps.Clone(values)})
	}
	return rows, nil
}

// New is what AddObject makes. It has no effect: the row comes to life in
// Apply.
func (v *vendor) New(table string, parent []string) (string, values, *dbus.Error) {
	return rand.Text(), of("Enable", false, "Brightness", uint32(0)), nil
}

// Validate may refuse. A message that begins with a parameter's name blames
// that parameter.
func (v *vendor) Validate(transaction uint64, changes []change) *dbus.Error {
	for _, c := range changes {
		if c.Values["Brightness"].Value() == uint32(13) {
			return dbus.NewError(agent+".Error.InvalidValue", []any{"Brightness: 13 is unlucky"})
		}
	}
	return nil
}

// Apply makes the changes.
func (v *vendor) Apply(transaction uint64, changes []change) (deferred bool, err *dbus.Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last, v.before = transaction, v.tables.clone()
	for _, c := range changes {
		rows, key := v.tables[c.Table], c.Keys[len(c.Keys)-1]
		switch c.Kind {
		case "add":
			rows[key] = c.Values
		case "delete":
			delete(rows, key)
		default:
			maps.Copy(rows[key], c.Values)
		}
	}
	return false, nil
}

// Revert takes a transaction back.
func (v *vendor) Revert(transaction uint64) *dbus.Error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if transaction == v.last && v.before != nil {
		v.tables, v.before = v.before, nil
	}
	return nil
}

type entry struct {
	Name, Type string
	Attributes values
}

func register(conn *dbus.Conn) error {
	registry := conn.Object(agent, "/org/gatehouse1")
	err := registry.Call(agent+".Registry.Register", 0, led, []entry{
		{"", "object", of("Add", true)},
		{"Alias", "alias", of()},
		{"Enable", "boolean", of("Access", "readWrite")},
		{"Brightness", "unsignedInt", of("Access", "readWrite", "Max", uint32(100))},
	}, of()).Err
	if err != nil {
		return fmt.Errorf("%s: %w", led, err)
	}
	err = registry.Call(agent+".Registry.Register", 0, eth+"X_ACMEGO_", []entry{
		{"Colour", "string", of("Access", "readWrite", "MaxLength", uint32(16))},
	}, of()).Err
	if err != nil {
		return fmt.Errorf("%s: %w", eth, err)
	}
	return nil
}

func run() error {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return err
	}
	defer conn.Close()
	v := &vendor{tables: tables{
		led: {"power": of("Enable", true, "Brightness", uint32(100)), "wifi": of("Enable", true, "Brightness", uint32(40))},
		eth: {"eth0": of("X_ACMEGO_Colour", "grey")},
	}}
	if err := conn.Export(v, path, subtree); err != nil {
		return err
	}
	// conn.Emit(path, subtree+".Changed", led) says that rows have changed by
	// themselves; "" stands for any table.
	owners := make(chan *dbus.Signal, 16)
	conn.Signal(owners)
	if err := conn.AddMatchSignal(dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"),
		dbus.WithMatchArg(0, agent)); err != nil {
		return err
	}
	if err := register(conn); err != nil {
		log.Print(err) // the agent may not be there yet
	}
	for s := range owners {
		if len(s.Body) == 3 && s.Body[2] != "" {
			if err := register(conn); err != nil {
				log.Print(err)
			}
		}
	}
	return fmt.Errorf("the bus has ended") // whoever started us does so again
}

func main() {
	log.SetFlags(0)
	log.Fatal("acme-led: ", run())
}
