package transfer

// What carries the queue out.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"gatehouse/platform"
)

const (
	// maxText bounds a configuration file, and what is sent of a log.
	maxText = 4 << 20
	// spare is the memory that a file in RAM must leave to everybody else.
	spare = 8 << 20
	// longest is how long a file may be on its way, however steadily: the next
	// one waits for it.
	longest = 6 * time.Hour
	// doomed is how long the device may still be up after it took an image.
	doomed = 10 * time.Minute
)

// A Runner carries out transfers, one at a time. Its fields are set before its
// first turn and not changed after.
type Runner struct {
	Queue      *Queue
	Firmware   platform.Firmware   // nil: no images
	ConfigFile platform.ConfigFile // nil: no configuration files
	Logs       platform.Logs       // nil: the agent's own log alone
	System     platform.System     // to know how much memory there is; nil: unknown

	// Spool is a folder in RAM for the one file that is on its way.
	Spool string
	// Dial, TLS and CheckURL are as those of the sessions.
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS       func(scheme string) (*tls.Config, error)
	CheckURL  func(url string) error
	UserAgent string
	// Rule says how requests to a place are made; nil: as all others.
	Rule func(u *url.URL) Rule

	// Quiet runs f while no session does, and returns when it is done. When it
	// returns an error that f has not, f was not run.
	Quiet func(ctx context.Context, f func(context.Context) error) error
	// Ended hears of each result, when it is on disk.
	Ended func(t Transfer)

	Boot    string                                                              // another one after each boot of the device
	Version func(ctx context.Context) string                                    // that runs
	OwnLog  func(w io.Writer) error                                             // writes the log of the last sessions
	LogName func(ctx context.Context, instance uint32) (name string, err error) // of a row of VendorLogFile

	Log *slog.Logger
}

// file is the one file that is on its way.
func (r *Runner) file() string { return filepath.Join(r.Spool, "transfer") }

// Turn carries out what is due. again is when the next one will be; 0: when
// Queue.Wake is called. Its error ends the task for a while.
func (r *Runner) Turn(ctx context.Context) (again time.Duration, err error) {
	_ = os.Remove(r.file()) // of a process that was killed
	for ctx.Err() == nil {
		t, due, ok := r.Queue.next(time.Now())
		switch {
		case ok:
			if err := r.one(ctx, t.ID); err != nil {
				return 0, err
			}
		case due.IsZero():
			return 0, nil
		default:
			return max(time.Until(due), time.Millisecond), nil
		}
	}
	return 0, nil
}

// one begins a transfer when no session runs, and notes how it went. Its error
// ends the task.
func (r *Runner) one(ctx context.Context, id uint32) error {
	if err := r.Quiet(ctx, func(context.Context) error { return nil }); err != nil {
		<-ctx.Done() // the agent ends
		return nil
	}
	t, err := r.Queue.begin(id)
	if errors.Is(err, errForgotten) {
		return nil
	}
	log := r.Log.With("method", t.Method, "key", t.CommandKey, "type", t.FileType)
	if err != nil {
		log.Warn("that the transfer has begun cannot be kept on disk", "err", err)
	}
	log.Info("transfer begins", "url", WithoutSecrets(t.URL), "try", t.Begun)
	if err != nil && t.Kind == Config && t.Method != Upload {
		// One that brings the device down would be tried again after each start.
		err = failed(Internal, "that the transfer has begun cannot be kept on disk: %w", err)
	} else {
		err = r.carryOut(ctx, &t)
	}
	if err == errApplied { // the window may close now, the restart comes all the same
		err = r.restarting(ctx)
	}
	_ = os.Remove(r.file())
	if ctx.Err() != nil && err != nil {
		return nil // it goes on after the next start
	}
	result, done := r.Queue.end(id, err)
	switch {
	case err != nil && !done:
		log.Warn("transfer failed, will be tried again", "err", err)
	case err != nil:
		log.Warn("transfer failed", "failure", result.Failure, "err", err)
	default:
		log.Info("transfer done")
	}
	if done {
		r.Ended(result)
	}
	return nil
}

// carryOut does one transfer. Whoever orders one that the device cannot do is
// told at once, so that here only a downgrade can have brought one.
func (r *Runner) carryOut(ctx context.Context, t *Transfer) error {
	if t.missed() {
		return failed(Missed, "the last window has passed")
	}
	if t.Windows != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, t.ends(), failed(Missed, "the window closed before the download was done"))
		defer cancel()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longest, failed(Incomplete, "not done within %v", longest))
	defer cancel()
	switch {
	case t.Kind == Firmware && r.Firmware == nil, t.Kind == Config && r.ConfigFile == nil:
		return failed(Internal, "this device takes no %q", t.FileType)
	case t.Method == Upload:
		return r.upload(ctx, t)
	}
	return r.download(ctx, t)
}

