package notify_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/agent/notify"
	"gatehouse/datamodel"
)

// get returns the attributes at paths as "Name=2[Subscriber]".
func (p *post) get(paths ...string) ([]string, error) {
	var out []string
	for a, err := range p.Attributes(p.ctx, paths) {
		if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("%s=%d%v", strings.TrimPrefix(a.Name, "Device."), a.Notification, a.AccessList))
	}
	return out, nil
}

func TestGetAttributes(t *testing.T) {
	try(t, &post{}, func(p *post) {
		for _, c := range []struct {
			path string
			want []string
		}{
			{eth1, []string{"Ethernet.Interface.1.Status=0[Subscriber]"}},
			{"Device.Ethernet.Interface.[wan].Status", []string{"Ethernet.Interface.[wan].Status=0[Subscriber]"}},
			{"Device.Ethernet.Interface.[wan].", []string{"Ethernet.Interface.[wan].Status=0[Subscriber]"}},
			{"Device.DeviceInfo.", []string{"DeviceInfo.SoftwareVersion=2[Subscriber]", "DeviceInfo.UpTime=0[Subscriber]"}},
			{url, []string{"ManagementServer.ConnectionRequestURL=2[Subscriber]"}},
		} {
			if got, err := p.get(c.path); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, %v", c.path, got, err)
			}
		}
		for _, path := range []string{"", "Device."} {
			if got, err := p.get(path); err != nil || len(got) != 9 || !strings.HasPrefix(got[0], "DeviceInfo") {
				t.Errorf("%q: %q, %v", path, got, err)
			}
		}
		for _, path := range []string{"Device.Nothing", "Device.Nothing.", "Device.Ethernet", "Device.Ethernet.Interface.9.Status"} {
			if _, err := p.get(eth1, path); !errors.Is(err, datamodel.ErrNoName) {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

// change is one of SetParameterAttributes; the tests write them short.
func change(path string, notification int) notify.Change {
	return notify.Change{Name: path, NotificationChange: true, Notification: notification}
}

func TestSetAttributes(t *testing.T) {
	off := notify.Change{Name: eth1, Notification: 2, AccessListChange: true}
	for _, c := range []struct {
		name    string
		changes []notify.Change
		err     error
		want    string // Ethernet.Interface.1, .2, SoftwareVersion, ConnectionRequestURL
	}{
		{"one", []notify.Change{change(eth1, 2)}, nil, "2022"},
		{"later ones override", []notify.Change{change("Device.Ethernet.", 2), change(eth1, 1)}, nil, "1222"},
		{"in order", []notify.Change{change(eth1, 1), change("Device.Ethernet.", 2)}, nil, "2222"},
		{"lightweight", []notify.Change{change(eth1, 3), change(eth2, 6)}, nil, "3622"},
		{"by alias", []notify.Change{change("Device.Ethernet.Interface.[wan].", 1)}, nil, "1022"},
		{"not to be changed", []notify.Change{off}, nil, "0022"},
		{"forced", []notify.Change{change("Device.DeviceInfo.SoftwareVersion", 0)}, nil, "0022"},
		{"on by default", []notify.Change{change(url, 0)}, nil, "0020"},
		{"default again", []notify.Change{change(url, 0), change(url, 2)}, nil, "0022"},
		{"atomic", []notify.Change{change(eth1, 2), change("Device.Nothing", 2)}, datamodel.ErrNoName, "0022"},
		{"object without a dot", []notify.Change{change("Device.Ethernet", 2)}, datamodel.ErrNoName, "0022"},
		{"no such value", []notify.Change{change(eth1, 2), change(eth2, 7)}, datamodel.ErrArguments, "0022"},
		{"negative", []notify.Change{change(eth1, -1)}, datamodel.ErrArguments, "0022"},
		{"denied", []notify.Change{change(eth1, 2), change("Device.DeviceInfo.UpTime", 2)}, notify.ErrRejected, "0022"},
		{"denied below", []notify.Change{change("Device.", 5)}, notify.ErrRejected, "0022"},
		{"passive is not denied", []notify.Change{change("Device.", 1)}, nil, "1121"},
		{"several", []notify.Change{change("Device.Ethernet.", 2), change("Device.Routing.", 3), change("Device.Unit.", 3), change("Device.Quiet.", 3), change(url, 0)}, nil, "2220"},
	} {
		try(t, &post{max: 9}, func(p *post) {
			before := p.attrs.Saves()
			if err := p.SetAttributes(p.ctx, c.changes); !errors.Is(err, c.err) {
				t.Errorf("%s: %v, want %v", c.name, err, c.err)
			}
			if c.err != nil && p.attrs.Saves() != before {
				t.Errorf("%s: written in spite of the error", c.name)
			}
			p.stop()
			p.start()
			got, _ := p.get(eth1, eth2, "Device.DeviceInfo.SoftwareVersion", url)
			s := ""
			for _, a := range got {
				_, v, _ := strings.Cut(a, "=")
				s += v[:1]
			}
			if s != c.want {
				t.Errorf("%s: %q, want %q", c.name, s, c.want)
			}
		})
	}
}

func TestTooManyAttributes(t *testing.T) {
	try(t, &post{max: 2}, func(p *post) {
		err := p.SetAttributes(p.ctx, []notify.Change{change("Device.Ethernet.", 2)})
		if !errors.Is(err, datamodel.ErrResources) {
			t.Error(err)
		}
		p.notification(2, eth1, eth2)
		p.tree.del(eth2) // makes room
		p.notification(2, gw)
		if got, err := p.get(eth1, gw); err != nil || fmt.Sprint(got) != "[Ethernet.Interface.1.Status=2[Subscriber] Routing.Router.1.Gateway=2[Subscriber]]" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestAttributesOfADeletedObject(t *testing.T) {
	try(t, &post{}, func(p *post) {
		p.bootstrap()
		p.notification(2, eth1, eth2)
		p.tree.del(eth2)
		if err := p.Told(p.ctx, "Device.Ethernet.Interface.2."); err != nil {
			t.Error(err)
		}
		if got := p.attrs.Text(); got != "2 Subscriber "+eth1+"\n" {
			t.Errorf("kept: %q", got)
		}
	})
}

func TestAccessList(t *testing.T) {
	try(t, &post{}, func(p *post) {
		for _, c := range []struct {
			list []string
			want string
		}{{nil, "[]"}, {[]string{"Subscriber", "X_ELSE"}, "[Subscriber]"}, {[]string{"X_ELSE"}, "[]"}} {
			if err := p.SetAttributes(p.ctx, []notify.Change{{Name: eth1, AccessListChange: true, AccessList: c.list}}); err != nil {
				t.Error(err)
			}
			p.stop()
			p.start()
			if got, _ := p.get(eth1); got[0] != "Ethernet.Interface.1.Status=0"+c.want {
				t.Errorf("%q: %q", c.list, got)
			}
		}
	})
}

func TestAttributesOnAFullDisk(t *testing.T) {
	try(t, &post{}, func(p *post) {
		full := errors.New("no space left on device")
		p.attrs.Refuse(full)
		if err := p.SetAttributes(p.ctx, []notify.Change{change(eth1, 2)}); !errors.Is(err, full) {
			t.Error(err)
		}
		if got, _ := p.get(eth1); got[0] != "Ethernet.Interface.1.Status=0[Subscriber]" {
			t.Errorf("%q", got)
		}
	})
}

func TestAttributesFile(t *testing.T) {
	p := &post{}
	p.attrs.Write("2 Subscriber " + eth1 + "\n9 Subscriber " + eth2 + "\n1 - " + gw + "\n\nnonsense\n1 x y\n")
	try(t, p, func(p *post) {
		got, err := p.get(eth1, eth2, gw)
		if want := "[Ethernet.Interface.1.Status=2[Subscriber] Ethernet.Interface.2.Status=0[Subscriber] Routing.Router.1.Gateway=1[]]"; err != nil || fmt.Sprint(got) != want {
			t.Errorf("%v, %v", got, err)
		}
	})
}
