package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
	"gatehouse/platform"
)

// identify says who the device is: what the configuration or the factory file
// says, else what the platform found out. An ACS knows a device by its OUI and
// serial number, so without these there is nothing to start.
func (a *Agent) identify(ctx context.Context) (platform.ID, error) {
	var id platform.ID
	if p := a.cfg.Platform.Identity; p != nil {
		var err error
		if id, err = p.ID(ctx); err != nil {
			a.log.Warn("the platform does not tell who the device is", "err", err)
		}
	}
	for _, f := range []struct {
		name string
		at   *string
	}{
		{settings.Manufacturer, &id.Manufacturer},
		{settings.ManufacturerOUI, &id.OUI},
		{settings.ModelName, &id.ModelName},
		{settings.Description, &id.Description},
		{settings.ProductClass, &id.ProductClass},
		{settings.SerialNumber, &id.SerialNumber},
		{settings.HardwareVersion, &id.HardwareVersion},
		{settings.SoftwareVersion, &id.SoftwareVersion},
	} {
		if v := a.settings.Get(f.name); v != "" {
			*f.at = v
		}
	}
	var missing []string
	if id.OUI == "" {
		missing = append(missing, "manufacturer_oui")
	}
	if id.SerialNumber == "" {
		missing = append(missing, "serial_number")
	}
	if len(missing) > 0 {
		return id, errConfig{fmt.Errorf("nothing tells the device's %s: set the options in section cpe of %s",
			strings.Join(missing, " and "), a.cfg.ConfigFile)}
	}
	if id.Manufacturer == "" {
		id.Manufacturer = "unknown"
	}
	return id, nil
}

// describe adds to the status what only the agent as a whole knows.
func (a *Agent) describe(st *api.Status) {
	st.ACS = a.settings.Get(settings.URL)
	st.Version = a.cfg.Version
	st.Platform = a.cfg.Platform.Name
	st.Device = map[string]string{
		"Manufacturer": a.id.Manufacturer, "OUI": a.id.OUI,
		"ProductClass": a.id.ProductClass, "SerialNumber": a.id.SerialNumber,
	}
	st.SafeMode = a.safe
	st.TakenBack = a.after.told()
	if err := a.state.Unread(); err != nil {
		st.StoreError = strings.TrimSpace(st.StoreError + " " + sentence(err.Error()))
	}
	st.ConnectionRequestURL = a.reach.ConnectionRequestURL()
	a.fill(st)
	a.acsChannel(st)
	a.transports(st)
	st.Absent = a.absent()
}

// absent lists the areas that this platform, or this user, cannot serve.
func (a *Agent) absent() (areas []string) {
	p := a.cfg.Platform
	for _, r := range []struct {
		area string
		have bool
	}{
		{"interfaces", p.Links != nil},
		{"addresses", p.Addresses != nil},
		{"routes", p.Routes != nil},
		{"hosts", p.Neighbors != nil},
		{"DNS", p.Resolver != nil},
		{"time", p.Clock != nil},
		{"changes of the network", p.Network != nil},
		{"address translation", p.NAT.Mappings != nil},
		{"reboot and factory reset", p.Power != nil},
	} {
		if !r.have {
			areas = append(areas, r.area)
		}
	}
	return areas
}

// origin names the layer that decided a setting, "" for what is none.
func (a *Agent) origin(path string) string {
	name, ok := strings.CutPrefix(path, "Device.")
	if !ok || !a.settings.Known(name) {
		return ""
	}
	return a.settings.Origin(name).String()
}

var errNoPower = errors.New("this platform cannot restart the device")

// findBootID tells this boot of the device from any other.
func (a *Agent) findBootID(ctx context.Context) string {
	if sys := a.cfg.Platform.System; sys != nil {
		id, err := sys.BootID(ctx)
		if err != nil {
			a.log.Warn("the boot cannot be told from the last one", "err", err)
		}
		if id != "" {
			return id
		}
	}
	return "unknown"
}
