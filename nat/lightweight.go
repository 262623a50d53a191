// Lightweight notifications (TR-069 Annex M): changed values in a datagram to
// the ACS, signed, never acknowledged, never repeated.

package nat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultNotificationPort is where the ACS listens when nobody says otherwise.
const DefaultNotificationPort = 7547

// maxNotification is how long a datagram may be: more would be cut into
// fragments on the way, and some NATs lose those.
const maxNotification = 1200

// A NotificationTarget is where lightweight notifications go and who they are
// from: parameters of ManagementServer and DeviceInfo.
type NotificationTarget struct {
	Host     string // UDPLightweightNotificationHost; "": the host of the ACS URL, which the caller puts here
	Port     uint16 // UDPLightweightNotificationPort; 0: DefaultNotificationPort
	Username string // ManagementServer.Username
	Password Secret // ManagementServer.Password: the key

	OUI, ProductClass, SerialNumber string
}

// A NotificationParam is one parameter that has changed.
type NotificationParam struct {
	Name, Value string
	Type        string // "xsd:string"…
}

// ErrTooLong is in the error of Send for each value that no datagram can hold;
// all others have left.
var ErrTooLong = errors.New("a value does not fit into one datagram")

// Errors of notifications.
var (
	errNothing   = errors.New("nothing to notify of")
	errNotOUI    = errors.New("not an OUI")
	errNoAddress = errors.New("no address of the family in use")
)

const (
	notificationHead = `<?xml version="1.0" encoding="UTF-8"?>` +
		`<n:Notification xmlns:n="urn:broadband-forum-org:cwmp:lwnotif-1-0"` +
		` xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`
	notificationTail = `</n:Notification>`
)

// A Notifier sends lightweight notifications. Its fields must not change while
// it is used; it may be used by several goroutines.
type Notifier struct {
	Resolver Resolver
	// Listen opens the socket that a notification goes out by, at Local and any
	// port; nil: the system's.
	Listen func(ctx context.Context, network, address string) (Conn, error)
	Local  func() netip.Addr
	Now    func() time.Time
}

// Send sends the parameters in as few datagrams as they fit into, each whole.
// No error means that they have left, not that they have arrived. A value that
// no datagram can hold is left out, and told in the error (ErrTooLong).
func (n *Notifier) Send(ctx context.Context, to NotificationTarget, params []NotificationParam) error {
	if to.Port == 0 {
		to.Port = DefaultNotificationPort
	}
	datagrams, left := notifications(to, params, n.Now().Unix())
	if len(datagrams) == 0 {
		return left
	}
	local := n.Local().Unmap()
	if !local.IsValid() {
		return errNoAddress
	}
	peer, err := n.peer(ctx, to, local)
	if err != nil {
		return fmt.Errorf("lightweight notification: %w", err)
	}
	open := n.Listen
	if open == nil {
		open = listen
	}
	conn, err := open(ctx, network(local), netip.AddrPortFrom(local, 0).String())
	if err != nil {
		return fmt.Errorf("lightweight notification: %w", err)
	}
	defer conn.Close()
	for _, d := range datagrams {
		if _, err := conn.WriteToUDPAddrPort(d, peer); err != nil {
			return fmt.Errorf("lightweight notification: %w", err)
		}
	}
	return left
}

// peer is the ACS's address of the family that ours has.
func (n *Notifier) peer(ctx context.Context, to NotificationTarget, local netip.Addr) (netip.AddrPort, error) {
	addrs, err := n.Resolver.Lookup(ctx, to.Host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, a := range addrs.Addrs {
		if a.Unmap().Is4() == local.Is4() {
			return netip.AddrPortFrom(a.Unmap(), to.Port), nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%s: %w", to.Host, errNoAddress)
}

// notifications builds the datagrams, and says what does not fit.
func notifications(to NotificationTarget, params []NotificationParam, ts int64) (datagrams [][]byte, left error) {
	if len(params) == 0 {
		return nil, errNothing
	}
	if oui, err := hex.DecodeString(to.OUI); err != nil || len(oui) != 3 {
		return nil, fmt.Errorf("%.16q: %w", to.OUI, errNotOUI)
	}
	head := notificationStart(to, ts)
	body := bytes.Clone(head)
	flush := func() {
		if len(body) > len(head) {
			datagrams = append(datagrams, frame(to, append(body, notificationTail...)))
			body = notificationStart(to, ts) // with another cnonce
		}
	}
	for _, p := range params {
		text := paramXML(p)
		if room := maxNotification - frameRoom(to) - len(notificationTail); len(body)+len(text) > room {
			flush()
			if len(body)+len(text) > room {
				left = errors.Join(left, fmt.Errorf("%s: %w", p.Name, ErrTooLong))
				continue
			}
		}
		body = append(body, text...)
	}
	flush()
	return datagrams, left
}

// notificationStart is everything before the parameters, in the schema's order.
func notificationStart(to NotificationTarget, ts int64) []byte {
	cnonce := make([]byte, 8)
	_, _ = rand.Read(cnonce) // never fails (crypto/rand)
	b := bytes.NewBufferString(notificationHead)
	for _, e := range [...]struct{ name, text string }{
		{"TS", strconv.FormatInt(min(max(ts, 0), 1<<31-1), 10)}, // xs:int
		{"UN", cut(to.Username, 256)},
		{"CN", hex.EncodeToString(cnonce)},
		{"OUI", strings.ToUpper(to.OUI)},
		{"ProductClass", cut(to.ProductClass, 64)},
		{"SerialNumber", cut(to.SerialNumber, 64)},
	} {
		b.WriteString("<n:" + e.name + ">")
		_ = xml.EscapeText(b, []byte(e.text)) // a buffer takes everything
		b.WriteString("</n:" + e.name + ">")
	}
	return b.Bytes()
}

func paramXML(p NotificationParam) []byte {
	if p.Type == "" {
		p.Type = "xsd:string"
	}
	b := bytes.NewBufferString("<n:Param><n:Name>")
	_ = xml.EscapeText(b, []byte(cut(p.Name, 256)))
	b.WriteString(`</n:Name><n:Value xsi:type="`)
	_ = xml.EscapeText(b, []byte(p.Type))
	b.WriteString(`">`)
	_ = xml.EscapeText(b, []byte(p.Value))
	b.WriteString("</n:Value></n:Param>")
	return b.Bytes()
}

// cut keeps a text within the schema's limit, in characters.
func cut(s string, limit int) string {
	for i := range s {
		if limit == 0 {
			return s[:i]
		}
		limit--
	}
	return s
}

// frame puts the body into an HTTP message with its signature.
func frame(to NotificationTarget, body []byte) []byte {
	mac := hmac.New(sha1.New, []byte(to.Password))
	mac.Write(body)
	host := hostText(to)
	return fmt.Appendf(nil, "POST http://%s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\nSignature: %x\r\n\r\n%s",
		host, host, len(body), mac.Sum(nil), body)
}

// frameRoom is what frame adds at most.
func frameRoom(to NotificationTarget) int {
	return len(frame(to, nil)) + len("9999")
}

func hostText(to NotificationTarget) string {
	host := strings.Trim(to.Host, "[]")
	if strings.ContainsRune(host, ':') {
		host = "[" + host + "]"
	}
	if !utf8.ValidString(host) || strings.ContainsAny(host, " \r\n\t") {
		host = "" // never a way into the header
	}
	return host + ":" + strconv.Itoa(int(to.Port))
}
