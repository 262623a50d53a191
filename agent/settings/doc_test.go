package settings

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/settings.md anew")

// TestDoc keeps docs/settings.md true: it is the table, in words.
func TestDoc(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Settings

Made from the table in ` + "`agent/settings/table.go`" + ` by ` + "`go test ./agent/settings -update`" + `.

The file has sections as icwmpd's users know them: ` + "`config acs 'acs'`, `config cpe 'cpe'`" + `, and
` + "`stun`, `xmpp`, `lwn`, `tls`, `proxy`, `log`, `api`, `dbus`, `metrics`" + `. *Files only* means that neither the ACS nor a provider nor
DHCP can set it. Who is heard when several speak stands in
[architecture.md](architecture.md#who-owns-a-setting).

| section | option | default | limits | |
|---|---|---|---|---|
`)
	ours := ""
	for _, i := range Table() {
		var notes []string
		if i.Secret {
			notes = append(notes, "never shown")
		}
		if i.Local {
			notes = append(notes, "files only")
		}
		section, option, ok := strings.Cut(i.Option, ".")
		if !ok {
			ours += fmt.Sprintf("| `Device.%s` | %s | %s |\n", i.Name, code(i.Default), i.Limits)
			continue
		}
		if i.Name != i.Option {
			notes = append([]string{"`Device." + i.Name + "`"}, notes...)
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", section, option, code(i.Default), i.Limits, strings.Join(notes, "; "))
	}
	b.WriteString("\nNot in the file, and written by the ACS alone:\n\n| parameter | default | limits |\n|---|---|---|\n" + ours)

	const path = "../../docs/settings.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("%s is not what the table says: write it anew with -update", path)
	}
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
