package cwmp

// This file runs a session phase after phase (TR-069 3.7.1): Inform, our own
// calls, the empty POST, the requests of the ACS, the end. It is sequential
// code: one exchange after the other.

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// maxRetryRequests is how often one call is repeated on fault 8005.
const maxRetryRequests = 5

// defaultMaxAnswer bounds the records of one answer.
const defaultMaxAnswer = 8 << 20

// A run is a session on its way.
type run struct {
	*Session
	log    *slog.Logger
	d      dialect
	limit  int // of a spool
	report Report
	seq    int  // of our cwmp:IDs
	hold   bool // HoldRequests of the last envelope
	final  bool // the empty POST that ends our calls went out
}

// Run holds the session and closes the Exchanger. It returns nil when the
// session ended as it should (TR-069 3.7.1.4); the Report is good either way.
func (s *Session) Run(ctx context.Context) (Report, error) {
	defer s.Exchange.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{Session: s, limit: s.MaxAnswer, log: s.Log}
	if r.limit <= 0 {
		r.limit = defaultMaxAnswer
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.report.ID = s.ID
	if r.report.ID == "" {
		r.report.ID = newID()
	}
	r.log = r.log.With("session", r.report.ID)
	var err error
	if r.d, err = parseVersion(s.Version); err != nil {
		return r.report, err
	}
	start := time.Now()
	if err = r.inform(ctx); err == nil {
		err = r.converse(ctx)
	}
	r.report.Duration = time.Since(start)
	r.report.Version = r.d.String()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		r.report.TryOlder = !r.report.Informed && older(err)
		return r.report, err
	}
	r.log.Debug("session ended", "version", r.report.Version, "calls", r.report.Calls,
		"requests", r.report.Requests, "duration", r.report.Duration.Round(time.Millisecond))
	return r.report, nil
}

func newID() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// older reports whether an Inform failed as it fails at an ACS that knows
// CWMP 1.0 only: by an HTTP error, a fault, or something unreadable.
func older(err error) bool {
	var fault *Fault
	var envelope *EnvelopeError
	var status *HTTPError
	switch {
	case errors.As(err, &fault), errors.As(err, &envelope):
		return true
	case errors.As(err, &status):
		return status.Status != 401 && status.Status != 403 && status.Status != 503
	}
	return false
}

// inform is the first phase.
func (r *run) inform(ctx context.Context) error {
	if n := len(r.Inform.Events); n > MaxEvents {
		r.log.Warn("more events than an Inform can hold, the last ones are left out", "events", n)
	}
	h := header{id: r.nextID(), sessionTimeout: r.SessionTimeout, versions: true}
	body, err := encode(ctx, r.d, h, &r.Inform, r.limit)
	if err != nil {
		return fmt.Errorf("the Inform cannot be built: %w", err)
	}
	e, err := r.repeat(ctx, &r.Inform, h.id, body)
	if err != nil {
		return fmt.Errorf("Inform: %w", err)
	}
	r.report.Informed = true
	r.negotiate(e)
	if r.Informed != nil {
		r.Informed()
	}
	return nil
}

// negotiate takes the version that the ACS chose: by UseCWMPVersion, else by
// the namespace of its InformResponse (TR-069 3.7.2.1).
func (r *run) negotiate(e *envelope) {
	d := dialect{minor: min(e.minor, r.d.minor)}
	if use, err := parseVersion(e.useVersion); err == nil && e.useVersion != "" && use.minor <= r.d.minor {
		d = use
	}
	r.d = d
}

// repeat sends a call until the ACS answers with something else than 8005, and
// returns the envelope of the answer. A refusal is a *Fault.
func (r *run) repeat(ctx context.Context, c Call, id string, body *Body) (*envelope, error) {
	for range maxRetryRequests {
		e, err := r.post(ctx, c.Method(), body)
		if err != nil {
			return nil, err
		}
		if e == nil {
			return nil, ErrNoAnswer
		}
		if e.id != "" && strings.TrimSpace(e.id) != id {
			return nil, fmt.Errorf("%w: %s with ID %.40q, ours is %q", ErrUnexpected, e.name(), e.id, id)
		}
		if e.unknown != "" {
			// There is no way to refuse an answer.
			r.log.Warn("the ACS sent a header that we do not understand", "header", truncate(e.unknown, 80))
		}
		if e.fault {
			if f := decodeFault(e); f.Code != FaultACSRetryRequest {
				return nil, f
			}
			r.log.Debug("the ACS asks for repetition", "method", c.Method())
			continue
		}
		if !e.cwmp || e.name() != c.Method()+"Response" {
			return nil, fmt.Errorf("%w: %.80s in answer to %s", ErrUnexpected, e.name(), c.Method())
		}
		return e, nil
	}
	return nil, ErrRetries
}

// converse is everything after the Inform. It ends when the ACS has nothing
// more to say after we had nothing more to ask.
func (r *run) converse(ctx context.Context) error {
	call, ok := r.next()
	for {
		for ; ok; call, ok = r.next() {
			if err := r.call(ctx, call); err != nil {
				return fmt.Errorf("%s: %w", call.Method(), err)
			}
		}
		r.final = !r.hold // under HoldRequests our turn comes again
		if err := r.listen(ctx); err != nil {
			return err
		}
		// The empty reply has lifted any hold.
		if call, ok = r.next(); !ok {
			return nil
		}
	}
}

