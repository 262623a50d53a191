package uciconf

// How stations prove themselves: encryption, and what goes with it. The option
// key is what is in use: the passphrase, the pre-shared key, in WPA3 the
// passphrase of SAE, in WEP the number of a key. What is not in use at the moment
// is kept beside it.

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// modes are the words of encryption (the part before a cipher), the first of
// each mode the one that is written, and what hostapd does about protected
// management frames when nobody says.
var modes = []struct{ uci, mode, mfp string }{
	{"none", "None", "Disabled"},
	{"psk2", "WPA2-Personal", "Disabled"},
	{"psk", "WPA-Personal", "Disabled"},
	{"psk-mixed", "WPA-WPA2-Personal", "Disabled"},
	{"sae", "WPA3-Personal", "Required"},
	{"psk3", "WPA3-Personal", "Required"},
	{"sae-mixed", "WPA3-Personal-Transition", "Optional"},
	{"psk3-mixed", "WPA3-Personal-Transition", "Optional"},
	{"wpa2", "WPA2-Enterprise", "Disabled"},
	{"wpa", "WPA-Enterprise", "Disabled"},
	{"wpa-mixed", "WPA-WPA2-Enterprise", "Disabled"},
	{"wpa3", "WPA3-Enterprise", "Required"},
	{"wpa3-mixed", "WPA3-Enterprise", "Optional"},
	{"wpa3-192", "WPA3-Enterprise", "Required"},
	{"owe", "OWE", "Required"},
}

const (
	keptPass = own + "passphrase"   // of WPA and WPA2, while key is something else
	keptSAE  = own + "sae_password" // of WPA3, while key is something else
	keyIsSAE = own + "sae"
)

var securityOptions = []string{
	"encryption", "key", "key1", "key2", "key3", "key4", "auth_server", "auth_port", "auth_secret",
	"ieee80211w", "wpa_group_rekey", keptPass, keptSAE, keyIsSAE,
}

func readSecurity(s *uci.Section) platform.WiFiSecurity {
	mode, mfp := readEncryption(s)
	r := platform.WiFiSecurity{
		Mode:         mode,
		MFP:          mfp,
		WEPKey:       readWEP(s),
		Rekey:        time.Duration(number(s, "wpa_group_rekey")) * time.Second,
		RadiusPort:   uint16(min(number(s, "auth_port"), 65535)),
		RadiusSecret: s.Get("auth_secret"),
	}
	r.RadiusServer, _ = netip.ParseAddr(s.Get("auth_server"))
	if r.RadiusPort == 0 {
		r.RadiusPort = 1812
	}
	enterprise := strings.HasSuffix(mode, "-Enterprise")
	if enterprise && r.RadiusSecret == "" {
		r.RadiusSecret = s.Get("key")
	}
	pass := s.Get("key")
	r.SAE = s.Get(keptSAE)
	switch {
	case isSet(s, keyIsSAE, false):
		r.SAE, pass = pass, s.Get(keptPass)
	case strings.HasPrefix(mode, "WEP"), enterprise:
		pass = s.Get(keptPass)
	}
	if isHex(pass, 64) {
		r.PSK, _ = hex.DecodeString(pass)
	} else {
		r.Passphrase = pass
	}
	return r
}

func readEncryption(s *uci.Section) (mode, mfp string) {
	word, _, _ := strings.Cut(s.Get("encryption"), "+")
	mode, mfp = "None", "Disabled"
	if strings.HasPrefix(word, "wep") {
		mode = "WEP-64"
		if len(readWEP(s)) > 5 {
			mode = "WEP-128"
		}
	}
	for _, m := range modes {
		if m.uci == word {
			mode, mfp = m.mode, m.mfp
		}
	}
	switch s.Get("ieee80211w") {
	case "0":
		mfp = "Disabled"
	case "1":
		mfp = "Optional"
	case "2":
		mfp = "Required"
	}
	return mode, mfp
}

