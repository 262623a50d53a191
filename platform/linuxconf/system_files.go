package linuxconf

// Files of ours among those of the system: parts of the configuration of its
// daemons, in the folders that are there for such parts.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/internal/store"
)

// ours begins every such file. One of our name without it is somebody else's.
const ours = "# Written by gatehouse, and by nobody else: changes are lost.\n"

// putFile makes a file of ours hold text; with "" there is none. What it holds
// already is not written again.
func putFile(path, text string) (changed bool, err error) {
	have, err := readable{}.ReadFile(path, maxFile)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && text == "":
		return false, nil
	case missing:
	case err != nil:
		return false, err
	case !bytes.HasPrefix(have, []byte(ours)):
		return false, fmt.Errorf("%s: %w", path, errForeign)
	case text == "":
		return true, readable{}.Remove(path)
	case string(have) == ours+text:
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	return true, store.Replace(readable{}, path, []byte(ours+text))
}

// A part is a file of ours that a service reads when it starts.
type part struct {
	file, unit string
	units      units
	due        bool // it has to read the file
	sure       bool // we know whether it has to
}

// put gives the file its text, "" for none. Whoever wrote what is there may have
// ended before the service was told of it.
func (p *part) put(ctx context.Context, text string) error {
	changed, err := putFile(p.file, text)
	p.due = p.due || changed
	if err != nil || p.due || p.sure {
		return err
	}
	if text != "" {
		info, err := os.Stat(p.file)
		if err != nil {
			return err
		}
		since, err := p.units.Since(ctx, p.unit)
		if err != nil {
			return err
		}
		p.due = !since.IsZero() && !since.After(info.ModTime())
	}
	p.sure = true
	return nil
}

// takeUp has the service read the file if it has to.
func (p *part) takeUp(ctx context.Context) error {
	if !p.due {
		return nil
	}
	err := p.units.Restart(ctx, p.unit)
	p.due = err != nil
	return err
}
