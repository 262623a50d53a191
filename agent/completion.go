package main

import (
	"context"
	"fmt"
)

// bashCompletion completes commands, and paths level by level with the names
// that the running agent has.
const bashCompletion = `# gatehouse completion for bash: eval "$(gatehouse completion bash)"
_gatehouse() {
	local cur=${COMP_WORDS[COMP_CWORD]} IFS=$'\n'
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		COMPREPLY=($(compgen -W %s -- "$cur"))
		return
	fi
	case $cur in
	-* | *=*) return ;;
	esac
	local parent=
	case $cur in
	*.*) parent=${cur%%.*}. ;;
	esac
	local all
	all=$(gatehouse names --next "$parent" 2>/dev/null | cut -f1)
	COMPREPLY=($(compgen -W "$all" -- "$cur"))
	compopt -o nospace 2>/dev/null
}
complete -F _gatehouse gatehouse
`

func completion(_ context.Context, c *invocation) error {
	if len(c.args) != 1 || c.args[0] != "bash" {
		return usageError("bash is the one shell that is known")
	}
	words := ""
	for _, cmd := range c.commands {
		words += cmd.name + `\n`
	}
	_, err := fmt.Fprintf(c.out.out, bashCompletion, `$'`+words+`'`)
	return err
}
