package demo

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatehouse/lab/acs"
)

// chapters are the story, in order. Each one stands on those before.
var chapters = []struct {
	title string
	play  func(context.Context, *stage, Options) error
}{
	{"A router is switched on for the first time", bootstrap},
	{"The operator changes it, all or nothing", write},
	{"A cable is pulled", unplugged},
	{"The operator knocks", knock},
	{"Nothing happens, for a while", periodic},
	{"The agent is restarted", restarted},
	{"A router knows its provider's name, and nothing of an ACS", provided},
}

// patience is how long the ACS waits for a session that must come.
const patience = 8 * time.Second

// session waits for a session with this event that begins after the first have
// sessions.
func (s *stage) session(ctx context.Context, event string, have int) (*acs.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got, err := s.acs.WaitSession(ctx, func(x *acs.Session) bool { return x.Number > have && x.Inform.Has(event) })
	if err != nil {
		return nil, fmt.Errorf("no session with %q came: %w", event, err)
	}
	return got, nil
}

func (s *stage) sessions() int { return len(s.acs.Sessions()) }

// visit is a session that the ACS asks for, to do something in it.
func (s *stage) visit(ctx context.Context, script acs.Script) error {
	failed := make(chan error, 1)
	s.acs.Queue("00005E-demo", func(c *acs.Conversation) error {
		err := script(c)
		failed <- err
		return err
	})
	if _, err := s.knock(ctx, crPassword); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-time.After(patience):
		return fmt.Errorf("the router was asked for a session and did not come")
	}
}

func (s *stage) knock(ctx context.Context, password string) (acs.Reached, error) {
	return s.acs.ConnectionRequest(ctx, "00005E-demo", crUser, password)
}

func bootstrap(ctx context.Context, s *stage, o Options) error {
	var values acs.Values
	var names []acs.ParameterInfo
	s.acs.Queue("00005E-demo", func(c *acs.Conversation) (err error) {
		if names, err = c.GetParameterNames("Device.", false); err != nil {
			return err
		}
		values, err = c.GetParameterValues("Device.")
		return err
	})
	if err := s.startAgent(ctx, o); err != nil {
		return err
	}
	first, err := s.session(ctx, "0 BOOTSTRAP", 0)
	if err != nil {
		return err
	}
	s.prove(first.Inform.Has("1 BOOT"), "it says 0 BOOTSTRAP and 1 BOOT, proves its password by Digest, and keeps the session's cookie")
	leaves := 0
	unread := ""
	for _, n := range names {
		if strings.HasSuffix(n.Name, ".") {
			continue
		}
		leaves++
		if _, ok := values.Get(n.Name); !ok && unread == "" {
			unread = n.Name
		}
	}
	s.prove(leaves > 100, "the ACS walks its model: %d parameters", leaves)
	s.prove(unread == "" || volatile(unread), "and every one of them can be read %s", unread)
	status, _ := values.Get(s.port0(values) + "Status")
	s.prove(status == "Up", "port %s is %sStatus = %s", s.world.lan(), s.port0(values), status)
	return nil
}

// volatile: processes and hosts come and go between two requests.
func volatile(name string) bool {
	return strings.Contains(name, ".Process.") || strings.Contains(name, ".Host.")
}

// port0 is the path of the port whose cable is pulled.
func (s *stage) port0(v acs.Values) string {
	for _, p := range v {
		if path, ok := strings.CutSuffix(p.Name, "Name"); ok && strings.HasPrefix(path, "Device.Ethernet.Interface.") && p.Value == s.world.lan() {
			return path
		}
	}
	return "Device.Ethernet.Interface.?."
}

func write(ctx context.Context, s *stage, _ Options) error {
	const interval = "Device.ManagementServer.PeriodicInformInterval"
	added := netip.MustParsePrefix("198.51.100.7/24")
	return s.visit(ctx, func(c *acs.Conversation) error {
		_, err := c.SetParameterValues("v1",
			acs.P(interval, "xsd:unsignedInt", "3600"),
			acs.P("Device.DeviceInfo.UpTime", "xsd:unsignedInt", "1"),
			acs.P("Device.ManagementServer.DelayReboot", "xsd:int", "soon"))
		f := acs.FaultOf(err)
		if f == nil {
			return fmt.Errorf("a bad set was not refused: %v", err)
		}
		s.prove(f.Code == 9003 && len(f.Parameters) == 2, "three values, two of them bad: fault %d names both, nothing is set", f.Code)
		v, err := c.GetParameterValues(interval, "Device.ManagementServer.ParameterKey")
		if err != nil {
			return err
		}
		was, _ := v.Get(interval)
		key, _ := v.Get("Device.ManagementServer.ParameterKey")
		s.prove(was != "3600" && key != "v1", "the interval is still %s s, the ParameterKey still %q", was, key)

		table, err := s.ipTable(c)
		if err != nil {
			return err
		}
		n, _, err := c.AddObject(table, "v2")
		if err != nil {
			return err
		}
		row := fmt.Sprintf("%s%d.", table, n)
		if _, err := c.SetParameterValues("v3",
			acs.P(row+"IPAddress", "xsd:string", added.Addr().String()),
			acs.P(row+"SubnetMask", "xsd:string", "255.255.255.0"),
			acs.P(row+"Enable", "xsd:boolean", "1")); err != nil {
			return err
		}
		there, err := s.world.hasAddress(ctx, added)
		if err != nil {
			return err
		}
		s.prove(there, "a new address is %s, and the system has it", strings.TrimSuffix(row, "."))
		if _, err := c.DeleteObject(row, "v4"); err != nil {
			return err
		}
		there, err = s.world.hasAddress(ctx, added)
		s.prove(err == nil && !there, "deleted again, it is gone from the system, too")
		return err
	})
}

