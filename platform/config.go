// Configuration that the platform keeps itself: tables of rows in files of its
// own, changed all or nothing.

package platform

import (
	"context"
	"iter"
)

// Config changes what the platform keeps: UCI on OpenWrt, and on plain Linux
// files of our own.
type Config interface {
	Begin(ctx context.Context) (ConfigBatch, error)
	// Undo takes back what a batch changed, from what its Undo returned: after
	// a crash, or when the way to the ACS is gone. What somebody else has
	// changed since stays. It may be called more than once.
	Undo(ctx context.Context, data []byte) (reloads []string, err error)
	// Reload has services take up what was committed, each of them once. The
	// error joins one [*ServiceError] for each that did not come up again.
	Reload(ctx context.Context, services []string) error
}

// A ConfigBatch collects changes of tables. Nothing that it holds is written
// before Commit. What can refuse refuses in Prepare, which changes nothing: a
// file that does not parse, a lock that is held, a disk that is full or
// read-only. Rollback is legal after Prepare and after a failed or a
// successful Commit. A refusal that concerns one row is an [*ItemError].
type ConfigBatch interface {
	Prepare(ctx context.Context) error
	Commit(ctx context.Context) (deferred bool, err error)
	Rollback(ctx context.Context) error
	// Undo is what [Config.Undo] needs to take the batch back; legal after
	// Prepare.
	Undo() []byte
	// Reloads names the services that have to take the changes up; legal after
	// Prepare. Empty when nothing changes.
	Reloads() []string
	// Writes tells, for a dry run, what Commit would write; legal after Prepare.
	Writes() []Write
}

// A Write is one value that a batch would write.
type Write struct {
	Item     int    // what asked for it
	File     string // "/etc/config/wireless"
	Place    string // "guest.ssid"
	Old, New string // "" when absent; a secret reads "***"
	Service  string // what has to take it up; "" when nothing has
	Uplink   bool   // taking it up interrupts the way to the ACS
}

// A ServiceError says that a service did not take up its configuration.
type ServiceError struct {
	Service string // "network", "dnsmasq"
	Err     error
}

func (e *ServiceError) Error() string { return e.Service + " did not reload: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ServiceError) Unwrap() error { return e.Err }

// A Table is a list of configured rows. Keys are stable: neither a position
// nor a hash of what the row contains. A nil table is one that this device
// does not have.
type Table[T any] interface {
	// Rows come in the order of the configuration.
	Rows(ctx context.Context) iter.Seq2[Entry[T], error]
	// Fresh returns a key that no row has, and the row that a new one begins
	// as. It writes nothing.
	Fresh(ctx context.Context) (key string, row T, err error)
	// Put asks batch, which is one of the same platform, to change the row, or
	// to create it under a key of Fresh. Under another one that no row has there
	// was a row that somebody has deleted meanwhile: [ErrGone]. What the
	// configuration holds beside T's fields stays.
	Put(batch ConfigBatch, key string, row T) (item int)
	// Delete asks batch to take the row out.
	Delete(batch ConfigBatch, key string) (item int)
}

// An Entry is a row of a [Table].
type Entry[T any] struct {
	Key   string
	Value T
	// Fixed rows can be changed, but neither created nor deleted: a radio.
	Fixed bool
}
