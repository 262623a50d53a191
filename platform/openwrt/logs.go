// The system's log, which logd keeps in memory: no file has it.

package openwrt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// logs implements platform.Logs and platform.LogFiles.
type logs struct{ *backend }

// logName is what logd's log is called among files.
const logName = "ubus:log"

// logLines bounds what is asked of logd.
const logLines = 4096

// Logs yields logd's log, then the files that somebody has configured.
func (l logs) Logs(ctx context.Context) iter.Seq2[platform.Log, error] {
	return func(yield func(platform.Log, error) bool) {
		if ctx.Err() != nil || !yield(platform.Log{Name: logName, MaximumSize: l.logSize()}, nil) {
			return
		}
		for f, err := range l.kernel.Logs.Logs(ctx) {
			if !yield(f, err) {
				return
			}
		}
	}
}

// logSize is what logd may keep: the option is in KiB, and 128 by default.
func (b *backend) logSize() uint64 {
	n := uint64(128)
	if s := b.section("system", "system"); s != nil {
		if set, err := strconv.ParseUint(s.Get("log_size"), 10, 20); err == nil {
			n = set
		}
	}
	return n << 10
}

// section is the first section of a type in a package as it is committed, nil
// where there is none.
func (b *backend) section(pkg, typ string) *uci.Section {
	p, err := uci.Load(b.paths.config + "/" + pkg)
	if err != nil {
		return nil
	}
	for _, s := range p.Sections {
		if s.Type == typ {
			return s
		}
	}
	return nil
}

// OpenLog implements platform.LogFiles.
func (l logs) OpenLog(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == logName {
		return l.logd(ctx)
	}
	for f, err := range l.kernel.Logs.Logs(ctx) { // no other file is a log
		if err != nil {
			return nil, err
		}
		if f.Name == name {
			return os.Open(name)
		}
	}
	return nil, platform.ErrGone
}

func (l logs) logd(ctx context.Context) (io.ReadCloser, error) {
	t, err := l.bus.call(ctx, "log", "read", ubus.Table{{Name: "lines", Value: logLines}, {Name: "stream", Value: false}, {Name: "oneshot", Value: true}})
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	for _, m := range tables(t, "log") {
		fmt.Fprintf(&lines, "%s %s %s\n", time.UnixMilli(number(m, "time")).UTC().Format(time.RFC3339),
			priority(number(m, "priority")), strings.TrimRight(text(m, "msg"), "\n"))
	}
	return io.NopCloser(&lines), nil
}

// priority writes a facility and a severity as logread does (RFC 5424 §6.2.1).
func priority(p int64) string {
	facilities := [...]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"}
	severities := [...]string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}
	f := strconv.FormatInt(p>>3, 10)
	if i := p >> 3; i >= 0 && int(i) < len(facilities) {
		f = facilities[i]
	}
	return f + "." + severities[p&7]
}