// ipTable finds the addresses of an interface that can be written.
func (s *stage) ipTable(c *acs.Conversation) (string, error) {
	v, err := c.GetParameterValues("Device.IP.Interface.")
	if err != nil {
		return "", err
	}
	for _, p := range v {
		path, ok := strings.CutSuffix(p.Name, ".Loopback")
		if ok && (p.Value == "0" || p.Value == "false") {
			return path + ".IPv4Address.", nil
		}
	}
	return "", fmt.Errorf("the model has no IP interface")
}

func unplugged(ctx context.Context, s *stage, _ Options) error {
	port := ""
	err := s.visit(ctx, func(c *acs.Conversation) error {
		v, err := c.GetParameterValues("Device.Ethernet.Interface.")
		if err != nil {
			return err
		}
		port = s.port0(v)
		return c.SetParameterAttributes(acs.Notify(port+"Status", 2))
	})
	if err != nil {
		return err
	}
	for _, in := range []bool{false, true} {
		have := s.sessions()
		pulled := time.Now()
		if err := s.world.pull(in); err != nil {
			return err
		}
		told, err := s.session(ctx, "4 VALUE CHANGE", have)
		if err != nil {
			return err
		}
		status, ok := told.Inform.Parameters.Get(port + "Status")
		want := map[bool]string{false: "Down", true: "Up"}[in]
		s.prove(ok && status == want, "%.1f s later the ACS knows: %sStatus = %s", time.Since(pulled).Seconds(), port, status)
	}
	return nil
}

func knock(ctx context.Context, s *stage, _ Options) error {
	have := s.sessions()
	wrong, err := s.knock(ctx, "guess")
	if err != nil {
		return err
	}
	s.prove(!wrong.OK(), "with a wrong password: %d, and no session", wrong.Status)
	right, err := s.knock(ctx, crPassword)
	if err != nil {
		return err
	}
	s.prove(right.OK(), "with the right one: %d, in %v", right.Status, right.Took.Round(100*time.Microsecond))
	if _, err := s.session(ctx, "6 CONNECTION REQUEST", have); err != nil {
		return err
	}
	s.prove(s.sessions() == have+1, "one session with 6 CONNECTION REQUEST, after the answer")
	return nil
}

func periodic(ctx context.Context, s *stage, _ Options) error {
	err := s.visit(ctx, func(c *acs.Conversation) error {
		_, err := c.SetParameterValues("v5", acs.P("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "2"))
		return err
	})
	if err != nil {
		return err
	}
	have := s.sessions()
	one, err := s.session(ctx, "2 PERIODIC", have)
	if err != nil {
		return err
	}
	two, err := s.session(ctx, "2 PERIODIC", one.Number)
	if err != nil {
		return err
	}
	gap := two.Start.Sub(one.Start) // about: this machine may have more to do
	s.prove(gap > time.Second && gap < 5*time.Second, "2 PERIODIC, and again after %.2f s, as was ordered", gap.Seconds())
	return nil
}

func restarted(ctx context.Context, s *stage, o Options) error {
	if err := s.stop(); err != nil {
		return err
	}
	have := s.sessions()
	if err := s.startAgent(ctx, o); err != nil {
		return err
	}
	next, err := s.session(ctx, "2 PERIODIC", have)
	if err != nil {
		return err
	}
	s.prove(!next.Inform.Has("0 BOOTSTRAP") && !next.Inform.Has("1 BOOT"),
		"it goes on where it was: no BOOTSTRAP, no BOOT")
	key, _ := next.Inform.Parameters.Get("Device.ManagementServer.ParameterKey")
	s.prove(key == "v5", "and remembers what the ACS wrote: ParameterKey %q", key)
	return nil
}