// readWEP is the key in use: key is its number, or the key itself.
func readWEP(s *uci.Section) []byte {
	text := s.Get("key1")
	if n := s.Get("key"); len(n) == 1 && n >= "1" && n <= "4" {
		text = s.Get("key" + n)
	}
	if ascii, ok := strings.CutPrefix(text, "s:"); ok {
		return []byte(ascii)
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}

// writeSecurity writes what differs, and says whether anything did that
// decides who may join.
func (e *edit) writeSecurity(s *uci.Section, old, r *platform.WiFiSecurity) (changed bool, err error) {
	changed = old.Mode != r.Mode || old.Passphrase != r.Passphrase || old.SAE != r.SAE ||
		!bytes.Equal(old.PSK, r.PSK) || !bytes.Equal(old.WEPKey, r.WEPKey) || old.RadiusServer != r.RadiusServer
	if old.Mode != r.Mode {
		word, err := encryption(r.Mode)
		if err != nil {
			return false, err
		}
		e.set(s, "encryption", word)
	}
	if old.RadiusServer != r.RadiusServer {
		e.set(s, "auth_server", text(r.RadiusServer))
	}
	if old.RadiusPort != r.RadiusPort {
		port := uint32(r.RadiusPort)
		if port == 1812 {
			port = 0
		}
		e.num(s, "auth_port", uint32(old.RadiusPort), port)
	}
	if old.RadiusSecret != r.RadiusSecret {
		e.set(s, "auth_secret", r.RadiusSecret)
	}
	if changed {
		if err := e.writeKeys(s, old, r); err != nil {
			return false, err
		}
	}
	e.num(s, "wpa_group_rekey", uint32(old.Rekey/time.Second), uint32(r.Rekey/time.Second))
	if old.MFP != r.MFP {
		word := map[string]string{"Disabled": "0", "Optional": "1", "Required": "2"}[r.MFP]
		if word == "" {
			return false, fmt.Errorf("MFP %q: %w", r.MFP, platform.ErrUnsupported)
		}
		e.set(s, "ieee80211w", "")
		if _, usual := readEncryption(s); usual != r.MFP {
			e.set(s, "ieee80211w", word)
		}
	}
	return changed, nil
}

func encryption(mode string) (string, error) {
	if mode == "WEP-64" || mode == "WEP-128" {
		return "wep-open", nil
	}
	for _, m := range modes {
		if m.mode == mode {
			return m.uci, nil
		}
	}
	return "", fmt.Errorf("security mode %q: %w", mode, platform.ErrUnsupported)
}

// writeKeys puts the secret of the mode into key and keeps the others.
func (e *edit) writeKeys(s *uci.Section, old, r *platform.WiFiSecurity) error {
	pass := r.Passphrase
	switch {
	case r.PSK != nil && (pass == "" || pass == old.Passphrase && !bytes.Equal(old.PSK, r.PSK)):
		if len(r.PSK) != 32 {
			return fmt.Errorf("pre-shared key of %d bytes: it has 32", len(r.PSK))
		}
		pass = hex.EncodeToString(r.PSK)
	case pass != "" && pass != old.Passphrase && (len(pass) < 8 || len(pass) > 63):
		return fmt.Errorf("passphrase of %d bytes: it has 8 to 63", len(pass))
	}
	if old.SAE != r.SAE && len(r.SAE) > 63 { // 64 are read as a key in hexadecimal
		return fmt.Errorf("SAE passphrase of %d bytes: it has up to 63", len(r.SAE))
	}
	if !bytes.Equal(old.WEPKey, r.WEPKey) {
		if n := len(r.WEPKey); n != 0 && n != 5 && n != 13 {
			return fmt.Errorf("WEP key of %d bytes: it has 5 or 13", n)
		}
		e.set(s, "key1", hex.EncodeToString(r.WEPKey))
	}
	key, sae, isSAE := pass, r.SAE, ""
	kept := ""
	switch {
	case strings.HasPrefix(r.Mode, "WEP"):
		key, kept = "1", pass
	case strings.HasSuffix(r.Mode, "-Enterprise"):
		// Without a secret of its own hostapd takes key for RADIUS.
		e.str(s, "auth_secret", s.Get("auth_secret"), r.RadiusSecret)
		key, kept = "", pass
	case r.Mode == "WPA3-Personal" && sae != "":
		key, sae, kept, isSAE = sae, "", pass, "1"
	case r.Mode == "WPA3-Personal-Transition" && sae != "" && sae != pass:
		return fmt.Errorf("another passphrase for WPA3 than for WPA2 on one network: %w", platform.ErrUnsupported)
	}
	e.str(s, "key", s.Get("key"), key)
	e.str(s, keptPass, s.Get(keptPass), kept)
	e.str(s, keptSAE, s.Get(keptSAE), sae)
	e.str(s, keyIsSAE, s.Get(keyIsSAE), isSAE)
	return nil
}

// joinable says whether a section has what hostapd has to know for its mode.
func joinable(s *uci.Section) bool {
	r := readSecurity(s)
	switch {
	case s.Get("ssid") == "":
		return false
	case strings.HasSuffix(r.Mode, "-Enterprise"):
		return r.RadiusServer.IsValid()
	case strings.HasPrefix(r.Mode, "WEP"):
		return len(r.WEPKey) > 0
	case strings.Contains(r.Mode, "-Personal"):
		key := s.Get("key")
		return len(key) >= 8 && len(key) <= 63 || isHex(key, 64)
	}
	return true
}
