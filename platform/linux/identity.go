// Who the device is: DMI of a PC, the device tree of a board, the OS release;
// where these are silent, the label MAC address.

package linux

import (
	"context"
	"path/filepath"
	"strings"

	"gatehouse/platform"
)

type identity struct{ *backend }

// ID asks all sources. None of them has to exist.
func (i identity) ID(ctx context.Context) (platform.ID, error) {
	if err := ctx.Err(); err != nil {
		return platform.ID{}, err
	}
	id := i.dmi()
	fill(&id, i.board())
	fill(&id, i.release())
	label, err := i.label(ctx)
	if err != nil {
		return id, err
	}
	fill(&id, label)
	fill(&id, platform.ID{ProductClass: id.ModelName, Description: strings.TrimSpace(id.Manufacturer + " " + id.ModelName)})
	return id, nil
}

// fill takes over what is not known yet.
func fill(id *platform.ID, from platform.ID) {
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&id.Manufacturer, from.Manufacturer}, {&id.OUI, from.OUI}, {&id.ProductClass, from.ProductClass},
		{&id.SerialNumber, from.SerialNumber}, {&id.ModelName, from.ModelName}, {&id.Description, from.Description},
		{&id.HardwareVersion, from.HardwareVersion}, {&id.SoftwareVersion, from.SoftwareVersion},
	} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
}

// dmi reads the SMBIOS strings. The serial number is for root only.
func (i identity) dmi() platform.ID {
	at := func(name string) string { return dmiText(word(filepath.Join(i.paths.dmi, name))) }
	return platform.ID{
		Manufacturer: at("sys_vendor"), ModelName: at("product_name"),
		SerialNumber: at("product_serial"), HardwareVersion: at("product_version"),
	}
}

// dmiText drops what vendors leave in a field that they did not fill in.
func dmiText(s string) string {
	switch strings.ToLower(strings.Trim(s, ". ")) {
	case "to be filled by o.e.m", "default string", "not specified", "not applicable", "none", "unknown", "n/a", "na",
		"system manufacturer", "system product name", "system serial number", "system version", "o.e.m",
		"0123456789", "123456789", "1234567890", "0", "00000000", "xxxxxxxx", "invalid", "empty", "no dimm":
		return ""
	}
	return s
}

// board reads the device tree. The vendor is the prefix of "compatible".
func (i identity) board() platform.ID {
	at := func(name string) string { return word(filepath.Join(i.paths.deviceTree, name)) }
	id := platform.ID{ModelName: at("model"), SerialNumber: at("serial-number")}
	first, _, _ := strings.Cut(at("compatible"), "\x00")
	if vendor, _, ok := strings.Cut(first, ","); ok {
		id.Manufacturer = vendor
	}
	return id
}

// release reads os-release(5).
func (i identity) release() platform.ID {
	for _, name := range i.paths.osRelease {
		b, err := readFile(name, fileLimit)
		if err != nil {
			continue
		}
		v := parseAssignments(b)
		id := platform.ID{Description: v["PRETTY_NAME"], SoftwareVersion: v["IMAGE_VERSION"]}
		if id.SoftwareVersion == "" {
			id.SoftwareVersion = v["VERSION_ID"]
			if build := v["BUILD_ID"]; build != "" && build != id.SoftwareVersion {
				id.SoftwareVersion = strings.TrimPrefix(id.SoftwareVersion+"-"+build, "-")
			}
		}
		return id
	}
	return platform.ID{}
}

// parseAssignments reads NAME=value lines as a shell would, without its
// substitutions.
func parseAssignments(b []byte) map[string]string {
	v := map[string]string{}
	for l := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimSpace(l), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = strings.NewReplacer(`\"`, `"`, `\$`, `$`, `\\`, `\`, "\\`", "`").Replace(value[1 : n-1])
		}
		v[name] = strings.ToValidUTF8(value, "?")
	}
	return v
}

// label makes OUI and serial number of the permanent address of the first
// physical Ethernet port; one that the IEEE has assigned comes before one that
// was made up.
func (i identity) label(ctx context.Context) (platform.ID, error) {
	raw, err := i.rawLinks(ctx, skipStats)
	if err != nil {
		return platform.ID{}, err
	}
	best := ""
	for _, l := range raw {
		addr := l.permanent
		if addr == "" {
			addr = l.mac
		}
		if addr == "" || l.linkKind() != platform.LinkEthernet || i.radio(l.name) || !i.physical(&l) {
			continue
		}
		if best == "" || local(best) && !local(addr) {
			best = addr
		}
	}
	if best == "" {
		return platform.ID{}, nil
	}
	serial := strings.ToUpper(strings.ReplaceAll(best, ":", ""))
	return platform.ID{OUI: serial[:6], SerialNumber: serial}, nil
}

// local says whether an address is locally administered (IEEE 802, bit U/L).
func local(mac string) bool { return strings.ContainsRune("2367abef", rune(mac[1])) }

// physical says whether there is a device behind the link.
func (i identity) physical(l *rawLink) bool {
	return l.kind != "veth" && (l.device != "" || l.kind == "dsa" ||
		i.ns == nil && exists(filepath.Join(i.paths.class, l.name, "device")))
}
