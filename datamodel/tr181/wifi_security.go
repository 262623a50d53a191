// Device.WiFi.AccessPoint.{i}.Security.: which mode needs what, and what one
// parameter says about another. A request that leaves an access point open or
// deaf by mistake is refused as a whole; secrets are in no message.

package tr181

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Security modes, in the order of the BBF table.
const (
	modeNone       = "None"
	modeWEP64      = "WEP-64"
	modeWEP128     = "WEP-128"
	modeWPA        = "WPA-Personal"
	modeWPA2       = "WPA2-Personal"
	modeWPA3       = "WPA3-Personal"
	modeWPAWPA2    = "WPA-WPA2-Personal"
	modeTransition = "WPA3-Personal-Transition"
	modeWPAEAP     = "WPA-Enterprise"
	modeWPA2EAP    = "WPA2-Enterprise"
	modeWPA3EAP    = "WPA3-Enterprise"
	modeWPAWPA2EAP = "WPA-WPA2-Enterprise"
	modeOWE        = "OWE"
)

var securityModes = datamodel.Enum{modeNone, modeWEP64, modeWEP128, modeWPA, modeWPA2, modeWPA3, modeWPAWPA2, modeTransition,
	modeWPAEAP, modeWPA2EAP, modeWPA3EAP, modeWPAWPA2EAP, modeOWE}

// Management frame protection, weakest first.
const (
	mfpDisabled = "Disabled"
	mfpOptional = "Optional"
	mfpRequired = "Required"
)

// leastMFP is the protection that a mode comes with (WPA3 specification v3.1,
// 2.2 to 3.2; 802.11 has none without RSN).
func leastMFP(mode string) string {
	switch mode {
	case modeWPA3, modeWPA3EAP, modeOWE:
		return mfpRequired
	case modeTransition:
		return mfpOptional
	}
	return mfpDisabled
}

// Of these the order is that of strength.
func weaker(mfp, than string) bool {
	order := []string{mfpDisabled, mfpOptional, mfpRequired}
	return slices.Index(order, mfp) < slices.Index(order, than)
}

// What a mode lacks, told by the names of the parameters that would help.
var (
	errNeedWEP64  = errors.New("WEP-64 needs a WEPKey of 5 octets")
	errNeedWEP128 = errors.New("WEP-128 needs a WEPKey of 13 octets")
	errNeedKey    = errors.New("this mode needs KeyPassphrase or PreSharedKey")
	errNeedSAE    = errors.New("this mode needs KeyPassphrase or SAEPassphrase")
	errNeedBoth   = errors.New("this mode needs KeyPassphrase, or PreSharedKey with SAEPassphrase")
	errNeedRadius = errors.New("this mode needs RadiusServerIPAddr")
)

// lacksSecurity says what the mode of s lacks; nil: nothing.
func lacksSecurity(s *platform.WiFiSecurity) error {
	var ok bool
	var lacks error
	switch s.Mode {
	case modeWEP64:
		ok, lacks = len(s.WEPKey) == 5, errNeedWEP64
	case modeWEP128:
		ok, lacks = len(s.WEPKey) == 13, errNeedWEP128
	case modeWPA, modeWPA2, modeWPAWPA2:
		ok, lacks = s.Passphrase != "" || len(s.PSK) > 0, errNeedKey
	case modeWPA3:
		ok, lacks = s.Passphrase != "" || s.SAE != "", errNeedSAE
	case modeTransition:
		ok, lacks = s.Passphrase != "" || len(s.PSK) > 0 && s.SAE != "", errNeedBoth
	case modeWPAEAP, modeWPA2EAP, modeWPA3EAP, modeWPAWPA2EAP:
		ok, lacks = s.RadiusServer.IsValid() && !s.RadiusServer.IsUnspecified(), errNeedRadius
	default: // None, OWE
		return nil
	}
	if ok {
		return nil
	}
	return lacks
}

