package app

// This file listens in on a session for the record of it. What it puts between
// the session and its parts changes nothing on the way.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/transfer"
	"gatehouse/cwmp"
)

// listen puts the record between a session and what it works with.
func (r *record) listen(s *cwmp.Session) {
	exchange, handler, calls, answered := s.Exchange, s.Handler, s.Calls, s.Answered
	var events []string
	for _, e := range s.Inform.Events {
		events = append(events, e.EventCode)
	}
	s.Exchange = &recorded{Exchanger: exchange, record: r}
	s.Handler = cwmp.HandlerFunc(func(ctx context.Context, req cwmp.Request) (cwmp.Response, error) {
		r.step("acs", req.Method(), about(req))
		resp, err := handler.Handle(ctx, req)
		if err != nil {
			r.fault(err)
			return nil, err
		}
		return r.count(resp), nil
	})
	if calls != nil {
		s.Calls = func() (cwmp.Call, bool) {
			c, ok := calls()
			if ok {
				r.step("cpe", c.Method(), "")
			}
			return c, ok
		}
	}
	s.Answered = func(c cwmp.Call, a cwmp.Answer, err error) {
		if err != nil {
			r.fault(err)
		}
		if answered != nil {
			answered(c, a, err)
		}
	}
	r.told(events)
	r.step("cpe", "Inform", strings.Join(events, ", "))
}

// told notes the events as the Inform has them.
func (r *record) told(events []string) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	before := weight(r.log)
	r.log.Events = events
	r.grow(weight(r.log) - before)
}

// fault notes that the step was refused: by us, or by the ACS.
func (r *record) fault(err error) {
	var f *cwmp.Fault
	if !errors.As(err, &f) {
		f = &cwmp.Fault{Code: cwmp.FaultInternalError}
	}
	r.edit(func(s *api.SessionStep) { s.Result, s.Fault = "", strings.TrimPrefix(f.Error(), "fault ") })
}

// recorded is an Exchanger that is listened to.
type recorded struct {
	cwmp.Exchanger
	record *record
	begun  bool // the Inform is out
}

// Exchange implements cwmp.Exchanger. What we send ends what we did: an answer
// to a request, or a call; where there was no step for it, it is the empty POST
// or the refusal of something that no handler has seen.
func (e *recorded) Exchange(ctx context.Context, body *cwmp.Body) ([]byte, error) {
	r := e.record
	switch {
	case body == nil:
		r.step("cpe", "", "")
	case e.begun && !r.pending():
		r.step("acs", "?", "not understood")
		r.edit(func(s *api.SessionStep) { s.Fault = refusal(body) })
	}
	e.begun = true
	sent := time.Now()
	r.edit(func(s *api.SessionStep) { s.Bytes, s.Took = body.Size(), sent.Sub(r.start).Milliseconds() })
	reply, err := e.Exchanger.Exchange(ctx, body)
	r.edit(func(s *api.SessionStep) { s.Waited += time.Since(sent).Milliseconds() })
	return reply, err
}

// pending reports whether what goes out now belongs to the last step: an answer
// does once, a call as often as the ACS asks for it (8005).
func (r *record) pending() bool {
	ours := false
	r.edit(func(s *api.SessionStep) { ours = s.Method != "" && (s.From == "cpe" || s.Bytes == 0) })
	return ours
}

// refusal reads code and text of a fault that is about to go out. It is our own
// envelope, so that its form is known.
func refusal(body *cwmp.Body) string {
	text, err := io.ReadAll(io.LimitReader(body.Open(), 4<<10))
	if err != nil {
		return "?"
	}
	between := func(tag string) string {
		_, rest, _ := strings.Cut(string(text), "<"+tag+">")
		in, _, _ := strings.Cut(rest, "</")
		return in
	}
	if code := between("FaultCode"); code != "" {
		return code + ": " + between("FaultString")
	}
	return between("faultstring")
}

// about says what a request is about, without any value that it carries.
func about(req cwmp.Request) string {
	switch q := req.(type) {
	case cwmp.GetParameterValues:
		return some(q.ParameterNames)
	case cwmp.GetParameterNames:
		if q.NextLevel {
			return some([]string{q.ParameterPath}) + ", next level"
		}
		return some([]string{q.ParameterPath})
	case cwmp.GetParameterAttributes:
		return some(q.ParameterNames)
	case cwmp.SetParameterValues:
		return some(namesOf(q.ParameterList, func(p cwmp.ParameterValue) string { return p.Name }))
	case cwmp.SetParameterAttributes:
		return some(namesOf(q.ParameterList, func(p cwmp.SetParameterAttribute) string { return p.Name }))
	case cwmp.AddObject:
		return q.ObjectName
	case cwmp.DeleteObject:
		return q.ObjectName
	case cwmp.ScheduleInform:
		return fmt.Sprintf("in %d s", q.DelaySeconds)
	case cwmp.Download:
		return q.FileType + " from " + transfer.WithoutSecrets(q.URL)
	case cwmp.ScheduleDownload:
		return q.FileType + " from " + transfer.WithoutSecrets(q.URL)
	case cwmp.Upload:
		return q.FileType + " to " + transfer.WithoutSecrets(q.URL)
	}
	return ""
}

func namesOf[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, it := range list {
		out[i] = name(it)
	}
	return out
}

// some names a few, and says how many there are.
func some(names []string) string {
	const few = 3
	switch {
	case len(names) == 1 && names[0] == "":
		return "everything"
	case len(names) <= few:
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%d: %s, …", len(names), strings.Join(names[:few], ", "))
}

// count notes what the answer holds; long lists are counted as they are read.
func (r *record) count(resp cwmp.Response) cwmp.Response {
	switch a := resp.(type) {
	case cwmp.GetParameterValuesResponse:
		return cwmp.GetParameterValuesResponse{ParameterList: counted(r, a.ParameterList, "values")}
	case cwmp.GetParameterNamesResponse:
		return cwmp.GetParameterNamesResponse{ParameterList: counted(r, a.ParameterList, "names")}
	case cwmp.GetParameterAttributesResponse:
		return cwmp.GetParameterAttributesResponse{ParameterList: counted(r, a.ParameterList, "attributes")}
	case cwmp.SetParameterValuesResponse:
		r.status(a.Status)
	case cwmp.DeleteObjectResponse:
		r.status(a.Status)
	case cwmp.AddObjectResponse:
		r.edit(func(s *api.SessionStep) { s.Result = fmt.Sprintf("instance %d", a.InstanceNumber) })
	}
	return resp
}

func (r *record) status(status int) {
	if status != cwmp.StatusApplied {
		r.edit(func(s *api.SessionStep) { s.Result = "after the session" })
	}
}

func counted[T any](r *record, list iter.Seq2[T, error], what string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		n := 0
		for it, err := range list {
			if err != nil {
				r.fault(err)
				yield(it, err)
				return
			}
			n++
			if !yield(it, nil) {
				return
			}
		}
		r.edit(func(s *api.SessionStep) { s.Result = fmt.Sprintf("%d %s", n, what) })
	}
}
