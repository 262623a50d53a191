// Who the device is: what procd has of the board, what the image says of its
// vendor, and the label that the board file tells. Where ubus does not answer,
// the files that procd itself has it from: who the device is must not depend on
// a daemon.

package openwrt

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// ID implements platform.Identity.
func (b *backend) ID(ctx context.Context) (platform.ID, error) {
	id, err := b.kernel.Identity.ID(ctx)
	if err != nil {
		return id, err
	}
	board, err := b.boardInfo(ctx)
	if err != nil {
		return id, err
	}
	model, name := text(board, "model"), text(board, "board_name")
	if vendor, rest, ok := strings.Cut(model, " "); ok && rest != "" && strings.Contains(name, ",") {
		id.Manufacturer = vendor // by the rules of device trees, the model begins with it
	}
	over(&id.ModelName, model)
	over(&id.ProductClass, model)
	over(&id.HardwareVersion, name)
	release := table(board, "release")
	over(&id.Description, text(release, "description"))
	over(&id.SoftwareVersion, softwareVersion(text(release, "version"), text(release, "revision")))
	vendor := b.vendorInfo()
	over(&id.Manufacturer, vendor.Manufacturer)
	over(&id.ProductClass, vendor.ProductClass)
	over(&id.HardwareVersion, vendor.HardwareVersion)
	if label := b.label(); label != "" {
		if id.OUI == "" || strings.HasPrefix(id.SerialNumber, id.OUI) { // made of a port's address
			id.SerialNumber = label
		}
		id.OUI = label[:6]
	}
	return id, nil
}

func over(to *string, from string) {
	if from != "" {
		*to = from
	}
}

// boardInfo is `system board`, or what it is made from.
func (b *backend) boardInfo(ctx context.Context) (ubus.Table, error) {
	t, err := b.bus.ask(ctx, "system", "board", "")
	if err == nil || ctx.Err() != nil {
		return t, err
	}
	release := assignments(b.paths.release)
	if release["DISTRIB_RELEASE"] == "" {
		return nil, err
	}
	b.log.Warn("who the device is, is read from files", "err", err)
	return ubus.Table{
		{Name: "model", Value: first(b.paths.sysModel)}, {Name: "board_name", Value: first(b.paths.sysBoard)},
		{Name: "release", Value: ubus.Table{
			{Name: "version", Value: release["DISTRIB_RELEASE"]}, {Name: "revision", Value: release["DISTRIB_REVISION"]},
			{Name: "description", Value: release["DISTRIB_DESCRIPTION"]},
		}},
	}, nil
}

// vendorInfo reads /etc/device_info, as far as somebody has filled it in: an
// image from openwrt.org has placeholders there.
func (b *backend) vendorInfo() platform.ID {
	v := assignments(b.paths.deviceInfo)
	id := platform.ID{Manufacturer: v["DEVICE_MANUFACTURER"], ProductClass: v["DEVICE_PRODUCT"], HardwareVersion: v["DEVICE_REVISION"]}
	for _, f := range []*string{&id.Manufacturer, &id.ProductClass, &id.HardwareVersion} {
		switch *f {
		case "OpenWrt", "Generic", "v0":
			*f = ""
		}
	}
	return id
}

// label is the address that is printed on the device, as twelve digits.
func (b *backend) label() string {
	var board struct {
		System struct {
			Label string `json:"label_macaddr"`
		} `json:"system"`
	}
	if json.Unmarshal(small(b.paths.board), &board) != nil {
		return ""
	}
	label := strings.ToUpper(strings.ReplaceAll(board.System.Label, ":", ""))
	if len(label) != 12 || strings.Trim(label, "0123456789ABCDEF") != "" {
		return ""
	}
	return label
}

// fileLimit bounds what is read of any file.
const fileLimit = 1 << 20

// small reads a file, which need not be there.
func small(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileLimit))
	if err != nil {
		return nil
	}
	return b
}

// first is the first line of a file.
func first(name string) string {
	line, _, _ := strings.Cut(string(small(name)), "\n")
	return strings.ToValidUTF8(strings.TrimSpace(line), "?")
}

// assignments reads NAME='value' lines.
func assignments(name string) map[string]string {
	v := map[string]string{}
	for l := range strings.Lines(string(small(name))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(l), "="); ok {
			v[name] = strings.ToValidUTF8(strings.Trim(value, `'"`), "?")
		}
	}
	return v
}
