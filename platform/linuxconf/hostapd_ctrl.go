package linuxconf

// hostapd's control interface: for each of its network interfaces a datagram
// socket of that name. A request is a line of text and gets one answer; who has
// attached gets events as well, which begin with their priority: "<3>". What
// comes is bounded, and what is not understood is passed over.

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/platform"
)

const (
	// replySize is the most that is taken of a datagram: hostapd sends 4 KB.
	replySize = 8 << 10
	// replyTime is how long hostapd may take for an answer.
	replyTime = 2 * time.Second
	// mostStations bounds a list: 802.11 has numbers for that many.
	mostStations = 2007
	mostNetworks = 64
)

// control is a connection to the control interface of one network interface.
type control struct{ conn *net.UnixConn }

// dialControl connects to the socket of a network interface. That of a hostapd
// that has died refuses.
func dialControl(dir, link string) (*control, error) {
	// A name of our own, in no folder: hostapd answers to it, and it goes with us.
	own := "@gatehouse-" + rand.Text()
	conn, err := net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: filepath.Join(dir, link), Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("hostapd on %s: %w", link, err)
	}
	return &control{conn}, nil
}

func (c *control) Close() error { return c.conn.Close() }

// receive reads the next datagram.
func (c *control) receive() (string, error) {
	buf := make([]byte, replySize)
	n, err := c.conn.Read(buf)
	return string(buf[:n]), err
}

// ask sends a request and returns its answer. Events that come before it are
// dropped: whoever asks looks afterwards anyway.
func (c *control) ask(ctx context.Context, request string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	deadline := time.Now().Add(replyTime)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })()
	verb, _, _ := strings.Cut(request, " ")
	if _, err := c.conn.Write([]byte(request)); err != nil {
		return "", fmt.Errorf("hostapd: %s: %w", verb, err)
	}
	for {
		text, err := c.receive()
		switch {
		case err != nil && ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			return "", fmt.Errorf("hostapd: %s: %w", verb, err)
		case strings.HasPrefix(text, "<"):
			continue
		case strings.HasPrefix(text, "FAIL"), strings.HasPrefix(text, "UNKNOWN COMMAND"):
			return "", fmt.Errorf("hostapd: %s: %q", verb, strings.TrimSpace(text))
		}
		return text, nil
	}
}

// A status is what hostapd says of a radio.
type status struct {
	state             string // ENABLED, DISABLED, DFS, ACS …
	channel           uint32 // 0: not known
	beaconEvery, dtim uint32
	nets              []offered
}

// offered is one of its networks.
type offered struct{ link, bssid string }

// state asks for the status of the radio.
func (c *control) state(ctx context.Context) (status, error) {
	text, err := c.ask(ctx, "STATUS")
	if err != nil {
		return status{}, err
	}
	return parseStatus(text), nil
}

func parseStatus(text string) (s status) {
	for line := range strings.SplitSeq(text, "\n") {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		name, at, _ := strings.Cut(name, "[")
		switch name {
		case "state":
			s.state = value
		case "channel":
			s.channel = decimal(value)
		case "beacon_int":
			s.beaconEvery = decimal(value)
		case "dtim_period":
			s.dtim = decimal(value)
		case "bss", "bssid":
			i, err := strconv.Atoi(strings.TrimSuffix(at, "]"))
			if err != nil || i < 0 || i >= mostNetworks || i > len(s.nets) {
				continue
			}
			if i == len(s.nets) {
				s.nets = append(s.nets, offered{})
			}
			if name == "bss" {
				s.nets[i].link = value
			} else {
				s.nets[i].bssid = hardware(value)
			}
		}
	}
	return s
}

