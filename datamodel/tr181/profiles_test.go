// The profiles of the Broadband Forum, which say what a device has to have that
// says it can do a thing.

package tr181_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/datamodel"
	"gatehouse/platform/fake"
)

// belowProfiles is what a profile asks for and the model has on no platform.
var belowProfiles = []string{
	// Linux counts packets of a link, and of the received ones those to groups.
	"IPInterface:2 Device.IP.Interface.{i}.Stats.UnicastPacketsSent missing",
	"IPInterface:2 Device.IP.Interface.{i}.Stats.UnicastPacketsReceived missing",
	"IPInterface:2 Device.IP.Interface.{i}.Stats.MulticastPacketsSent missing",
	"IPInterface:2 Device.IP.Interface.{i}.Stats.BroadcastPacketsSent missing",
	"IPInterface:2 Device.IP.Interface.{i}.Stats.BroadcastPacketsReceived missing",
	"IPInterface:2 Device.IP.Interface.{i}.Stats.UnknownProtoPacketsReceived missing",
	// Linux cannot do without IPv4.
	"IPInterface:2 Device.IP.IPv4Enable not readWrite",
	// Neither OpenWrt nor Debian comes with a RIP daemon.
	"Routing:2 Device.Routing.RIP. missing",
	"Routing:2 Device.Routing.RIP.Enable missing",
	"Routing:2 Device.Routing.RIP.SupportedModes missing",
	"Routing:2 Device.Routing.RIP.InterfaceSettingNumberOfEntries missing",
	"Routing:2 Device.Routing.RIP.InterfaceSetting.{i}. missing",
	"Routing:2 Device.Routing.RIP.InterfaceSetting.{i}.Enable missing",
	"Routing:2 Device.Routing.RIP.InterfaceSetting.{i}.Status missing",
	"Routing:2 Device.Routing.RIP.InterfaceSetting.{i}.Interface missing",
	"Routing:2 Device.Routing.RIP.InterfaceSetting.{i}.AcceptRA missing",
	"Routing:2 Device.Routing.RIP.InterfaceSetting.{i}.SendRA missing",
	// One router, the device, which cannot be taken away.
	"Routing:2 Device.Routing.Router.{i}. not createDelete",
	// OpenWrt has no switch for all of IPv6, and the kernel's forgets those of the
	// links: IP.Interface.{i}.IPv6Enable is the one to turn.
	"IPv6Interface:1 Device.IP.IPv6Enable not readWrite",
	// Without a resolver the device would not find its ACS to hear otherwise.
	"Baseline:4 Device.DNS.Client.Enable not readWrite",
}

// belowOnLinks is what is below besides where links are the interfaces.
var belowOnLinks = []string{
	// They are made by whoever makes the links, one above the other.
	"IPInterface:2 Device.IP.Interface.{i}. not createDelete",
	"IPInterface:2 Device.IP.Interface.{i}.LowerLayers not readWrite",
	"IPv6Interface:1 Device.IP.Interface.{i}. not createDelete",
	"IPv6Interface:1 Device.IP.Interface.{i}.LowerLayers not readWrite",
	// IPv4 goes with the link.
	"IPInterface:2 Device.IP.Interface.{i}.IPv4Enable not readWrite",
	// Nothing there gives links their shares of a prefix.
	"IPv6Interface:1 Device.IP.ULAPrefix missing",
	"IPv6Interface:1 Device.IP.Interface.{i}.ULAEnable missing",
}

// A router has what the profiles of its areas ask for.
func TestProfiles(t *testing.T) {
	for name, c := range map[string]struct {
		router *fake.Router
		below  []string
	}{
		"logical interfaces": {fake.NewLogical(), belowProfiles},
		"links":              {fake.New(), slices.Concat(belowProfiles, belowOnLinks)},
	} {
		t.Run(name, func(t *testing.T) {
			below := belowProfilesOf(t, c.router)
			slices.Sort(below)
			if diff := cmp.Diff(slices.Sorted(slices.Values(c.below)), below); diff != "" {
				t.Errorf("what is below the profiles has changed:\n%s", diff)
			}
		})
	}
}

// belowProfilesOf compares what is declared on a router with what is asked for.
func belowProfilesOf(t *testing.T, router *fake.Router) (below []string) {
	text, err := os.ReadFile("testdata/profiles.txt")
	if err != nil {
		t.Fatal(err)
	}
	writable := map[string]bool{} // what is declared
	for o := range buildOn(t, router).tree.Objects() {
		declare(writable, o)
	}
	asked, profile := 0, ""
	for line := range strings.Lines(string(text)) {
		path, requirement, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch path {
		case "#":
			continue
		case "profile":
			profile = requirement
			continue
		}
		asked++
		can, there := writable[path]
		switch requirement {
		case "readWrite", "writeOnceReadOnly", "createDelete", "create", "delete":
		default:
			can = true
		}
		switch {
		case !there:
			below = append(below, profile+" "+path+" missing")
		case !can:
			below = append(below, profile+" "+path+" not "+requirement)
		}
	}
	if asked < 235 {
		t.Errorf("only %d requirements", asked)
	}
	return below
}

// declare notes an object, its count and its parameters, and the objects above
// these.
func declare(writable map[string]bool, o datamodel.Object) {
	writable[o.Path()] = writable[o.Path()] || o.Writable()
	if table, ok := strings.CutSuffix(o.Path(), ".{i}."); ok && o.Count() != "" {
		writable[table[:strings.LastIndexByte(table, '.')+1]+o.Count()] = false
	}
	for p := range o.Params() {
		writable[p.Path] = p.Writable
		for object := p.Path; strings.Contains(object, "."); {
			object = object[:strings.LastIndexByte(object, '.')]
			if _, there := writable[object+"."]; !there {
				writable[object+"."] = false
			}
		}
	}
}
