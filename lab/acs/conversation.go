package acs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Conversation is a session as a script sees it: each call sends one request
// and waits for the CPE's answer. A fault is returned as a *Fault error (see
// FaultOf), the loss of the session as one of the Err values. Answers are
// checked on the way; what is wrong with them becomes a Violation, not an error.
type Conversation struct {
	r    *run
	last *Message // what the CPE said last, for Respond
}

// Context ends with the session.
func (c *Conversation) Context() context.Context { return c.r.ctx }

// Inform is what the session began with.
func (c *Conversation) Inform() *Inform { return c.r.rec.Inform }

// Device is the CPE.
func (c *Conversation) Device() DeviceID { return c.r.rec.Device }

// Number is the session's number.
func (c *Conversation) Number() int { return c.r.rec.Number }

// HoldRequests sets the header element HoldRequests of our further envelopes.
func (c *Conversation) HoldRequests(on bool) { c.r.hold = on }

// ask sends a and waits for the next POST.
func (c *Conversation) ask(a *ask) (*Message, error) {
	a.start = time.Now()
	select {
	case c.r.out <- a:
	case <-c.r.ctx.Done():
		return nil, c.lost()
	}
	select {
	case m := <-c.r.in:
		c.last = m
		return m, nil
	case <-c.r.ctx.Done():
		return nil, c.lost()
	}
}

// lost tells why the session ended under a running script.
func (c *Conversation) lost() error {
	c.r.s.mu.Lock()
	defer c.r.s.mu.Unlock()
	if c.r.rec.Err != nil {
		return fmt.Errorf("session lost: %w", c.r.rec.Err)
	}
	return fmt.Errorf("session lost: %w", ErrClosed)
}

// Call sends any RPC; args is the XML inside its element. It returns the body
// element of the answer.
func (c *Conversation) Call(method, args string) (*Node, error) {
	return c.call(method, args, plain(args))
}

func (c *Conversation) call(method, args, about string) (*Node, error) {
	return c.request(&ask{method: method, args: about}, args)
}

// request completes a and sends it.
func (c *Conversation) request(a *ask, args string) (*Node, error) {
	c.r.ids++
	a.id = "acs-" + strconv.Itoa(c.r.rec.Number) + "-" + strconv.Itoa(c.r.ids)
	h := header{namespace: c.namespace(), id: a.id, hold: c.r.hold}
	a.body = envelope(h, call(a.method, args))
	m, err := c.ask(a)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", a.method, err)
	case m.Fault != nil:
		return nil, fmt.Errorf("%s: %w", a.method, m.Fault)
	}
	return m.Body, nil
}

func (c *Conversation) namespace() string {
	if ns := c.r.s.o.Namespace; ns != "" {
		return ns
	}
	return c.r.rec.Inform.Namespace
}

// Raw sends text as the body of a 200 and returns whatever the CPE posts next:
// nil for an empty POST. Nothing is assumed about the answer but that it can
// be parsed.
func (c *Conversation) Raw(text string) (*Message, error) {
	return c.ask(&ask{body: text})
}

// RawHTTP lets f write the whole HTTP answer, and returns what comes next.
func (c *Conversation) RawHTTP(f func(http.ResponseWriter)) (*Message, error) {
	return c.ask(&ask{raw: f})
}

// Empty answers with 204 and waits for another POST, which a CPE sends only
// when it has requests of its own that HoldRequests held back.
func (c *Conversation) Empty() (*Message, error) {
	return c.ask(&ask{})
}

// Respond answers a request of the CPE that Raw or Empty returned; xml is the
// inside of the response element.
func (c *Conversation) Respond(xml string) (*Message, error) {
	if c.last == nil {
		return nil, errors.New("nothing to respond to")
	}
	h := header{namespace: c.namespace(), id: c.last.ID, hold: c.r.hold}
	return c.ask(&ask{body: envelope(h, call(c.last.Method+"Response", xml))})
}

// GetRPCMethods asks for the CPE's methods.
func (c *Conversation) GetRPCMethods() ([]string, error) {
	n, err := c.Call("GetRPCMethods", "")
	return texts(n.Child("MethodList")), err
}

