package zoo

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
)

func names() []exhibit {
	return []exhibit{
		{21, "genieacs_74_empty_parameter_path", rootNames},
		{22, "genieacs_230_names_that_cannot_be_read", closure},
		{22, "every_limit_at_its_edges", limits},
		{23, "genieacs_f9e96fe_intermediate_objects_left_out", intermediate},
		{23, "leaf_with_next_level", nextLevelOfLeaf},
		{28, "writable_that_is_told_read_only", writables},
		{31, "icwmp_12714_a_get_changes_configuration", readingChangesNothing},
		{33, "icwmp_8609_attributes_of_a_thousand_parameters", manyAttributes},
		{37, "genieacs_pr131_whole_tree_and_the_session_timeout", wholeTree},
		{27, "easycwmp_30_types_in_inform_and_answers", types},
	}
}

// within lets a script run in the second session; nothing of it may be wrong.
func within(f func(t *testing.T, h *house, c *acs.Conversation) error) func(t *testing.T) {
	return func(t *testing.T) {
		story(t, plan{}, func(t *testing.T, h *house) {
			h.start()
			h.good(1)
			h.talk(func(c *acs.Conversation) error { return f(t, h, c) })
		})
	}
}

// wantFault fails the test unless err is a fault with this code.
func wantFault(t *testing.T, what string, err error, code int) {
	t.Helper()
	if f := acs.FaultOf(err); f == nil || f.Code != code {
		t.Errorf("%s: %v, want fault %d", what, err, code)
	}
}

var rootNames = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	all, err := c.GetParameterNames("", false)
	if err != nil {
		return err
	}
	one, err := c.GetParameterNames("", true)
	if err != nil {
		return err
	}
	if len(one) != 1 || one[0].Name != "Device." || one[0].Writable {
		t.Errorf("next level of the root: %v", one)
	}
	same, err := c.GetParameterNames("Device.", false)
	if err != nil || !slices.Equal(sorted(all), sorted(same)) {
		t.Errorf("%d names below the root, %d below Device., %v", len(all), len(same), err)
	}
	// RDK-B tr69_12: attributes of nothing.
	if got, err := c.GetParameterAttributes(""); err == nil && len(got) == 0 {
		t.Error("GetParameterAttributes of the root is empty")
	}
	return nil
})

func sorted(infos []acs.ParameterInfo) []string {
	var all []string
	for _, i := range infos {
		all = append(all, i.Name)
	}
	slices.Sort(all)
	return all
}

var part = regexp.MustCompile(`^([A-Za-z_][\w-]*|[1-9][0-9]*)$`)

// closure: each name that is listed can be read, alone and with all the others,
// and no other name comes back.
var closure = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	infos, err := c.GetParameterNames("Device.", false)
	if err != nil {
		return err
	}
	var leaves []string
	for _, i := range infos {
		for p := range strings.SplitSeq(strings.TrimSuffix(i.Name, "."), ".") {
			if !part.MatchString(p) {
				t.Errorf("%q is no name", i.Name)
			}
		}
		if !strings.HasSuffix(i.Name, ".") {
			leaves = append(leaves, i.Name)
			continue
		}
		if v, err := c.GetParameterValues(i.Name); err != nil {
			t.Errorf("%s: %v (%v)", i.Name, err, v)
		}
		if n, err := c.GetParameterNames(i.Name, true); err != nil {
			t.Errorf("%s: %v (%v)", i.Name, err, n)
		}
	}
	v, err := c.GetParameterValues(leaves...)
	if err != nil || len(v) != len(leaves) || len(leaves) < 300 {
		t.Errorf("%d names, %d values, %v", len(leaves), len(v), err)
	}
	for _, p := range v {
		if p.Type == "" {
			t.Errorf("%s has no type", p.Name)
		}
	}
	for _, name := range leaves { // and each alone
		if _, err := c.GetParameterValues(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.GetParameterAttributes(leaves...); err != nil {
		t.Errorf("attributes: %v", err)
	}
	_, err = c.GetParameterValues("Device.DeviceInfo.RetryCount\t")
	if err != nil { // blanks around a name are trimmed: then it is an unknown one
		wantFault(t, "unknown name", err, 9005)
	}
	return nil
})

var intermediate = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	infos, err := c.GetParameterNames("Device.", false)
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, i := range infos {
		if listed[i.Name] {
			t.Errorf("%s twice", i.Name)
		}
		listed[i.Name] = true
	}
	for _, i := range infos {
		parent := i.Name[:strings.LastIndexByte(strings.TrimSuffix(i.Name, "."), '.')+1]
		if parent != "" && !listed[parent] {
			t.Errorf("%s is listed, %s is not", i.Name, parent)
		}
	}
	return nil
})

var nextLevelOfLeaf = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	_, err := c.GetParameterNames(di+"UpTime", true)
	wantFault(t, "leaf with NextLevel", err, 9003)
	one, err := c.GetParameterNames(di+"UpTime", false)
	if err != nil || len(one) != 1 {
		t.Errorf("leaf: %v, %v", one, err)
	}
	_, err = c.GetParameterNames("Device.DeviceInfo", false)
	wantFault(t, "object without its dot", err, 9005)
	_, err = c.GetParameterValues("Device.DeviceInfo")
	wantFault(t, "object without its dot", err, 9005)
	_, err = c.GetParameterValues("Device.DeviceInfo.UpTime.")
	wantFault(t, "parameter with a dot", err, 9005)
	_, err = c.GetParameterNames("Device.Nonsense.", true)
	wantFault(t, "unknown object", err, 9005)
	return nil
})

