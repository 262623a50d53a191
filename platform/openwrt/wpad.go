// How stations can prove themselves: what the installed hostapd was built with.
// A word that it was built without is an error to it, and it then starts none of
// the radio's networks.

package openwrt

import (
	"context"
	"os"
	"slices"
	"strings"
)

// modes are the ModeEnabled that can be asked for; nil when no package says so:
// images may come without the list of what they are made of.
func (w wifi) modes(ctx context.Context) ([]string, error) {
	v, err := w.bus.once(ctx, question{object: "packages"}, func(context.Context) (any, error) {
		var all []string
		for _, folder := range w.paths.packages {
			files, err := os.ReadDir(folder)
			if err != nil {
				continue // the other package manager's
			}
			for _, f := range files {
				name, _ := strings.CutSuffix(f.Name(), ".list")
				for _, mode := range builtWith(name) {
					if !slices.Contains(all, mode) {
						all = append(all, mode)
					}
				}
			}
		}
		return all, nil
	})
	all, _ := v.([]string)
	return all, err
}

// builtWith says what the package of a hostapd was built with: wpad-basic-mbedtls,
// hostapd-openssl, wpad-mesh-wolfssl, wpad-mini; nil: it is of something else.
// SAE and OWE want a library of cryptography. WEP is not offered: most of them
// lack it, and it takes 802.11n along.
func builtWith(name string) []string {
	parts := strings.Split(name, "-")
	if parts[0] != "wpad" && parts[0] != "hostapd" || name == "hostapd-common" || name == "hostapd-utils" {
		return nil
	}
	has := func(s string) bool { return slices.Contains(parts[1:], s) }
	crypto := has("mbedtls") || has("openssl") || has("wolfssl")
	radius := !has("mini") && !has("basic")
	all := []string{"None", "WPA-Personal", "WPA2-Personal", "WPA-WPA2-Personal"}
	if crypto {
		all = append(all, "WPA3-Personal", "WPA3-Personal-Transition", "OWE")
	}
	if radius {
		all = append(all, "WPA-Enterprise", "WPA2-Enterprise", "WPA-WPA2-Enterprise")
	}
	if crypto && radius {
		all = append(all, "WPA3-Enterprise")
	}
	return all
}
