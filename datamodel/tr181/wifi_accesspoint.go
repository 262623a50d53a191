// Device.WiFi.AccessPoint., with Security. and WPS.; what makes a Security
// complete is in wifi_security.go.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.WiFi.AccessPoint.{i}.: how stations may join an SSID. One without an
// SSID, or whose SSID is gone, is kept and says that it is misconfigured.
type wifiAccessPoint struct {
	platform.AccessPoint // as configured; secrets are hidden, never printed

	alias        datamodel.Alias
	status       string
	ssid         datamodel.Ref
	wmm, uapsd   bool     // can do
	modes        []string // can be; all that are known when nobody says
	mode, mfp    string
	rekey        uint32 // seconds
	radiusServer string
	radiusPort   uint32
	wpsMethods   []string // can do
}

var wifiAccessPointParams = []datamodel.Param[wifiAccessPoint]{
	{Name: "Enable", At: func(a *wifiAccessPoint) any { return &a.Enabled }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(a *wifiAccessPoint) any { return &a.status },
		Check: datamodel.Enum{"Disabled", "Enabled", "Error_Misconfigured", "Error"}},
	{Name: "Alias", At: func(a *wifiAccessPoint) any { return &a.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "SSIDReference", At: func(a *wifiAccessPoint) any { return &a.ssid }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{wifiSSIDPath}},
	{Name: "SSIDAdvertisementEnabled", At: func(a *wifiAccessPoint) any { return &a.Advertised }, Access: datamodel.ReadWrite},
	{Name: "WMMCapability", At: func(a *wifiAccessPoint) any { return &a.wmm }},
	{Name: "UAPSDCapability", At: func(a *wifiAccessPoint) any { return &a.uapsd }},
	{Name: "WMMEnable", At: func(a *wifiAccessPoint) any { return &a.WMM }, Access: datamodel.ReadWrite},
	{Name: "UAPSDEnable", At: func(a *wifiAccessPoint) any { return &a.UAPSD }, Access: datamodel.ReadWrite},
	{Name: "IsolationEnable", At: func(a *wifiAccessPoint) any { return &a.Isolated }, Access: datamodel.ReadWrite},
	{Name: "MACAddressControlEnabled", At: func(a *wifiAccessPoint) any { return &a.MACFilter }, Access: datamodel.ReadWrite},
	{Name: "AllowedMACAddress", At: func(a *wifiAccessPoint) any { return &a.AllowedMAC }, Access: datamodel.ReadWrite,
		Check: datamodel.List{Of: datamodel.MACAddress{}}},
	{Name: "MaxAllowedAssociations", At: func(a *wifiAccessPoint) any { return &a.MaxDevices }, Access: datamodel.ReadWrite},
	{Name: "Security.ModesSupported", At: func(a *wifiAccessPoint) any { return &a.modes }, Check: datamodel.List{Of: securityModes}},
	{Name: "Security.ModeEnabled", At: func(a *wifiAccessPoint) any { return &a.mode }, Access: datamodel.ReadWrite},
	{Name: "Security.WEPKey", At: func(a *wifiAccessPoint) any { return &a.Security.WEPKey }, Access: datamodel.ReadWrite, Hidden: true,
		Check: datamodel.Hex{Min: 5, Max: 13}},
	{Name: "Security.PreSharedKey", At: func(a *wifiAccessPoint) any { return &a.Security.PSK }, Access: datamodel.ReadWrite, Hidden: true,
		Check: datamodel.Hex{Max: 32}},
	{Name: "Security.KeyPassphrase", At: func(a *wifiAccessPoint) any { return &a.Security.Passphrase }, Access: datamodel.ReadWrite, Hidden: true,
		Check: datamodel.Len{Min: 8, Max: 63}},
	{Name: "Security.RekeyingInterval", At: func(a *wifiAccessPoint) any { return &a.rekey }, Access: datamodel.ReadWrite},
	{Name: "Security.SAEPassphrase", At: func(a *wifiAccessPoint) any { return &a.Security.SAE }, Access: datamodel.ReadWrite, Hidden: true},
	{Name: "Security.RadiusServerIPAddr", At: func(a *wifiAccessPoint) any { return &a.radiusServer }, Access: datamodel.ReadWrite,
		Check: datamodel.IPAddress{}},
	{Name: "Security.RadiusServerPort", At: func(a *wifiAccessPoint) any { return &a.radiusPort }, Access: datamodel.ReadWrite},
	{Name: "Security.RadiusSecret", At: func(a *wifiAccessPoint) any { return &a.Security.RadiusSecret }, Access: datamodel.ReadWrite, Hidden: true},
	{Name: "Security.MFPConfig", At: func(a *wifiAccessPoint) any { return &a.mfp }, Access: datamodel.ReadWrite,
		Check: datamodel.Enum{mfpDisabled, mfpOptional, mfpRequired}},
	{Name: "WPS.Enable", At: func(a *wifiAccessPoint) any { return &a.WPS }, Access: datamodel.ReadWrite},
	{Name: "WPS.ConfigMethodsSupported", At: func(a *wifiAccessPoint) any { return &a.wpsMethods },
		Check: datamodel.List{Of: datamodel.Enum{"USBFlashDrive", "Ethernet", "Label", "Display", "ExternalNFCToken", "IntegratedNFCToken",
			"NFCInterface", "PushButton", "PIN", "PhysicalPushButton", "PhysicalDisplay", "VirtualPushButton", "VirtualDisplay"}}},
	{Name: "WPS.ConfigMethodsEnabled", At: func(a *wifiAccessPoint) any { return &a.WPSMethods }, Access: datamodel.ReadWrite},
}

func (m *Model) wifiAccessPoint() datamodel.Object {
	return datamodel.Define(wifiAccessPointPath, wifiAccessPointParams, datamodel.Source[wifiAccessPoint]{
		Topics: []datamodel.Topic{WiFiChanged, ConfigChanged},
		Rows:   m.wifiAccessPointRows,
		Unique: [][]string{{"SSIDReference"}},
		Check:  checkWiFiAccessPoint,
		New:    m.newWiFiAccessPoint,
		Stage: func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[wifiAccessPoint]) error {
			if c.New == nil {
				return deleteRow(ctx, m, tx, m.p.WiFi.AccessPoints, at[0])
			}
			return putRow(ctx, m, tx, m.p.WiFi.AccessPoints, at[0], c.New.config(c), firstSet(wifiAccessPointParams, c))
		},
	})
}

