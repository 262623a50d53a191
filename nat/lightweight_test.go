package nat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bufio"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/rooms"
	"gatehouse/lab/stun/udpnet"
)

var target = NotificationTarget{
	Host: "acs.example", Username: "00D09E-<x>&1", Password: "s3cret",
	OUI: "00d09e", ProductClass: "Home & Router", SerialNumber: "1",
}

type one netip.Addr

func (o one) Lookup(context.Context, string) (endpoint.Addrs, error) {
	return endpoint.Addrs{Addrs: []netip.Addr{netip.IPv6Loopback(), netip.Addr(o)}}, nil
}

// A notification is an HTTP message that a server can read, signed over its
// body; what does not fit into one datagram goes in several.
func TestNotifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := udpnet.New()
		acs, err := net.Listen(netip.AddrPortFrom(second.Addr(), DefaultNotificationPort))
		if err != nil {
			t.Fatal(err)
		}
		defer acs.Close()
		n := &Notifier{
			Resolver: one(second.Addr()), Local: func() netip.Addr { return home }, Now: time.Now,
			Listen: func(_ context.Context, _, address string) (Conn, error) {
				return net.Listen(netip.MustParseAddrPort(address))
			},
		}
		var params []NotificationParam
		for i := range 30 {
			params = append(params, NotificationParam{fmt.Sprintf("Device.WiFi.SSID.%d.SSID", i), "ä<&>\"\x01\n", "xsd:string"})
		}
		params = append(params, NotificationParam{"Device.Long", strings.Repeat("x", 1500), ""})
		if err := n.Send(t.Context(), target, params); !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), "Device.Long") {
			t.Errorf("Send: %v, want only the long one to be left out", err)
		}
		got, nonces := 0, map[string]bool{}
		for got < 30 {
			buf := make([]byte, 4096)
			size, _, err := acs.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatal(err)
			}
			body, signature := post(t, buf[:size])
			mac := hmac.New(sha1.New, []byte("s3cret"))
			mac.Write(body)
			if signature != hex.EncodeToString(mac.Sum(nil)) || size > maxNotification {
				t.Errorf("%d bytes, signed %s", size, signature)
			}
			got += bytes.Count(body, []byte("<n:Param>"))
			_, rest, _ := bytes.Cut(body, []byte("<n:CN>"))
			nonces[string(rest[:16])] = true
		}
		if got != 30 || len(nonces) < 3 {
			t.Errorf("%d parameters with %d cnonces", got, len(nonces))
		}
	})
}

func post(t *testing.T, pkt []byte) (body []byte, signature string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(pkt)))
	if err != nil {
		t.Fatalf("%v: %s", err, pkt)
	}
	body, err = io.ReadAll(r.Body)
	if err != nil || r.Method != "POST" || r.Host != "acs.example:7547" || r.Header.Get("Content-Type") != "text/xml; charset=utf-8" {
		t.Errorf("%v: %+v", err, r)
	}
	return body, r.Header.Get("Signature")
}

// What is sent is valid by the schema of the Broadband Forum.
func TestNotificationSchema(t *testing.T) {
	spec := os.Getenv("SPEC")
	if spec == "" {
		spec = "../../shared/spec"
	}
	schema := filepath.Join(spec, "xsd", "cwmp-UDPLightweightNotification-1-0.xsd")
	if _, err := os.Stat(schema); err != nil {
		t.Skip("the schemas are not at hand:", err)
	}
	rooms.Need(t, "xmllint")
	datagrams, err := notifications(target, []NotificationParam{
		{"Device.DeviceInfo.UpTime", "17", "xsd:unsignedInt"}, {"Device.WiFi.SSID.1.SSID", "ä<&>\"\x01\n", "xsd:string"}, {"Device.X", "", ""},
	}, 1700000000)
	if err != nil || len(datagrams) != 1 {
		t.Fatal(err, len(datagrams))
	}
	_, body, _ := bytes.Cut(datagrams[0], []byte("\r\n\r\n"))
	file := filepath.Join(t.TempDir(), "notification.xml")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	// The schema imports those of SOAP from the web and uses nothing of them.
	if out, err := exec.Command("xmllint", "--nonet", "--noout", "--schema", schema, file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, body)
	}
}

func TestNotificationsThatCannotBe(t *testing.T) {
	if _, err := notifications(target, nil, 1); !errors.Is(err, errNothing) {
		t.Errorf("no parameters: %v", err)
	}
	bad := target
	bad.OUI = "00D09"
	if _, err := notifications(bad, []NotificationParam{{"a", "b", ""}}, 1); !errors.Is(err, errNotOUI) {
		t.Errorf("OUI: %v", err)
	}
	bad = target
	bad.Host = "x\r\nEvil: yes"
	d, err := notifications(bad, []NotificationParam{{"a", "b", ""}}, 1<<40)
	if err != nil || bytes.Contains(d[0], []byte("Evil")) || !bytes.Contains(d[0], []byte("<n:TS>2147483647</n:TS>")) {
		t.Errorf("%v: %s", err, d)
	}
	n := &Notifier{Resolver: one(netip.IPv6Loopback()), Local: func() netip.Addr { return home }, Now: time.Now}
	if err := n.Send(t.Context(), target, []NotificationParam{{"a", "b", ""}}); !errors.Is(err, errNoAddress) {
		t.Errorf("no IPv4 address: %v", err)
	}
	n.Local = func() netip.Addr { return netip.Addr{} }
	if err := n.Send(t.Context(), target, []NotificationParam{{"a", "b", ""}}); !errors.Is(err, errNoAddress) {
		t.Errorf("no address of ours: %v", err)
	}
	if got := cut("äöü", 2); got != "äö" {
		t.Errorf("cut: %q", got)
	}
}
