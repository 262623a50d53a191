package main

import (
	"fmt"
	"io"
	"strings"

	"gatehouse/lab/acs"
	"gatehouse/lab/pki"
)

// chaos is what --chaos asks for: knobs of the ACS, and a fault of its TLS.
type chaos struct {
	knobs string
	cert  pki.Fault
}

// parseChaos takes a list of NAME[=VALUE].
func parseChaos(list string) (chaos, error) {
	var c chaos
	var knobs []string
	for word := range strings.SplitSeq(list, ",") {
		fault, isCert := strings.CutPrefix(strings.TrimSpace(word), "cert=")
		if !isCert {
			knobs = append(knobs, word)
			continue
		}
		c.cert = pki.Fault(fault)
		if !strings.Contains(" "+certs(" ")+" ", " "+fault+" ") {
			return c, fmt.Errorf("cert=%s: there are %s", fault, certs(", "))
		}
	}
	c.knobs = strings.Join(knobs, ",")
	return c, new(acs.Options).Apply(c.knobs)
}

func certs(sep string) string {
	var all []string
	for _, f := range pki.Faults() {
		all = append(all, string(f))
	}
	return strings.Join(all, sep)
}

// chaosHelp lists the knobs.
func chaosHelp(out io.Writer) {
	fmt.Fprint(out, `--chaos NAME[=VALUE],… lets the ACS misbehave. The knobs down to "times" belong to a
phase of the session, given as inform.NAME (the default), call.NAME (the CPE's own
requests), empty.NAME (the empty POST) or answer.NAME (answers to our requests).

`)
	row := func(name, value, about string) {
		const wide = 40
		if value != "" {
			name += "=" + value
		}
		if len(name) > wide {
			fmt.Fprintf(out, "  %s\n", name)
			name = ""
		}
		fmt.Fprintf(out, "  %-*s %s\n", wide, name, about)
	}
	for _, k := range acs.Knobs() {
		row(k.Name, k.Value, k.About)
	}
	row("cert", certs("|"), "what is wrong with our TLS (needs --tls)")
}