// settleSecurity works out what the assigned parameters of Security. mean
// together. A passphrase replaces a key and the other way round; of both, which
// the standard leaves undefined, the passphrase counts. A mode brings the
// protection of management frames that it demands, and a mode that is left
// takes it along.
func (a *wifiAccessPoint) settleSecurity(c datamodel.Change[wifiAccessPoint], s *platform.WiFiSecurity) {
	switch {
	case c.Set("Security.KeyPassphrase"):
		s.PSK = nil
	case c.Set("Security.PreSharedKey") && len(s.PSK) > 0:
		s.Passphrase = ""
	}
	if len(s.PSK) == 0 {
		s.PSK = nil
	}
	if c.Set("Security.MFPConfig") {
		s.MFP = a.mfp
	}
	if !c.Set("Security.ModeEnabled") {
		return
	}
	s.Mode = a.mode
	if c.Set("Security.MFPConfig") {
		return
	}
	s.MFP = a.mfp
	if c.Old != nil && c.Old.mode != a.mode && a.mfp == leastMFP(c.Old.mode) {
		s.MFP = mfpDisabled
	}
	if least := leastMFP(a.mode); weaker(s.MFP, least) {
		s.MFP = least
	}
}

var (
	errNoMode     = errors.New("not one of ModesSupported")
	errPSKLength  = errors.New("a key has 32 octets")
	errWEPLength  = errors.New("a key has 5 or 13 octets")
	errPassphrase = errors.New("a passphrase has 8 to 63 printable ASCII characters")
	errPort       = errors.New("a port is 1 to 65535")
	errLong       = errors.New("too long")
	errMFP        = errors.New("too weak for this mode")
)

// checkSecurity holds what was assigned against the mode that it is for. A row
// of the system that was incomplete before is only looked at when Security. is
// written, or when it is switched on.
func (a *wifiAccessPoint) checkSecurity(c datamodel.Change[wifiAccessPoint], bad *refusals) {
	a.checkSecrets(c, bad)
	if c.Set("Security.RadiusServerPort") && (a.radiusPort < 1 || a.radiusPort > math.MaxUint16) {
		bad.blame("Security.RadiusServerPort", errPort)
	}
	if c.Set("Security.ModeEnabled") && !slices.Contains(a.modes, a.mode) && (c.Old == nil || c.Old.mode != a.mode) {
		bad.blame("Security.ModeEnabled", fmt.Errorf("%q: %w", limit(a.mode, 32), errNoMode))
		return
	}
	if c.Set("Security.MFPConfig") && weaker(a.mfp, leastMFP(a.mode)) {
		bad.blame("Security.MFPConfig", errMFP)
	}
	if len(*bad) > 0 {
		return // what is wrong by itself is not told twice
	}
	if by := a.touched(c); by != "" {
		n := a.config(c).Security
		if err := lacksSecurity(&n); err != nil {
			bad.blame(by, err)
		}
	}
}

// touched names the parameter to blame when Security. is not complete: the mode
// that asks for more, else what was taken away from it, else the switch.
func (a *wifiAccessPoint) touched(c datamodel.Change[wifiAccessPoint]) string {
	for _, name := range []string{"Security.ModeEnabled", "Security.KeyPassphrase", "Security.PreSharedKey", "Security.SAEPassphrase",
		"Security.WEPKey", "Security.RadiusServerIPAddr"} {
		if c.Set(name) {
			return name
		}
	}
	if a.Enabled && c.Set("Enable") {
		return "Enable"
	}
	return ""
}

// checkSecrets looks at each secret by itself: those of hostapd's
// configuration are lines of it.
func (a *wifiAccessPoint) checkSecrets(c datamodel.Change[wifiAccessPoint], bad *refusals) {
	s := &a.Security
	if n := len(s.PSK); c.Set("Security.PreSharedKey") && n != 0 && n != 32 {
		bad.blame("Security.PreSharedKey", errPSKLength)
	}
	if n := len(s.WEPKey); c.Set("Security.WEPKey") && n != 5 && n != 13 {
		bad.blame("Security.WEPKey", errWEPLength)
	}
	if c.Set("Security.KeyPassphrase") && !printable(s.Passphrase) {
		bad.blame("Security.KeyPassphrase", errPassphrase)
	}
	if c.Set("Security.SAEPassphrase") {
		line("Security.SAEPassphrase", s.SAE, 63, bad)
	}
	if c.Set("Security.RadiusSecret") {
		line("Security.RadiusSecret", s.RadiusSecret, 128, bad)
	}
}

// line sees that a secret fits into a line of a configuration file.
func line(name, secret string, most int, bad *refusals) {
	switch {
	case control(secret):
		bad.blame(name, errControl)
	case len(secret) > most:
		bad.blame(name, errLong)
	}
}

// printable: IEEE 802.11-2020, J.4.1 has a passphrase of ASCII 32 to 126.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