// web returns what talks to the file server of t.
func (r *Runner) web(t *Transfer) (*web, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, failed(Failed, "not a URL")
	}
	config, err := r.TLS(u.Scheme)
	if err != nil {
		return nil, failed(Contact, "%w", err)
	}
	return newWeb(t, r.Dial, config, r), nil
}

// create makes the spool file, which nobody else may read.
func (r *Runner) create() (*os.File, error) {
	if err := os.MkdirAll(r.Spool, 0o700); err != nil {
		return nil, failed(Internal, "%w", err)
	}
	f, err := os.OpenFile(r.file(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, failed(Internal, "%w", err)
	}
	return f, nil
}

// Room is how many bytes a file may have: what the memory holds, since the file
// lies in it.
func (r *Runner) Room(ctx context.Context, k Kind) int64 {
	limit := int64(maxText)
	if k == Firmware {
		limit = 1 << 30
	}
	if r.System == nil {
		return limit
	}
	mem, err := r.System.Memory(ctx)
	if err != nil || mem.Total == 0 {
		return limit
	}
	free := max(mem.Available, mem.Free)
	if free <= spare {
		return 0
	}
	return min(limit, int64(min(free-spare, 1<<40)))
}

// download fetches the file and puts it in place.
func (r *Runner) download(ctx context.Context, t *Transfer) error {
	w, err := r.web(t)
	if err != nil {
		return err
	}
	defer w.close()
	f, err := r.create()
	if err != nil {
		return err
	}
	err = w.get(ctx, t, f, r.Room(ctx, t.Kind))
	if closing := f.Close(); err == nil && closing != nil {
		err = failed(Internal, "the file cannot be kept: %w", closing)
	}
	w.close()
	if err != nil {
		return err
	}
	if t.Kind == Firmware {
		return r.install(ctx, t)
	}
	return r.restore(ctx, t)
}

// blame says what an error of a role means for the file.
func blame(err error) error {
	var f *Fault
	switch {
	case err == nil, errors.As(err, &f):
		return err
	case errors.Is(err, platform.ErrSignature):
		return &Fault{Unsigned, err}
	case errors.Is(err, platform.ErrCorrupt):
		return &Fault{Corrupted, err}
	}
	return &Fault{Internal, err}
}

// restore puts a configuration file in place, when no session runs. It stands
// only if the order still does.
func (r *Runner) restore(ctx context.Context, t *Transfer) error {
	return r.quietly(ctx, t, func(ctx context.Context) error {
		f, err := os.Open(r.file())
		if err != nil {
			return err
		}
		defer f.Close()
		return r.ConfigFile.Import(ctx, f)
	})
}

// quietly runs f when no session does, if the order still stands by then.
func (r *Runner) quietly(ctx context.Context, t *Transfer, f func(context.Context) error) error {
	err := r.Quiet(ctx, func(ctx context.Context) error {
		if _, err := r.Queue.change(t.ID, func(*Transfer) {}); errors.Is(err, errForgotten) {
			return err
		}
		return f(ctx)
	})
	if c := context.Cause(ctx); c != nil && err != nil {
		err = c
	}
	return blame(err)
}

// install validates the image and writes it. When that goes well, errApplied, the
// device restarts under us, and the next start knows how it went.
func (r *Runner) install(ctx context.Context, t *Transfer) error {
	image, err := r.Firmware.Validate(ctx, r.file())
	if err != nil {
		return blame(err)
	}
	err = r.quietly(ctx, t, func(ctx context.Context) error {
		if err := r.Queue.applying(t.ID, r.Boot, r.Version(ctx), image.Version); err != nil {
			return fmt.Errorf("that the image is being written cannot be kept on disk: %w", err)
		}
		return r.Firmware.Apply(ctx, r.file(), true)
	})
	if err != nil {
		return err
	}
	return errApplied
}

// errApplied says that an image was taken, and nothing more can be said.
var errApplied = errors.New("the image was taken")

// restarting waits for the end of the process. Its error is that of ctx, as it
// should be, or that the device is still up.
func (r *Runner) restarting(ctx context.Context) error {
	timer := time.NewTimer(doomed)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return failed(Internal, "the device did not restart to install the image")
	}
}
