// Device.DeviceInfo.: identity, and what else the object itself holds.

package tr181

import (
	"cmp"
	"context"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DeviceInfo.: who the device is. The identity comes from the agent,
// which knows what the configuration says over the platform.
type deviceInfo struct {
	platform.ID
	provisioningCode string
	upTime           uint32
	hostName         string
}

var deviceInfoParams = []datamodel.Param[deviceInfo]{
	{Name: "Manufacturer", At: func(d *deviceInfo) any { return &d.Manufacturer }, Check: datamodel.Len{Max: 64}},
	{Name: "ManufacturerOUI", At: func(d *deviceInfo) any { return &d.OUI },
		Check: datamodel.All{datamodel.Len{Min: 6, Max: 6}, datamodel.Pattern{`[0-9A-F]{6}`}}},
	{Name: "ModelName", At: func(d *deviceInfo) any { return &d.ModelName }, Check: datamodel.Len{Max: 64}},
	{Name: "Description", At: func(d *deviceInfo) any { return &d.Description }, Check: datamodel.Len{Max: 256}},
	{Name: "ProductClass", At: func(d *deviceInfo) any { return &d.ProductClass }, Check: datamodel.Len{Max: 64}},
	{Name: "SerialNumber", At: func(d *deviceInfo) any { return &d.SerialNumber }, Check: datamodel.Len{Max: 64}},
	{Name: "HardwareVersion", At: func(d *deviceInfo) any { return &d.HardwareVersion }, Check: datamodel.Len{Max: 64}, Inform: true},
	{Name: "SoftwareVersion", At: func(d *deviceInfo) any { return &d.SoftwareVersion }, Check: datamodel.Len{Max: 64},
		Inform: true, Notify: datamodel.NotifyForced},
	{Name: "ProvisioningCode", At: func(d *deviceInfo) any { return &d.provisioningCode }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 64}, Inform: true, Notify: datamodel.NotifyForced},
	{Name: "UpTime", At: func(d *deviceInfo) any { return &d.upTime }, Notify: datamodel.NotifyNever},
	{Name: "HostName", At: func(d *deviceInfo) any { return &d.hostName }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 255}},
}

const provisioningCode = "DeviceInfo.ProvisioningCode"

func (m *Model) deviceInfo() datamodel.Object {
	src := datamodel.Source[deviceInfo]{
		Topics: []datamodel.Topic{HostnameChanged, SettingsChanged},
		Keys:   datamodel.Always,
		Rows:   datamodel.One(func(ctx context.Context, _ []datamodel.Key) (deviceInfo, error) { return m.readDeviceInfo(ctx) }),
	}
	if m.p.System == nil {
		src.Without = append(src.Without, "UpTime", "HostName")
	}
	if m.a.Settings == nil {
		src.Without = append(src.Without, "ProvisioningCode")
	}
	if !m.namesHost() {
		src.ReadOnly = []string{"HostName"}
	}
	if m.a.Settings != nil || m.namesHost() {
		src.Stage = m.stageDeviceInfo
	}
	return datamodel.Define("Device.DeviceInfo.", deviceInfoParams, src)
}

// namesHost says whether the platform keeps the device's name.
func (m *Model) namesHost() bool { return m.p.Config != nil && m.p.Host != nil && m.p.System != nil }

func (m *Model) stageDeviceInfo(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[deviceInfo]) error {
	if c.Set("ProvisioningCode") {
		if err := m.a.Settings.Stage(tx, provisioningCode, c.New.provisioningCode); err != nil {
			return err
		}
	}
	if !c.Set("HostName") || c.New.hostName == c.Old.hostName {
		return nil
	}
	rows, err := configured(ctx, m, "host name", m.p.Host)
	if err != nil || len(rows) == 0 {
		return cmp.Or(lacking(err), datamodel.ErrGone)
	}
	return putRow(ctx, m, tx, m.p.Host, rows[0].Key, platform.HostConfig{Name: c.New.hostName}, "HostName")
}

func (m *Model) readDeviceInfo(ctx context.Context) (d deviceInfo, err error) {
	if m.a.Identity != nil {
		d.ID = m.a.Identity()
		for _, s := range []*string{&d.Manufacturer, &d.ModelName, &d.ProductClass, &d.SerialNumber, &d.HardwareVersion, &d.SoftwareVersion} {
			*s = limit(*s, 64)
		}
		d.Description = limit(d.Description, 256)
	}
	if m.a.Settings != nil {
		d.provisioningCode = m.a.Settings.Get(provisioningCode)
	}
	if m.p.System == nil {
		return d, nil
	}
	up, err := m.p.System.Uptime(ctx)
	if err != nil {
		// Who the device is must not hang on a clock: every Inform needs it. The
		// agent was started with the device, or soon after.
		up = time.Since(m.a.Start)
	}
	d.upTime = seconds(up)
	name, err := m.p.System.Hostname(ctx)
	if m.namesHost() {
		// What is written is read from where it is written. What cannot be read
		// there must not keep an Inform from saying who the device is.
		if rows, err := configured(ctx, m, "host name", m.p.Host); err == nil && len(rows) > 0 && rows[0].Value.Name != "" {
			name = rows[0].Value.Name
		}
	}
	d.hostName = limit(name, 255)
	return d, lacking(err)
}
