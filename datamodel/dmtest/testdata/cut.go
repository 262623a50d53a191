//go:build ignore

// Cut makes device2.tsv from the full table of Device:2.19.1, and tr104.tsv from
// that of VoiceService:2.0.2:
//
//	go run cut.go < device2-2.19.1-params.tsv > device2.tsv
//	go run cut.go Device.Services. < tr104-2.0.2-params.tsv > tr104.tsv
//
// An argument is put before all paths: where a service stands in a device.
// Rows of an object hold the leaf names of its parameters; object rows hold
// the whole path. Columns: path, kind (o, p), type (of an object: the name of
// its count, "-" without one, empty for <Table>NumberOfEntries), access (W:
// writable), size, range, enums, patterns (JSON), list ("list" and what bounds
// it: items, size), hidden, forced (Inform), notify, status ("" is current).
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

var addresses = map[string]bool{"MACAddress": true, "IPAddress": true, "IPv4Address": true, "IPv6Address": true, "IPPrefix": true, "IPv4Prefix": true, "IPv6Prefix": true}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	var head map[string]int
	object, below := "", strings.Join(os.Args[1:], "")
	fmt.Fprintln(out, strings.ReplaceAll("path kind type access size range enums patterns list hidden forced notify status", " ", "\t"))
	for in.Scan() {
		f := strings.Split(in.Text(), "\t")
		if head == nil {
			head = map[string]int{}
			for i, name := range f {
				head[name] = i
			}
			continue
		}
		get := func(name string) string { return f[head[name]] }
		row := []string{below + get("path"), "p", get("type"), "", get("size"), get("range"), get("enums"), get("patterns"), "", "", "", get("active_notify"), get("eff_status")}
		if get("access") != "readOnly" {
			row[3] = "W"
		}
		if row[12] == "current" {
			row[12] = ""
		}
		if get("list") != "" {
			row[8] = "list"
			if lo, hi := get("list_min_items"), get("list_max_items"); lo != "" || hi != "" {
				row[8] += " items " + lo + ":" + hi
			}
			if s := get("list_size"); s != "" {
				row[8] += " size " + s
			}
		}
		if n := get("named_type"); addresses[n] {
			row[7] = n
		}
		if get("hidden") == "true" || get("secured") == "true" {
			row[9] = "hidden"
		}
		if get("forced_inform") == "true" {
			row[10] = "forced"
		}
		if get("kind") == "object" {
			object = row[0]
			row[1], row[2] = "o", count(object, get("num_entries_param"))
		} else {
			row[0] = strings.TrimPrefix(row[0], object)
		}
		fmt.Fprintln(out, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
}

func count(path, name string) string {
	parts := strings.Split(path, ".")
	if !strings.HasSuffix(path, ".{i}.") || name == parts[len(parts)-3]+"NumberOfEntries" {
		return ""
	}
	if name == "" {
		return "-"
	}
	return name
}