func decimal(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// hardware is a MAC address as we write one; "" where it is none.
func hardware(s string) string {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 || bytes.Equal(mac, make([]byte, 6)) {
		return ""
	}
	return mac.String()
}

// stations lists who has joined, for drivers that do not. An answer is the
// station's address and lines NAME=VALUE; after the last one it is empty.
func (c *control) stations(ctx context.Context) ([]platform.Station, error) {
	var all []platform.Station
	seen := map[string]bool{}
	for request := "STA-FIRST"; len(all) < mostStations; {
		text, err := c.ask(ctx, request)
		if err != nil {
			return all, err
		}
		s, ok := parseStation(text, time.Now())
		if !ok || seen[s.MAC] {
			break
		}
		seen[s.MAC] = true
		all = append(all, s)
		request = "STA-NEXT " + s.MAC
	}
	return all, nil
}

// parseStation reads what hostapd knows of a station. What hostapd receives is
// what the station sends.
func parseStation(text string, now time.Time) (s platform.Station, ok bool) {
	first, rest, _ := strings.Cut(text, "\n")
	if s.MAC = hardware(strings.TrimSpace(first)); s.MAC == "" {
		return s, false
	}
	s.Active = true
	for line := range strings.SplitSeq(rest, "\n") {
		name, value, _ := strings.Cut(line, "=")
		n, _ := strconv.ParseUint(value, 10, 64) // 0: it says nothing of use
		switch name {
		case "flags":
			s.Authorized = strings.Contains(value, "[AUTHORIZED]")
		case "rx_bytes":
			s.BytesReceived = n
		case "tx_bytes":
			s.BytesSent = n
		case "rx_packets":
			s.PacketsRecvd = n
		case "tx_packets":
			s.PacketsSent = n
		case "inactive_msec":
			s.Active = time.Duration(min(n, 1<<40))*time.Millisecond < lately
		case "connected_time":
			if n > 0 && n < 1<<31 {
				s.Associated = now.Add(-time.Duration(n) * time.Second).Truncate(time.Second)
			}
		case "signal":
			if dBm, err := strconv.ParseInt(value, 10, 32); err == nil {
				s.Signal = int32(dBm)
			}
		}
	}
	return s, true
}

// hintOf is what an event hints at, 0 nothing.
func hintOf(event string) platform.Topic {
	_, text, ok := strings.Cut(event, ">")
	if !ok || !strings.HasPrefix(event, "<") {
		return 0
	}
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "AP-STA-CONNECTED", "AP-STA-DISCONNECTED":
		return platform.StationChanged
	case "AP-ENABLED", "AP-DISABLED", "INTERFACE-ENABLED", "INTERFACE-DISABLED", "AP-CSA-FINISHED", "DFS-CAC-START", "DFS-CAC-COMPLETED",
		"DFS-RADAR-DETECTED", "ACS-COMPLETED", "CTRL-EVENT-TERMINATING":
		return platform.WiFiChanged
	}
	return 0
}

// hear attaches, and reports what the events hint at, until hostapd leaves or ctx
// ends.
func (c *control) hear(ctx context.Context, report func(platform.Topic)) error {
	if _, err := c.ask(ctx, "ATTACH"); err != nil {
		return err
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })()
	for ctx.Err() == nil {
		text, err := c.receive()
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		if topic := hintOf(text); topic != 0 {
			report(topic)
		}
		if strings.Contains(text, "CTRL-EVENT-TERMINATING") {
			return nil
		}
	}
	return ctx.Err()
}

// poke finds out whether hostapd is still there, for somebody who only listens:
// it fails on the socket of one that has died. The answer is no event.
func (c *control) poke() error {
	_, err := c.conn.Write([]byte("PING"))
	return err
}

// settle is how long a radio may take to look for a channel: hostapd scans a band
// five times.
const settle = 45 * time.Second

// await waits until hostapd sends, or has to listen for radars first, which takes
// minutes.
func (c *control) await(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, settle)
	defer stop()
	defer context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := c.ask(ctx, "ATTACH"); err != nil {
		return err
	}
	for {
		s, err := c.state(ctx)
		switch {
		case err != nil:
			return err
		case s.state == "ENABLED", s.state == "DFS":
			return nil
		case s.state == "DISABLED", s.state == "UNINITIALIZED":
			return fmt.Errorf("hostapd has taken its configuration, and is %s (journalctl -u 'hostapd@*')", s.state)
		}
		if err := c.conn.SetDeadline(time.Time{}); err != nil {
			return err
		}
		if err = ctx.Err(); err == nil { // else its end came before we took the deadline away
			_, err = c.receive() // the next event
		}
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("hostapd is %s after %s: %w", s.state, settle, err)
		}
	}
}