// newWiFiAccessPoint is what AddObject makes: closed and switched off, with the
// defaults of the BBF table where a row of the platform has none.
func (m *Model) newWiFiAccessPoint(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *wifiAccessPoint, error) {
	w, err := m.readWireless(ctx)
	if err != nil {
		return "", nil, err
	}
	key, a, err := m.p.WiFi.AccessPoints.Fresh(ctx)
	a.Enabled, a.SSID = false, ""
	if a.Security.Rekey == 0 {
		a.Security.Rekey = time.Hour
	}
	if a.Security.RadiusPort == 0 {
		a.Security.RadiusPort = 1812
	}
	return key, new(w.accessPoint(a)), lacking(err)
}

func (m *Model) wifiAccessPointRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[wifiAccessPoint], error] {
	return func(yield func(datamodel.Row[wifiAccessPoint], error) bool) {
		aps, err := m.accessPoints(ctx)
		var w wireless
		if err == nil {
			w, err = m.readWireless(ctx)
		}
		if err != nil {
			yield(datamodel.Row[wifiAccessPoint]{}, err)
			return
		}
		for _, e := range aps {
			if !yield(datamodel.Row[wifiAccessPoint]{Key: e.Key, Value: new(w.accessPoint(e.Value))}, nil) {
				return
			}
		}
	}
}

// accessPoint makes the row of an access point.
func (w *wireless) accessPoint(a platform.AccessPoint) wifiAccessPoint {
	row := wifiAccessPoint{
		AccessPoint: a, status: w.accessPointStatus(a), ssid: wifiRef(wifiSSIDPath, a.SSID),
		rekey: seconds(a.Security.Rekey), radiusPort: uint32(a.Security.RadiusPort),
	}
	if a.Security.RadiusServer.IsValid() {
		row.radiusServer = a.Security.RadiusServer.String()
	}
	if row.mode = a.Security.Mode; row.mode == "" {
		row.mode = modeNone
	}
	if row.mfp = a.Security.MFP; row.mfp == "" {
		row.mfp = leastMFP(row.mode)
	}
	row.abilities(w, a.SSID)
	return row
}