// listen sends the empty POST and serves the ACS until it has nothing more to
// say. A request beyond our limits is refused like any other.
func (r *run) listen(ctx context.Context) error {
	e, err := r.post(ctx, "", nil)
	for {
		var much *EnvelopeError
		switch {
		case errors.As(err, &much) && much.limit:
			r.report.Requests++
			fault := r.faultOf("", Faultf(FaultResourcesExceeded, "%s in one request", much.Problem))
			e, err = r.post(ctx, "Fault", encodeFault(r.d, much.id, fault))
		case err != nil || e == nil:
			return err
		default:
			e, err = r.serve(ctx, e)
		}
	}
}

// next returns our next call if it is our turn.
func (r *run) next() (Call, bool) {
	if r.Calls == nil || r.hold || r.final {
		return nil, false
	}
	return r.Calls()
}

// call carries out one call of ours. Refusals are told to whoever made the
// call, and the session goes on.
func (r *run) call(ctx context.Context, c Call) error {
	id := r.nextID()
	body, err := encode(ctx, r.d, header{id: id}, c, r.limit)
	if err != nil {
		return err
	}
	e, err := r.repeat(ctx, c, id, body)
	var fault *Fault
	var unreadable *EnvelopeError
	switch {
	case err == nil:
		r.answered(c, decodeAnswer(e), nil)
	case errors.As(err, &fault):
		r.log.Warn("the ACS refuses a call", "method", c.Method(), "fault", fault)
		r.answered(c, nil, fault)
	case errors.As(err, &unreadable) && c.Method() != "TransferComplete":
		// GenieACS refuses methods that it does not know with a fault that is
		// not XML (<soap-env:Body:Fault>).
		r.log.Warn("the ACS answers a call with something unreadable, taken for fault 8000",
			"method", c.Method(), "error", err)
		r.answered(c, nil, &Fault{Code: FaultACSMethodNotSupported, Message: unreadable.Error()})
	default:
		return err
	}
	return nil
}

func (r *run) answered(c Call, a Answer, err error) {
	r.report.Calls++
	if r.Answered != nil {
		r.Answered(c, a, err)
	}
}

// serve answers one request of the ACS and returns what it says to that.
func (r *run) serve(ctx context.Context, e *envelope) (*envelope, error) {
	switch {
	case e.unknown != "":
		r.report.Requests++
		return r.post(ctx, "MustUnderstand", encodeMustUnderstand(r.d, e.id, e.unknown))
	case e.fault:
		return nil, fmt.Errorf("%w: %w", ErrUnexpected, decodeFault(e))
	case strings.HasSuffix(e.name(), "Response"):
		return nil, fmt.Errorf("%w: %.80s, but nothing was asked", ErrUnexpected, e.name())
	}
	name := e.name()
	body, err := r.handle(ctx, e)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		fault := r.faultOf(name, err)
		body, name = encodeFault(r.d, e.id, fault), "Fault"
	} else {
		name += "Response"
	}
	r.report.Requests++
	return r.post(ctx, name, body)
}

// handle decodes a request, has it carried out, and encodes the response.
func (r *run) handle(ctx context.Context, e *envelope) (*Body, error) {
	req, err := decodeRequest(e)
	if err != nil {
		return nil, err
	}
	if r.Handler == nil {
		return nil, &Fault{Code: FaultMethodNotSupported}
	}
	resp, err := r.Handler.Handle(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp == nil || resp.Method() != req.Method()+"Response" {
		return nil, fmt.Errorf("the handler answered %s with %T", req.Method(), resp)
	}
	return encode(ctx, r.d, header{id: e.id}, resp, r.limit)
}

// faultOf makes a fault of an error: its own, or 9002 that keeps the details
// to our log.
func (r *run) faultOf(method string, err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		r.log.Debug("request refused", "method", method, "fault", f)
		return f
	}
	r.log.Error("request failed", "method", method, "error", err)
	return &Fault{Code: FaultInternalError}
}

// post does one exchange: what is the name of what we send, "" the empty POST.
// It returns nil for an empty reply.
func (r *run) post(ctx context.Context, what string, body *Body) (*envelope, error) {
	if body != nil {
		r.dump(true, body.Open())
	}
	began := time.Now()
	r.log.Debug("sending", "message", what, "bytes", body.Size())
	reply, err := r.Exchange.Exchange(ctx, body)
	after := time.Since(began).Round(time.Millisecond)
	if err != nil {
		return nil, err
	}
	if blank(reply) {
		r.log.Debug("received", "message", "", "bytes", len(reply), "after", after)
		r.hold = false
		return nil, nil
	}
	r.dump(false, reader(reply))
	e, err := readEnvelope(reply, r.Limits)
	if err != nil {
		r.hold = false
		return nil, err
	}
	r.hold = e.hold
	if e.body == nil {
		r.log.Warn("the ACS sent an envelope with nothing in it, taken for an empty reply")
		r.hold = false
		return nil, nil
	}
	r.log.Debug("received", "message", truncate(e.name(), 80), "bytes", len(reply), "after", after)
	return e, nil
}

// nextID makes an ID of ours; at most 32 characters (TR-069 3.5).
func (r *run) nextID() string {
	r.seq++
	n := "." + strconv.Itoa(r.seq)
	return truncate(r.report.ID, 32-len(n)) + n
}