// writables: what is told to be writable can be written with what it holds, and
// what is told to be read-only refuses with 9008.
var writables = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	infos, err := c.GetParameterNames("Device.", false)
	if err != nil {
		return err
	}
	written, refused := 0, 0
	for _, i := range infos {
		if strings.HasSuffix(i.Name, ".") || strings.Contains(i.Name, "Password") ||
			!i.Writable && refused > 200 { // enough of them
			continue
		}
		v, err := c.GetParameterValues(i.Name)
		if err != nil {
			return err
		}
		_, err = c.SetParameterValues("", acs.P(i.Name, v[0].Type, v[0].Value))
		if !i.Writable {
			refused++
			if f := acs.FaultOf(err); f == nil || f.Code != 9003 || len(f.Parameters) != 1 || f.Parameters[0].Code != 9008 {
				t.Errorf("%s is read-only: %v", i.Name, err)
			}
			continue
		}
		written++
		// Commands may refuse for a reason; what holds a value takes it back.
		if f := acs.FaultOf(err); f != nil && (len(f.Parameters) == 0 || f.Parameters[0].Code == 9008) {
			t.Errorf("%s is writable: %v", i.Name, err)
		} else if err != nil {
			t.Logf("%s = %q: %v", i.Name, v[0].Value, err)
		}
	}
	if written < 20 || refused < 100 {
		t.Errorf("%d writable, %d not", written, refused)
	}
	return nil
})

// readingChangesNothing: not a byte of configuration or state is another one
// after everything was read, and the router was not touched.
func readingChangesNothing(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		h.talk(func(c *acs.Conversation) error { _, err := c.GetParameterValues(""); return err }) // rows get their numbers
		before, conf, commits := h.state.Files("/state"), h.config(), h.router.Commits()
		h.talk(func(c *acs.Conversation) error {
			for _, path := range []string{"", "Device.", "Device.IP."} {
				if _, err := c.GetParameterValues(path); err != nil {
					return err
				}
				if _, err := c.GetParameterNames(path, false); err != nil {
					return err
				}
				if _, err := c.GetParameterAttributes(path); err != nil {
					return err
				}
			}
			_, err := c.GetRPCMethods()
			return err
		})
		time.Sleep(time.Hour)
		after := h.state.Files("/state")
		for name, text := range before {
			if after[name] != text {
				t.Errorf("%s was\n%s\nand is\n%s", name, text, after[name])
			}
		}
		if len(after) != len(before) || h.config() != conf || h.router.Commits() != commits {
			t.Errorf("%d files, then %d; configuration the same: %t; commits %d, then %d",
				len(before), len(after), h.config() == conf, commits, h.router.Commits())
		}
	})
}

var manyAttributes = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	infos, err := c.GetParameterNames("Device.", false)
	if err != nil {
		return err
	}
	var all []acs.SetAttribute
	for len(all) < 1000 {
		for _, i := range infos {
			if !strings.HasSuffix(i.Name, ".") && len(all) < 1000 {
				all = append(all, acs.Notify(i.Name, len(all)%3))
			}
		}
	}
	if err := c.SetParameterAttributes(all...); err != nil && acs.FaultOf(err) == nil {
		return err
	}
	got, err := c.GetParameterAttributes("Device.")
	if err != nil || len(got) < 300 {
		t.Errorf("%d attributes, %v", len(got), err)
	}
	return nil
})

// wholeTree: as one answer, in a fraction of GenieACS's 30 s, on a router with
// hundreds of hosts.
var wholeTree = func(t *testing.T) {
	story(t, plan{o: acs.Options{SessionTimeout: 30 * time.Second}}, func(t *testing.T, h *house) {
		crowd(h, 400)
		h.start()
		h.good(1)
		s := h.talk(func(c *acs.Conversation) error {
			v, err := c.GetParameterValues("")
			if err == nil && len(v) < 3000 {
				t.Errorf("%d values", len(v))
			}
			return err
		})
		if took := s.End.Sub(s.Start); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

var types = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	v, err := c.GetParameterValues("Device.")
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for _, p := range append(v, c.Inform().Parameters...) { // the bench checks that the value fits
		seen[p.Type]++
	}
	for _, want := range []string{"xsd:string", "xsd:boolean", "xsd:int", "xsd:unsignedInt", "xsd:unsignedLong", "xsd:dateTime"} {
		if seen[want] == 0 {
			t.Errorf("no %s among %v", want, seen)
		}
	}
	// A wrong type is refused with 9006, a missing one is forgiven.
	_, err = c.SetParameterValues("", acs.P(ms+"PeriodicInformInterval", "xsd:boolean", "1"))
	wantParam(t, err, 9006)
	_, err = c.SetParameterValues("", acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "-1"))
	wantParam(t, err, 9007, 9006)
	return nil
})

// wantParam fails the test unless err is 9003 with one parameter's fault of one
// of these codes.
func wantParam(t *testing.T, err error, codes ...int) {
	t.Helper()
	f := acs.FaultOf(err)
	if f == nil || f.Code != 9003 || len(f.Parameters) != 1 || !slices.Contains(codes, f.Parameters[0].Code) {
		t.Errorf("%v, want 9003 with %v", err, codes)
	}
}
