package tape

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"gatehouse/lab/acs"
)

// A Difference is something in which an agent's answer is not the recorded one.
type Difference struct {
	Exchange int  // from 1
	Grave    bool // other than by a mere value
	Text     string
}

// A Player is the ACS of a tape. It is an http.Handler; whoever posts to it is
// told what the tape says, one answer after the other. It plays one session at
// a time and begins anew with each Inform that opens one.
type Player struct {
	t    *Tape
	told func(Difference)
	done func(complete bool)

	mu sync.Mutex
	at int // the next exchange
}

// NewPlayer makes a player. told hears of each difference, done of each end of
// a session; both are called one at a time and must not call the player.
func (t *Tape) NewPlayer(told func(Difference), done func(complete bool)) *Player {
	return &Player{t: t, told: told, done: done}
}

// maxPost bounds what is read of a request.
const maxPost = 16 << 20

// ServeHTTP takes one request.
func (p *Player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPost))
	if err == nil {
		body, err = acs.Unpack(r.Header.Get("Content-Encoding"), body)
	}
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "POST of an envelope only", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	got := listen(string(body))
	if p.at > 0 && got.method() == "Inform" && !p.wants("Inform") {
		p.tell(true, "a new session before the end of this one")
		p.end(false)
	}
	x := p.t.Exchanges[p.at]
	want := listen(x.Body)
	p.compare(x, want, got, r)
	p.answer(w, x, want, got)
	if p.at++; p.at == len(p.t.Exchanges) {
		p.end(true)
	}
}

func (p *Player) end(complete bool) {
	p.at = 0
	p.done(complete)
}

// wants tells whether the tape's next request is this method.
func (p *Player) wants(method string) bool {
	return listen(p.t.Exchanges[p.at].Body).method() == method
}

func (p *Player) tell(grave bool, text string) {
	p.told(Difference{Exchange: p.at + 1, Grave: grave, Text: text})
}

// answer sends what the tape has. A response of the ACS must carry the ID that
// this agent chose, not the recorded one.
func (p *Player) answer(w http.ResponseWriter, x Exchange, want, got said) {
	body := x.ReplyBody
	if want.m != nil && got.m != nil && want.m.ID != "" && !strings.HasSuffix(want.method(), "Response") && want.method() != "Fault" {
		body = strings.Replace(body, ">"+want.m.ID+"<", ">"+got.m.ID+"<", 1)
	}
	for name, values := range x.Reply {
		switch name {
		case "Content-Length", "Content-Encoding", "Transfer-Encoding", "Date":
			continue
		}
		w.Header()[name] = values
	}
	if x.Status == 0 { // the bench cut the connection here
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(x.Status)
	io.WriteString(w, body)
}
