package transfer

// What is sent to a file server: the configuration, logs.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gatehouse/platform"
)

// upload writes the file to the spool first: then its length is known, and it
// can be sent again after a challenge.
func (r *Runner) upload(ctx context.Context, t *Transfer) error {
	f, err := r.create()
	if err != nil {
		return err
	}
	defer f.Close()
	to := &bounded{w: f, left: maxText}
	if t.Kind == Config {
		err = r.ConfigFile.Export(ctx, to)
	} else {
		err = r.logs(ctx, t, to)
	}
	if err != nil {
		return blame(err)
	}
	w, err := r.web(t)
	if err != nil {
		return err
	}
	defer w.close()
	return w.put(ctx, t, f, maxText-to.left)
}

// bounded is a file that may not grow without bounds.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errTooLong
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	return n, err
}

var errTooLong = fmt.Errorf("over %d bytes", maxText)

// logs writes one log of the platform, or, when no instance was named, the
// agent's own log of sessions and then all of the platform's.
func (r *Runner) logs(ctx context.Context, t *Transfer, w io.Writer) error {
	files, _ := r.Logs.(platform.LogFiles)
	if t.Instance > 0 {
		name, err := r.LogName(ctx, t.Instance)
		if err != nil {
			return &Fault{Access, err}
		}
		if files == nil {
			return failed(Access, "%s cannot be read", name)
		}
		return copyLog(ctx, files, name, w, maxText)
	}
	if err := r.OwnLog(w); err != nil {
		return err
	}
	if files == nil {
		return nil
	}
	const share = maxText / 8 // so that no log crowds the others out
	n := 0
	for l, err := range r.Logs.Logs(ctx) {
		if err != nil || n == 7 {
			break // what there is of them is better than nothing
		}
		if _, err := fmt.Fprintf(w, "\n==> %s <==\n", l.Name); err != nil {
			return err
		}
		if err := copyLog(ctx, files, l.Name, w, share-4096); err != nil && !errors.Is(err, platform.ErrGone) {
			if _, err := fmt.Fprintf(w, "(cannot be read: %v)\n", err); err != nil {
				return err
			}
		}
		n++
	}
	return nil
}

// copyLog writes the end of a log, line by line, with its secrets masked.
func copyLog(ctx context.Context, files platform.LogFiles, name string, w io.Writer, limit int64) error {
	f, err := files.OpenLog(ctx, name)
	if err != nil {
		return err
	}
	defer f.Close()
	cut := false
	if s, ok := f.(io.Seeker); ok {
		if size, err := s.Seek(0, io.SeekEnd); err == nil {
			cut = size > limit/2
			if _, err := s.Seek(max(0, size-limit/2), io.SeekStart); err != nil {
				return err
			}
		}
	}
	// Masking can make a line longer, but never twice as long.
	lines := bufio.NewReaderSize(io.LimitReader(f, limit/2), maxLine)
	for { // half a line may be half a secret, and not look like one
		line, err := lines.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		if !cut {
			line = maskSecrets(line)
			if long {
				line = append(line[:len(line):len(line)], "…\n"...)
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		cut = long
		switch err {
		case nil, bufio.ErrBufferFull:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// maxLine is how much of a line of a log is sent: what comes behind may belong
// to a secret whose name stands before.
const maxLine = 64 << 10

// secretWords are what a secret stands behind in a log.
var secretWords = []string{"password", "passwd", "passphrase", "psk", "secret", "private_key", "privatekey"}

// maskSecrets replaces, in one line, the word behind what names a secret.
func maskSecrets(line []byte) []byte {
	var out []byte
	low := bytes.ToLower(line)
	from := 0
	for i := 0; i < len(low); i++ {
		word := wordAt(low[i:])
		if word == 0 {
			continue
		}
		start := i + word
		if tail := nameTail(low[start:]); tail > 0 {
			if !assigns(low[start+tail:]) {
				i = start + tail - 1
				continue
			}
			start += tail
		}
		for start < len(line) && bytes.IndexByte([]byte("\"' \t:=>"), line[start]) >= 0 {
			start++
		}
		end := start
		for end < len(line) && bytes.IndexByte([]byte("\"' \t,;&<>\r\n"), line[end]) < 0 {
			end++
		}
		if end > start && start > i+word {
			out = append(append(out, line[from:start]...), platform.SecretMask...)
			from = end
		}
		i = max(i, end-1)
	}
	if out == nil {
		return line
	}
	return append(out, line[from:]...)
}

// nameTail is how much of a longer name comes behind its word: "secret_key".
func nameTail(low []byte) int {
	n := 0
	for n < len(low) && (low[n] == '_' || low[n] == '-' || 'a' <= low[n] && low[n] <= 'z' || '0' <= low[n] && low[n] <= '9') {
		n++
	}
	return n
}

// assigns says whether a value comes next.
func assigns(low []byte) bool {
	low = bytes.TrimLeft(low, "\"' \t")
	return len(low) > 0 && bytes.IndexByte([]byte(":=>"), low[0]) >= 0
}

func wordAt(low []byte) int {
	for _, w := range secretWords {
		if bytes.HasPrefix(low, []byte(w)) {
			return len(w)
		}
	}
	return 0
}