// GetParameterNames asks for names below path; nextLevel for the children only.
func (c *Conversation) GetParameterNames(path string, nextLevel bool) ([]ParameterInfo, error) {
	about := fmt.Sprintf("%q", path)
	if nextLevel {
		about += ", next level"
	}
	a := &ask{method: "GetParameterNames", args: about, path: path, nextLevel: nextLevel}
	n, err := c.request(a, el("ParameterPath", path)+el("NextLevel", bit(nextLevel)))
	if err != nil {
		return nil, err
	}
	var all []ParameterInfo
	for _, m := range n.Child("ParameterList").members() {
		all = append(all, ParameterInfo{Name: m.Child("Name").String(), Writable: truth(m.Child("Writable").String())})
	}
	return all, nil
}

// GetParameterValues asks for parameters and partial paths.
func (c *Conversation) GetParameterValues(paths ...string) (Values, error) {
	a := &ask{method: "GetParameterValues", args: strings.Join(paths, " "), asked: paths}
	n, err := c.request(a, stringArray("ParameterNames", paths))
	if err != nil {
		return nil, err
	}
	return readValues(n.Child("ParameterList")), nil
}

// SetParameterValues sets parameters, all or none. Status is 0 when the change
// is in force, 1 when it will be after the session.
func (c *Conversation) SetParameterValues(key string, ps ...Parameter) (status int, err error) {
	about := make([]string, len(ps))
	for i, p := range ps {
		about[i] = p.Name + "=" + Mask(p.Name, p.Value)
	}
	n, err := c.call("SetParameterValues", setValuesArgs(key, ps), strings.Join(about, " "))
	return integer(n.Child("Status")), err
}

// GetParameterAttributes asks for notification and access of parameters.
func (c *Conversation) GetParameterAttributes(paths ...string) ([]Attribute, error) {
	n, err := c.call("GetParameterAttributes", stringArray("ParameterNames", paths), strings.Join(paths, " "))
	if err != nil {
		return nil, err
	}
	var all []Attribute
	for _, m := range n.Child("ParameterList").members() {
		all = append(all, Attribute{
			Name: m.Child("Name").String(), Notification: integer(m.Child("Notification")), AccessList: texts(m.Child("AccessList")),
		})
	}
	return all, nil
}

// SetParameterAttributes changes notification and access, all or none.
func (c *Conversation) SetParameterAttributes(as ...SetAttribute) error {
	about := make([]string, len(as))
	for i, a := range as {
		about[i] = a.Name
		if a.Notification != nil {
			about[i] += " notification " + strconv.Itoa(*a.Notification)
		}
	}
	_, err := c.call("SetParameterAttributes", setAttributesArgs(as), strings.Join(about, " "))
	return err
}

// AddObject adds a row to a table; path ends in a dot.
func (c *Conversation) AddObject(path, key string) (instance uint32, status int, err error) {
	n, err := c.call("AddObject", el("ObjectName", path)+el("ParameterKey", key), path)
	instance64, _ := strconv.ParseUint(n.Child("InstanceNumber").String(), 10, 32) // checked with the response
	return uint32(instance64), integer(n.Child("Status")), err
}

// DeleteObject removes a row; path ends in a dot.
func (c *Conversation) DeleteObject(path, key string) (status int, err error) {
	n, err := c.call("DeleteObject", el("ObjectName", path)+el("ParameterKey", key), path)
	return integer(n.Child("Status")), err
}

// Reboot asks the CPE to reboot after the session.
func (c *Conversation) Reboot(commandKey string) error {
	_, err := c.call("Reboot", el("CommandKey", commandKey), commandKey)
	return err
}

// FactoryReset asks the CPE to forget everything after the session.
func (c *Conversation) FactoryReset() error {
	_, err := c.Call("FactoryReset", "")
	return err
}

// ScheduleInform asks for a session after delay seconds.
func (c *Conversation) ScheduleInform(delay uint32, commandKey string) error {
	_, err := c.call("ScheduleInform", el("DelaySeconds", number(delay))+el("CommandKey", commandKey),
		fmt.Sprintf("in %d s, key %q", delay, commandKey))
	return err
}

// Download asks the CPE to fetch a file.
func (c *Conversation) Download(d Download) (Transfer, error) {
	n, err := c.call("Download", downloadArgs(d), d.FileType+" from "+d.URL)
	return transfer(n), err
}

// Upload asks the CPE to send a file.
func (c *Conversation) Upload(u Upload) (Transfer, error) {
	n, err := c.call("Upload", uploadArgs(u), u.FileType+" to "+u.URL)
	return transfer(n), err
}

func transfer(n *Node) Transfer {
	return Transfer{
		Status: integer(n.Child("Status")), StartTime: n.Child("StartTime").String(), CompleteTime: n.Child("CompleteTime").String(),
	}
}