// abilities are those of the radio that the access point is on. While it is on
// none, it may still be put on any.
func (a *wifiAccessPoint) abilities(w *wireless, ssid string) {
	radio := ""
	if s := entry(w.ssids, ssid); s != nil {
		radio = s.Radio
	}
	_, there := radioState(w.can, radio)
	var modes, methods []string
	for _, r := range w.can {
		if there && r.Key != radio {
			continue
		}
		modes, methods = append(modes, r.Modes...), append(methods, r.WPSMethods...)
		a.wmm, a.uapsd = a.wmm || r.WMM, a.uapsd || r.UAPSD
	}
	for _, mode := range securityModes {
		if modes == nil || slices.Contains(modes, mode) {
			a.modes = append(a.modes, mode)
		}
	}
	slices.Sort(methods)
	a.wpsMethods = slices.Compact(methods)
}

// accessPointStatus: one that serves is enabled. One that is complete and does
// not is down with its SSID, whose Status says why.
func (w *wireless) accessPointStatus(a platform.AccessPoint) string {
	switch {
	case !a.Enabled:
		return "Disabled"
	case entry(w.ssids, a.SSID) == nil, lacksSecurity(&a.Security) != nil:
		return "Error_Misconfigured"
	}
	return enabled(ssidState(w.up, a.SSID).Up)
}

// config is the row as the platform keeps it. What one parameter says about
// another follows here, so that their order in a request does not matter.
func (a wifiAccessPoint) config(c datamodel.Change[wifiAccessPoint]) platform.AccessPoint {
	n := a.AccessPoint
	if c.Set("SSIDReference") {
		n.SSID = keyOf(a.ssid)
	}
	if c.Set("Security.RekeyingInterval") {
		n.Security.Rekey = time.Duration(a.rekey) * time.Second
	}
	if c.Set("Security.RadiusServerIPAddr") {
		n.Security.RadiusServer, _ = netip.ParseAddr(a.radiusServer) // checked; "" is none
	}
	if c.Set("Security.RadiusServerPort") {
		n.Security.RadiusPort = uint16(a.radiusPort)
	}
	a.settleSecurity(c, &n.Security)
	return n
}

var (
	errNoWMM   = errors.New("this radio does not support WMM")
	errNoUAPSD = errors.New("this radio does not support U-APSD")
	errNoWPS   = errors.New("this radio does not support WPS")
	errMethod  = errors.New("not one of WPS.ConfigMethodsSupported")
	errAIDs    = errors.New("IEEE 802.11 has numbers for 2007 stations; 0 is no limit")
)

func checkWiFiAccessPoint(c datamodel.Change[wifiAccessPoint]) error {
	if c.New == nil {
		return nil
	}
	a, was, bad := c.New, wifiAccessPoint{}, refusals{}
	if c.Old != nil { // what is as it was is not asked about
		was = *c.Old
	}
	if a.WMM && !was.WMM && c.Set("WMMEnable") && !a.wmm {
		bad.blame("WMMEnable", errNoWMM)
	}
	if a.UAPSD && !was.UAPSD && c.Set("UAPSDEnable") && !a.uapsd {
		bad.blame("UAPSDEnable", errNoUAPSD)
	}
	if a.WPS && !was.WPS && c.Set("WPS.Enable") && len(a.wpsMethods) == 0 {
		bad.blame("WPS.Enable", errNoWPS)
	}
	for _, method := range a.WPSMethods {
		if c.Set("WPS.ConfigMethodsEnabled") && !slices.Contains(a.wpsMethods, method) && !slices.Contains(was.WPSMethods, method) {
			bad.blame("WPS.ConfigMethodsEnabled", fmt.Errorf("%q: %w", limit(method, 32), errMethod))
		}
	}
	if c.Set("MaxAllowedAssociations") && a.MaxDevices > 2007 {
		bad.blame("MaxAllowedAssociations", errAIDs)
	}
	a.checkSecurity(c, &bad)
	return bad.err()
}
