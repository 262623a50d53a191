// Firmware: procd looks at an image, sysupgrade writes it.

package openwrt

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// firmware implements platform.Firmware.
type firmware struct{ *backend }

// reading bounds how long procd may read an image.
const reading = 2 * time.Minute

// Validate asks procd whether an image is one for this device. What the tests
// of the image refuse is never forced.
func (f firmware) Validate(ctx context.Context, path string) (platform.Image, error) {
	t, err := f.bus.wait(ctx, reading, "system", "validate_firmware_image", ubus.Table{{Name: "path", Value: path}})
	if errors.Is(err, ubus.InvalidArgument) {
		return platform.Image{}, fmt.Errorf("%w: procd cannot read it", platform.ErrCorrupt)
	}
	if err != nil {
		return platform.Image{}, err
	}
	if flag(t, "valid") {
		return platform.Image{Version: imageVersion(path)}, nil
	}
	var failed []string
	for _, test := range table(t, "tests") {
		if passed, ok := test.Value.(bool); ok && !passed {
			failed = append(failed, test.Name)
		}
	}
	slices.Sort(failed)
	if slices.Equal(failed, []string{"fwtool_signature"}) {
		return platform.Image{}, platform.ErrSignature
	}
	return platform.Image{}, fmt.Errorf("%w: it fails %s", platform.ErrCorrupt, strings.Join(append(failed, "sysupgrade -T"), ", "))
}

// Apply has sysupgrade write the image. Its last act is to ask procd to stop
// everything, us among the first.
func (f firmware) Apply(ctx context.Context, path string, keep bool) error {
	argv := []string{"/sbin/sysupgrade", "-q"}
	if !keep {
		argv = append(argv, "-n")
	}
	return f.run(ctx, append(argv, filepath.Clean(path))...)
}

// An image ends with chunks, each of which ends with a trailer (fwtool): magic,
// CRC-32, type, three bytes of nothing, and the size of all.
const (
	trailerMagic = 0x46577830 // FWx0
	trailerSize  = 16
	headerSize   = 8 // before the text of a chunk of information
	isInfo       = 1
	maxInfo      = 64 << 10
	maxChunks    = 4
)

// imageVersion reads the version that an image says it has, in the words of
// Identity; "" when it does not.
func imageVersion(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	return trailerVersion(f, end)
}

// trailerVersion is imageVersion of what ends at end.
func trailerVersion(r io.ReaderAt, end int64) string {
	for range maxChunks {
		var t [trailerSize]byte
		if _, err := r.ReadAt(t[:], end-trailerSize); err != nil || binary.BigEndian.Uint32(t[:]) != trailerMagic {
			return ""
		}
		size := int64(binary.BigEndian.Uint32(t[12:]))
		if size < trailerSize || size > end {
			return ""
		}
		if t[8] == isInfo && size > trailerSize+headerSize && size <= maxInfo {
			info := make([]byte, size-trailerSize-headerSize)
			if _, err := r.ReadAt(info, end-size+headerSize); err != nil {
				return ""
			}
			return versionOf(info)
		}
		end -= size
	}
	return ""
}

func versionOf(info []byte) string {
	var image struct {
		Version struct {
			Version  string `json:"version"`
			Revision string `json:"revision"`
		} `json:"version"`
	}
	if json.Unmarshal(info, &image) != nil {
		return ""
	}
	return softwareVersion(image.Version.Version, image.Version.Revision)
}

// softwareVersion is the one word for a release that tells it from every other.
func softwareVersion(version, revision string) string {
	if version == "" {
		return ""
	}
	return strings.TrimSuffix(version+"-"+revision, "-")
}
