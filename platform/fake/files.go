// What can be transferred: images that are texts, a configuration in UCI's
// grammar, logs.

package fake

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"gatehouse/platform"
)

// imageMark begins an image; its version follows. An image for another device,
// or without a signature, says so instead.
const (
	imageMark    = "fake firmware "
	unsignedMark = "unsigned firmware "
)

// Image returns an image of that version, about size bytes long, that the
// router takes. The version may be "": then the image does not say.
func Image(version string, size int) []byte {
	b := []byte(imageMark + version + "\n")
	return append(b, bytes.Repeat([]byte("."), max(0, size-len(b)))...)
}

// UnsignedImage returns one that the router does not trust.
func UnsignedImage() []byte { return []byte(unsignedMark + "6.6.6\n") }

type files struct {
	config      string
	logs        map[string]string
	failInstall error
	keepsOld    bool // an image is written, and the old one comes up again
	imports     int
	failImport  error

	ways    map[netip.Addr][]Hop
	onProbe func(n int, p platform.Probe)
	probes  int
}

func homeFiles() files {
	return files{
		config: "package network\n\nconfig interface 'lan'\n\toption proto 'static'\n\toption ipaddr '192.168.1.1'\n\n" +
			"package wireless\n\nconfig wifi-iface 'home'\n\toption ssid 'home'\n\toption key 'fr1ends-0nly'\n",
		logs: map[string]string{"/var/log/messages": "kernel: eth0: link up\nwpa: psk=\"fr1ends-0nly\" accepted\n"},
	}
}

// Validate takes what begins with the mark.
func (b backend) Validate(ctx context.Context, path string) (platform.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return platform.Image{}, err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 256)).ReadString('\n')
	version, ok := strings.CutPrefix(line, imageMark)
	switch {
	case strings.HasPrefix(line, unsignedMark):
		return platform.Image{}, platform.ErrSignature
	case !ok, err != nil:
		return platform.Image{}, fmt.Errorf("no image for this router: %w", platform.ErrCorrupt)
	}
	return platform.Image{Version: strings.TrimSpace(version)}, nil
}

// Apply makes the image's version the one that runs, and restarts.
func (b backend) Apply(ctx context.Context, path string, _ bool) error {
	image, err := b.Validate(ctx, path)
	if err != nil {
		return err
	}
	b.mu.Lock()
	if err := b.files.failInstall; err != nil {
		b.mu.Unlock()
		return err
	}
	if image.Version != "" && !b.files.keepsOld {
		b.state.id.SoftwareVersion = image.Version
	}
	b.mu.Unlock()
	return b.restart(ctx, false)
}

// FailInstall lets images be refused after they were found good; until nil.
func (r *Router) FailInstall(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files.failInstall = err
}

// KeepOldImage lets the router come up with the version it had, as one with two
// banks does after an image that does not boot.
func (r *Router) KeepOldImage(keeps bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files.keepsOld = keeps
}

// ConfigText is the configuration as it is, with its secrets.
func (r *Router) ConfigText() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files.config
}

// SetConfigText replaces it.
func (r *Router) SetConfigText(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files.config = text
}

// Imports counts the configuration files that were put in place.
func (r *Router) Imports() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files.imports
}

// FailImport lets Import fail with err, until nil is given.
func (r *Router) FailImport(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files.failImport = err
}

// secretKey is an option that is one.
const secretKey = "\toption key '"

// Export writes the configuration without its secrets.
func (b backend) Export(_ context.Context, w io.Writer) error {
	for line := range strings.Lines(b.ConfigText()) {
		if strings.HasPrefix(line, secretKey) {
			line = secretKey + platform.SecretMask + "'\n"
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return nil
}

// Import takes a text that begins as an export does. A secret that is masked
// stays what it was, by the order of the secrets.
func (b backend) Import(_ context.Context, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(text, []byte("package ")) {
		return fmt.Errorf("no configuration: %w", platform.ErrCorrupt)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files.failImport != nil {
		return b.files.failImport
	}
	var secrets []string
	for line := range strings.Lines(b.files.config) {
		if strings.HasPrefix(line, secretKey) {
			secrets = append(secrets, line)
		}
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, secretKey) && len(secrets) > 0 {
			if strings.HasPrefix(line, secretKey+platform.SecretMask+"'") {
				line = secrets[0]
			}
			secrets = secrets[1:]
		}
		out.WriteString(line)
	}
	b.files.config = out.String()
	b.files.imports++
	return nil
}

// OpenLog opens a log that the router has.
func (b backend) OpenLog(_ context.Context, name string) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, ok := b.files.logs[name]
	if !ok {
		return nil, platform.ErrGone
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// SetLog writes a log; Logs lists what SetLogs says.
func (r *Router) SetLog(name, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files.logs[name] = text
}
