package gatehouse_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/rpc"
	"gatehouse/agent/transfer"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
	"gatehouse/datamodel/dmtest"
	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// few is how many tests stand behind one thing: enough to go and look.
const few = 3

// TestConformance keeps docs/conformance.md true: what is supported, and the
// tests that say so.
func TestConformance(t *testing.T) {
	s := readSources(t)
	const path = "docs/conformance.md"
	p := &page{t: t, s: s, before: recorded(path)}
	p.say(`# Conformance

What is supported, and which tests say so. Made by ` + "`go test . -run Conformance -update`" + ` from the
sources and checked with every test run. At most three tests stand behind each thing; there may be more.
Those that stand here stay as long as they are true. A test is written as folder:function.
`)
	p.methods()
	p.events()
	p.faults()
	p.model()
	p.zoo()
	p.catalogue("Attacks that made history", "", "attack", historicAttacks)
	p.catalogue("TP-181", "The interoperability tests of the Broadband Forum, by what they look at.", "test", interoperability)
	p.behaviours()

	if *update {
		if err := os.WriteFile(path, []byte(p.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != p.String() {
		t.Errorf("%s is not what the tests say: `go test . -run Conformance -update` writes it anew; first difference:\n%s", path, difference(string(have), p.String()))
	}
}

// difference shows the first line that differs.
func difference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range min(len(h), len(w)) {
		if h[i] != w[i] {
			return fmt.Sprintf("%d: %s\nnow: %s", i+1, h[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, now %d", len(h), len(w))
}

// A page is being written.
type page struct {
	strings.Builder
	t      *testing.T
	s      *sources
	title  string
	before map[string][]string // the tests of each row as the page has them
}

// recorded reads the tests of each row, by title and first cell; a page that
// is not there has none.
func recorded(path string) map[string][]string {
	before := map[string][]string{}
	text, err := os.ReadFile(path)
	if err != nil {
		return before
	}
	title := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if t, ok := strings.CutPrefix(line, "## "); ok {
			title = t
		}
		if cells := strings.Split(strings.Trim(line, "|"), " | "); len(cells) > 1 {
			before[title+"/"+strings.TrimSpace(cells[0])] = strings.Split(strings.TrimSpace(cells[len(cells)-1]), ", ")
		}
	}
	return before
}

// tests are the few that stand behind a row: those that the page has, as long
// as they are among all that there are; so a new test changes no row.
func (p *page) tests(row string, all []string) string {
	kept := slices.DeleteFunc(slices.Clone(p.before[p.title+"/"+row]), func(name string) bool { return !slices.Contains(all, name) })
	if len(kept) == 0 {
		kept = all
	}
	return strings.Join(kept[:min(len(kept), few)], ", ")
}

func (p *page) say(text string) { p.WriteString(text) }

func (p *page) row(cells ...string) { p.say("| " + strings.Join(cells, " | ") + " |\n") }

func (p *page) head(title, text string, columns ...string) {
	p.title = title
	p.say("\n## " + title + "\n\n")
	if text != "" {
		p.say(text + "\n\n")
	}
	p.row(columns...)
	p.say("|" + strings.Repeat("---|", len(columns)) + "\n")
}

// methods are those of TR-069 A.3 and A.4 that a CPE answers, then its own.
func (p *page) methods() {
	p.head("Methods of the ACS", "What `GetRPCMethods` tells is what is answered; anything else is fault 9000. A device whose platform cannot be given files knows neither Download nor ScheduleDownload.", "method", "TR-069", "here", "tests")
	tree, err := datamodel.New(datamodel.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	transfers := &rpc.Transfers{Downloads: []transfer.Kind{transfer.Firmware, transfer.Config}, Uploads: []transfer.Kind{transfer.Config, transfer.Log}}
	resp, err := rpc.New(rpc.Config{Tree: tree, Transfers: transfers, Log: slog.New(slog.DiscardHandler)}).Handle(context.Background(), cwmp.GetRPCMethods{})
	if err != nil {
		p.t.Fatal(err)
	}
	supported := resp.(cwmp.GetRPCMethodsResponse).MethodList
	known := strings.Fields("GetRPCMethods! SetParameterValues! GetParameterValues! GetParameterNames! SetParameterAttributes! GetParameterAttributes! " +
		"AddObject! DeleteObject! Download! Reboot! Upload FactoryReset GetQueuedTransfers GetAllQueuedTransfers ScheduleInform SetVouchers GetOptions " +
		"ScheduleDownload CancelTransfer ChangeDUState")
	for _, m := range known {
		name, must := strings.CutSuffix(m, "!")
		here := "fault 9000"
		if slices.Contains(supported, name) {
			here = "answered"
		}
		p.row(name, map[bool]string{true: "required", false: "optional"}[must], here,
			p.tests(name, p.s.naming(`(cwmp|acs)\.`+name+`\{|\.`+name+`\(|cwmp:`+name+`>|c:`+name+`>|"`+name+`"`)))
		supported = slices.DeleteFunc(supported, func(s string) bool { return s == name })
	}
	if len(supported) > 0 {
		p.t.Errorf("methods that no table knows: %v", supported)
	}
}

// codes are the events of TR-069 table 7 with the constants of agent/core.
var codes = []struct{ code, constant string }{
	{"0 BOOTSTRAP", "Bootstrap"}, {"1 BOOT", "Boot"}, {"2 PERIODIC", "Periodic"}, {"3 SCHEDULED", "Scheduled"},
	{"4 VALUE CHANGE", "ValueChanged"}, {"5 KICKED", "Kicked"}, {"6 CONNECTION REQUEST", "ConnectionRequested"},
	{"7 TRANSFER COMPLETE", "TransferComplete"}, {"8 DIAGNOSTICS COMPLETE", "DiagnosticsComplete"},
	{"9 REQUEST DOWNLOAD", "RequestDownload"}, {"10 AUTONOMOUS TRANSFER COMPLETE", "AutonomousTransferComplete"},
	{"11 DU STATE CHANGE COMPLETE", "DUStateChangeComplete"}, {"12 AUTONOMOUS DU STATE CHANGE COMPLETE", "AutonomousDUStateChangeComplete"},
	{"13 WAKEUP", "Wakeup"}, {"14 HEARTBEAT", "Heartbeat"}, {"M Reboot", "MReboot"}, {"M ScheduleInform", "MScheduleInform"},
	{"M Download", "MDownload"}, {"M ScheduleDownload", "MScheduleDownload"}, {"M Upload", "MUpload"}, {"M ChangeDUState", "MChangeDUState"},
}

func (p *page) events() {
	p.head("Events", "An event *occurs* here when some code of the agent posts it. The tables of what is kept and repeated know all of them.",
		"event", "occurs", "tests")
	for _, c := range codes {
		// Once in the list of constants, once in the table of kinds.
		n := len(regexp.MustCompile(`\b(core\.)?`+c.constant+`\b`).FindAllString(p.s.events, -1))
		p.row(c.code, map[bool]string{true: "yes", false: "not yet"}[n > 0],
			p.tests(c.code, p.s.naming(regexp.QuoteMeta(`"`+c.code)+`\b|core\.`+c.constant+`\b`)))
	}
}

func (p *page) faults() {
	p.head("Faults", "*Sent*: the agent has a place where it answers so. Codes from 8000 on come from the ACS.", "code", "text", "sent", "tests")
	constants := regexp.MustCompile(`(Fault[A-Za-z]+) += (\d{4})`).FindAllStringSubmatch(read(p.t, "cwmp/fault.go"), -1)
	for _, c := range constants {
		n, err := strconv.Atoi(c[2])
		if err != nil {
			p.t.Fatal(err)
		}
		sent := "-"
		if n >= 9000 {
			sent = map[bool]string{true: "yes", false: "not yet"}[regexp.MustCompile(`cwmp\.`+c[1]+`\b`).MatchString(p.s.code)]
		}
		p.row(c[2], cwmp.FaultText(n), sent, p.tests(c[2], p.s.naming(`\b`+c[2]+`\b|cwmp\.`+c[1]+`\b`)))
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// model counts, for each component, the parameters of Device:2, those that are
// declared, and how many of them can be written.
func (p *page) model() {
	p.head("Data model", "Parameters of Device:2.19.1 (those that are not deleted there) by component; how many are there on a platform that has every "+
		"role, as `linux` and the router in memory do, and how many of those can be written; the same for an agent that may not change the network "+
		"(`linux`, unprivileged). Names, types and limits are compared with that table by `datamodel/tr181:TestConformance`; what is narrower is listed in "+
		"[conformance.txt](../datamodel/tr181/testdata/conformance.txt). Components of which there is nothing are left out.",
		"component", "Device:2", "every role", "unprivileged")
	table, all := dmtest.Device2(), map[string]int{}
	for path, r := range table {
		if !r.Object && r.Status != "deleted" {
			all[component(path)]++
		}
	}
	whole := fake.NewLogical().Platform()
	roles := reflect.ValueOf(whole)
	for i := range roles.NumField() {
		// A flag takes something away. Telephony is only told to a voice stack: its
		// objects are the provider's.
		if f := roles.Field(i); f.IsZero() && f.Kind() != reflect.Bool && roles.Type().Field(i).Name != "Voice" {
			p.t.Errorf("the router in memory has no %s: the page counts less than there is", roles.Type().Field(i).Name)
		}
	}
	plain := whole
	plain.Network, plain.Power = nil, nil
	counts := [...]map[string]count{declared(whole, table), declared(plain, table)}
	total, here := 0, [len(counts)]count{}
	for _, c := range slices.Sorted(maps.Keys(all)) {
		total += all[c]
		cells := []string{c, fmt.Sprint(all[c])}
		for i, n := range counts {
			cells = append(cells, n[c].String())
			here[i].all += n[c].all
			here[i].writable += n[c].writable
		}
		if counts[0][c].all > 0 {
			p.row(cells...)
		}
	}
	p.row("all of Device:2", fmt.Sprint(total), here[0].String(), here[1].String())
}

// A count is of parameters.
type count struct{ all, writable int }

func (c count) String() string { return fmt.Sprintf("%d, %d writable", c.all, c.writable) }

func component(path string) string {
	parts := strings.Split(path, ".")
	if len(parts) < 3 {
		return "Device"
	}
	return parts[1]
}

// declared counts what a platform with these roles shows of the table.
func declared(pf platform.Platform, table dmtest.Table) map[string]count {
	n := map[string]count{}
	m := tr181.New(pf, tr181.Agent{
		Settings: struct{ tr181.Settings }{}, Reach: struct{ tr181.Reach }{}, NAT: struct{ tr181.NAT }{}, XMPP: struct{ tr181.XMPP }{}, Lightweight: true,
		Identity: func() platform.ID { return platform.ID{} }, Keep: func(string) datamodel.Backing { return nil }, Start: time.Now(),
	})
	see := func(path string, writable bool) {
		if r := table[path]; r != nil && !r.Object && r.Status != "deleted" {
			c := n[component(path)]
			c.all++
			if writable {
				c.writable++
			}
			n[component(path)] = c
		}
	}
	for _, o := range m.Objects() {
		for info := range o.Params() {
			see(info.Path, info.Writable)
		}
		if name := o.Count(); name != "" {
			above := strings.TrimSuffix(o.Path(), "{i}.")
			see(above[:strings.LastIndexByte(strings.TrimSuffix(above, "."), '.')+1]+name, false)
		}
	}
	return n
}

func (p *page) zoo() {
	p.head("The zoo", "Failures that others have met in the field (`lab/zoo`), each shown to the whole agent. `…` is a part of the name that a list supplies.",
		"row", "failure", "exhibits")
	shown := map[int][]string{}
	for _, e := range p.s.exhibits {
		if !slices.Contains(shown[e.row], e.name) {
			shown[e.row] = append(shown[e.row], e.name)
		}
	}
	for i, title := range fieldFailures {
		row := i + 1
		var cells []string
		slices.Sort(shown[row])
		for _, name := range shown[row] {
			cells = append(cells, "`"+name+"`")
		}
		if why := p.s.absent[row]; why != "" {
			cells = append(cells, "not yet: "+why)
		}
		if cells == nil {
			p.t.Errorf("field failure %d, %s: no exhibit, and no reason", row, title)
		}
		p.row(fmt.Sprint(row), title, strings.Join(cells, "<br>"))
	}
}

func (p *page) catalogue(title, text, column string, list []catalogued) {
	p.head(title, text, column, "tests")
	for _, a := range list {
		var tests []string
		for _, name := range a.tests {
			dir, fn, _ := strings.Cut(name, ":")
			if !p.s.has(dir, fn) {
				p.t.Errorf("%s: there is no test %s any more", a.what, name)
			}
			tests = append(tests, "`"+name+"`")
		}
		text := strings.Join(tests, ", ")
		if a.why != "" {
			text = strings.TrimPrefix(text+"; "+a.why, "; ")
		}
		p.row(a.what, text)
	}
}

// behaviours are what the project was founded on, each with its id.
func (p *page) behaviours() {
	const path = "testdata/behaviours.txt"
	if spec := p.founding(); spec != "" {
		if *update {
			if err := os.WriteFile(path, []byte(spec), 0o644); err != nil {
				p.t.Fatal(err)
			}
		} else if have := read(p.t, path); have != spec {
			p.t.Errorf("%s differs from the list it is made of: -update writes it anew; first difference:\n%s", path, difference(have, spec))
		}
	}
	named := map[string][]string{}
	for _, f := range p.s.tests {
		for _, id := range regexp.MustCompile(`S[0-9]{3}-[0-9]{2}`).FindAllString(f.text, -1) {
			if !slices.Contains(named[id], f.String()) {
				named[id] = append(named[id], f.String())
			}
		}
	}
	lines := strings.Split(strings.TrimSpace(read(p.t, path)), "\n")
	var pinned, asks int
	for _, line := range lines {
		id, _, _ := strings.Cut(line, "\t")
		switch {
		case named[id] == nil && background[id] != "":
			asks++
		case named[id] != nil && background[id] != "":
			p.t.Errorf("%s is background, and pinned by %v", id, named[id])
		case named[id] != nil:
			pinned++
		default:
			p.t.Errorf("no test names %s, and nothing says why", id)
		}
	}
	p.head("Founding behaviours", fmt.Sprintf("%d behaviours: %d are pinned by a test that names the id, %d are background that asks nothing of the agent.",
		len(lines), pinned, asks), "id", "behaviour", "tests")
	for _, line := range lines {
		id, rest, _ := strings.Cut(line, "\t")
		_, text, _ := strings.Cut(rest, "\t")
		tests := p.tests(id, named[id])
		if tests == "" {
			tests = "background only: " + background[id]
		}
		p.row(id, strings.NewReplacer("<", "&lt;", "|", `\|`).Replace(text), tests)
		delete(named, id)
	}
	for id, tests := range named {
		p.t.Errorf("%v name %s, which does not exist", tests, id)
	}
}

// founding reads the list where it was drawn up; "" where that is not at hand.
func (p *page) founding() string {
	spec := os.Getenv("SPEC")
	if spec == "" {
		spec = "../shared/spec"
	}
	text, err := os.ReadFile(filepath.Join(spec, "seeds.md"))
	if err != nil {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		m := regexp.MustCompile(`^(S\d{3}-\d{2}) (.*)$`).FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		what, to := m[2], ""
		if i := strings.LastIndex(what, " -> "); i >= 0 {
			what, to = what[:i], what[i:]
		}
		kind := "behaviour"
		if strings.Contains(m[2], "(ctx)") || strings.HasSuffix(to, "(test server)") {
			kind = "background"
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\n", m[1], kind, strings.TrimSpace(strings.ReplaceAll(what, "(ctx)", "")))
	}
	return b.String()
}
