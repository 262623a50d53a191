// Wireless networks: how they are configured, and how they are doing.

package platform

import (
	"context"
	"iter"
	"net/netip"
	"time"
)

// WiFi is the wireless side of a router: three tables and one reading.
type WiFi struct {
	Radios       Table[Radio]
	SSIDs        Table[SSID]
	AccessPoints Table[AccessPoint]
	State        WiFiState
}

// A Radio is how a radio is configured. Its key names the radio.
type Radio struct {
	Enabled     bool
	Band        string // 2.4GHz 5GHz 6GHz, as TR-181 has them
	Channel     uint32 // 0: automatic
	Standards   string // OperatingStandards: "n,ac"
	Width       string // OperatingChannelBandwidth: 20MHz 40MHz 80MHz 160MHz 80+80MHz 320MHz-1 Auto
	Extension   string // ExtensionChannel: AboveControlChannel BelowControlChannel Auto
	Guard       string // GuardInterval: 400nsec 800nsec Auto
	MCS         int32  // -1: automatic
	TxPower     int32  // percent of what it can; -1: automatic
	Country     string // two letters, "" not set
	DFS         bool   // 802.11h
	BeaconEvery uint32 // ms; 0: the default of the driver
	DTIMPeriod  uint32 // 0: the default
}

// An SSID is one network on one radio. On OpenWrt it shares its section with
// the access point that points to it.
type SSID struct {
	Enabled bool
	Radio   string // key of its Radio
	Name    string // the network's name: up to 32 bytes, not always UTF-8
}

// An AccessPoint is how stations may join an SSID.
type AccessPoint struct {
	Enabled    bool
	SSID       string // key of its SSID; "" none yet
	Advertised bool   // the name is in the beacons
	Isolated   bool   // stations cannot reach each other
	WMM        bool
	UAPSD      bool
	MaxDevices uint32 // 0: as many as the driver can
	MACFilter  bool   // only AllowedMACs may join
	AllowedMAC []string
	Security   WiFiSecurity
	WPS        bool
	WPSMethods []string // PushButton PIN …, as TR-181 has them
	Network    string   // key of the IP interface that stations join, "" the LAN
}

// WiFiSecurity is how stations prove themselves. Secrets are never shown.
type WiFiSecurity struct {
	Mode         string // ModeEnabled: None WPA2-Personal WPA3-Personal WPA3-Personal-Transition WPA2-Enterprise …
	WEPKey       []byte
	PSK          []byte // 32 bytes; nil when Passphrase counts
	Passphrase   string
	SAE          string // WPA3 passphrase; "" as Passphrase
	Rekey        time.Duration
	MFP          string // Disabled Optional Required
	RadiusServer netip.Addr
	RadiusPort   uint16
	RadiusSecret string
}

// WiFiState reads how the wireless side is doing.
type WiFiState interface {
	// Radios that are there, which may be fewer than are configured.
	Radios(ctx context.Context) iter.Seq2[RadioState, error]
	// SSIDs that were taken up: one that was just configured has no state.
	SSIDs(ctx context.Context) iter.Seq2[SSIDState, error]
	// Stations of one SSID, by its key; none where there is no such SSID.
	Stations(ctx context.Context, ssid string) iter.Seq2[Station, error]
}

// RadioState is what a radio can and does.
type RadioState struct {
	Key               string
	Name              string // of the system: "phy0"
	Up                bool
	Bands             []string // SupportedFrequencyBands
	Standards         []string // SupportedStandards
	Channels          string   // PossibleChannels: "1-13"
	InUse             string   // ChannelsInUse
	Channel           uint32   // 0 not known
	Width             string   // CurrentOperatingChannelBandwidth
	MaxBitRate        uint32   // Mbit/s
	TxPowers          []int32  // TransmitPowerSupported, percent
	DFS               bool     // can do 802.11h
	Noise             int32    // dBm, 0 not known
	FixedStandards    bool     // OperatingStandards cannot be changed
	BeaconEvery, DTIM uint32
	Stats             LinkStats

	// What it can be told to be. Of what is nil, here and above, nothing is
	// known: then the batch is who refuses.
	Widths     []string // SupportedOperatingChannelBandwidths
	Modes      []string // ModesSupported of its access points
	WPSMethods []string // ConfigMethodsSupported; empty: no WPS
	WMM, UAPSD bool     // its access points can do them
}

// SSIDState is how a network is doing.
type SSIDState struct {
	Key   string
	Link  string // name of its network interface, "" while it has none
	Up    bool
	BSSID string
	Stats LinkStats
}

// A Station is a device that has joined an access point.
type Station struct {
	MAC                       string
	Authorized                bool
	Downlink, Uplink          uint32 // kbit/s of the last frame
	Signal, Noise             int32  // dBm
	Retransmissions           uint32
	Active                    bool
	Standard                  string // a b g n ac ax be
	Associated                time.Time
	BytesSent, BytesReceived  uint64
	PacketsSent, PacketsRecvd uint64
	ErrorsSent                uint64
}
