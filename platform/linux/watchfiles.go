// Hints by files: the host name, the resolver's files, leases, and steps of the
// clock. All of them wait in one epoll set, which itself waits in the runtime's
// poller: no thread is blocked, nothing ticks.

package linux

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// fileWatch is the epoll set and what is in it.
type fileWatch struct {
	*backend
	poll, clock, host, inotify int
	dirs                       map[int32]dirWatch
}

// dirWatch is one inotify watch: the files of interest in a folder, or (no
// names) a single file.
type dirWatch map[string]platform.Topic

// anyFile stands for the files of a folder that have no entry of their own.
const anyFile = "*"

const inotifyMask = unix.IN_CLOSE_WRITE | unix.IN_MODIFY | unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_DELETE

// watchFiles reports until ctx ends. What cannot be watched is told once, and
// not watched: the hints that are missing cost time, not truth.
func (b *backend) watchFiles(ctx context.Context, report func(platform.Event)) error {
	w := &fileWatch{backend: b, poll: -1, clock: -1, host: -1, inotify: -1, dirs: map[int32]dirWatch{}}
	defer w.close()
	var err error
	if w.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	for name, open := range map[string]func() error{
		"steps of the clock": w.openClock, "the host name": w.openHost, "files": w.openFiles,
	} {
		if err := open(); err != nil {
			b.log.Info("cannot watch "+name, "err", err)
		}
	}
	if err := unix.SetNonblock(w.poll, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	set := os.NewFile(uintptr(w.poll), "epoll")
	w.poll = -1 // set closes it
	defer set.Close()
	raw, err := set.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { set.SetReadDeadline(time.Unix(1, 0)) })()
	var ready [4]unix.EpollEvent
	for {
		n, woken := 0, false
		var waitErr error
		if err := raw.Read(func(fd uintptr) bool {
			n, waitErr = unix.EpollWait(int(fd), ready[:], 0)
			if n != 0 || waitErr != nil || woken {
				return true
			}
			woken = true // next time
			return false
		}); err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if waitErr != nil && waitErr != unix.EINTR {
			return os.NewSyscallError("epoll_wait", waitErr)
		}
		for _, e := range ready[:max(n, 0)] {
			w.ready(int(e.Fd), report)
		}
		if n == 0 {
			// The host name's file tells of a change once, and has told it to
			// the poller that woke us.
			report(platform.Event{Topic: platform.HostnameChanged})
		}
	}
}

func (w *fileWatch) close() {
	for _, fd := range []int{w.poll, w.clock, w.host, w.inotify} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (w *fileWatch) add(fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl",
		unix.EpollCtl(w.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
}

// ready handles one descriptor, until nothing is left in it.
func (w *fileWatch) ready(fd int, report func(platform.Event)) {
	switch fd {
	case w.clock:
		var b [8]byte
		// ECANCELED says that the clock was set (timerfd_create(2)).
		if _, err := unix.Read(fd, b[:]); errors.Is(err, unix.ECANCELED) {
			report(platform.Event{Topic: platform.ClockStepped})
		}
	case w.host:
		report(platform.Event{Topic: platform.HostnameChanged})
	case w.inotify:
		for _, topic := range w.changes() {
			report(platform.Event{Topic: topic})
		}
	}
}

// openClock makes a timer that never ends, but is cancelled when the clock is
// set.
func (w *fileWatch) openClock() (err error) {
	if w.clock, err = unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	var at unix.ItimerSpec
	at.Value.Sec = math.MaxInt32 // the most that 32-bit systems take
	if far := time.Now().AddDate(10, 0, 0).Unix(); far < math.MaxInt32 {
		at.Value = unix.NsecToTimespec(far * int64(time.Second))
	}
	if err := unix.TimerfdSettime(w.clock, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &at, nil); err != nil {
		return os.NewSyscallError("timerfd_settime", err)
	}
	return w.add(w.clock, unix.EPOLLIN)
}

// openHost waits for a change of /proc/sys/kernel/hostname, which can be
// polled.
func (w *fileWatch) openHost() (err error) {
	if w.host, err = unix.Open(w.paths.hostname, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return &os.PathError{Op: "open", Path: w.paths.hostname, Err: err}
	}
	return w.add(w.host, unix.EPOLLPRI|unix.EPOLLERR)
}

// openFiles watches the folders of the files that matter. A folder which does
// not exist now is not watched.
func (w *fileWatch) openFiles() (err error) {
	if w.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	resolver := append([]string{w.paths.resolvConf, w.paths.resolvedConf}, w.paths.resolvAuto...)
	if target, err := filepath.EvalSymlinks(w.paths.resolvConf); err == nil {
		resolver = append(resolver, target)
	}
	for _, name := range resolver {
		w.watch(name, platform.ResolverChanged)
	}
	for _, name := range slices.Concat(w.paths.dnsmasqLeases, w.paths.odhcpdLeases, w.paths.dhcpdLeases) {
		w.watch(name, platform.NeighborChanged)
	}
	w.watchAnswers()
	return w.add(w.inotify, unix.EPOLLIN)
}

// watch watches a file by its folder, so that it may be replaced; in a busy
// folder the file alone.
func (w *fileWatch) watch(name string, topic platform.Topic) {
	dir, base := filepath.Split(name)
	if filepath.Clean(dir) == w.paths.tmp {
		dir, base = name, ""
	}
	wd, err := unix.InotifyAddWatch(w.inotify, dir, inotifyMask)
	if err != nil {
		return // no such folder
	}
	if w.dirs[int32(wd)] == nil {
		w.dirs[int32(wd)] = dirWatch{}
	}
	w.dirs[int32(wd)][base] = topic
}

// changes reads what inotify has and returns the topics, each once.
func (w *fileWatch) changes() (topics []platform.Topic) {
	buf := make([]byte, 4096)
	n, err := unix.Read(w.inotify, buf)
	if err != nil || n <= 0 {
		return nil
	}
	for name, e := range inotifyEvents(buf[:n]) {
		topic, ok := w.dirs[e.Wd][name]
		if !ok {
			topic, ok = w.dirs[e.Wd][anyFile]
		}
		if e.Mask&unix.IN_Q_OVERFLOW != 0 {
			topic, ok = platform.Resync, true
		}
		if ok && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	return topics
}

// inotifyEvents goes through struct inotify_event (inotify(7)).
func inotifyEvents(b []byte) func(func(string, unix.InotifyEvent) bool) {
	return func(yield func(string, unix.InotifyEvent) bool) {
		for len(b) >= unix.SizeofInotifyEvent {
			e := unix.InotifyEvent{Wd: int32(native.Uint32(b)), Mask: native.Uint32(b[4:]), Len: native.Uint32(b[12:])}
			end := unix.SizeofInotifyEvent + int(min(e.Len, 4096))
			if end > len(b) || !yield(text(b[unix.SizeofInotifyEvent:end]), e) {
				return
			}
			b = b[end:]
		}
	}
}
