package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

// bashCompletion completes commands, flags, and paths level by level with the
// names that the running agent has.
const bashCompletion = `# gatehouse completion for bash: eval "$(gatehouse completion bash)"
_gatehouse() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local bin=${COMP_WORDS[0]/#\~/$HOME} cmd=${COMP_WORDS[1]}
	local flags= parent= path mode kind i
	local -a run=()
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W '%s' -- "$cur"))
		return
	fi
	case $prev in
	--run | --root | --state) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--config | --factory) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	=) return ;;
	esac
	case $cur in
	=) return ;;
	-*)
		case $cmd in
%s		esac
		COMPREPLY=($(compgen -W "$flags" -- "$cur"))
		return
		;;
	esac
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == --run ]]; then
			((i++))
			[[ ${COMP_WORDS[i]} == = ]] && ((i++))
			run=(--run "${COMP_WORDS[i]/#\~/$HOME}")
		fi
	done
	case $cmd in
	get | set | add | del | names | attrs | watch) ;;
	*) return ;;
	esac
	[[ $cur == *.* ]] && parent=${cur%%.*}.
	while IFS=$'\t' read -r path mode kind; do
		[[ $path == "$cur"* ]] || continue
		case $cmd:$kind in
		add:object | del:object | set:object) ;;
		add:* | del:*) continue ;;
		set:*)
			[[ $mode == w ]] || continue
			path+==
			;;
		esac
		[[ $path == *[.=] ]] && compopt -o nospace 2>/dev/null
		COMPREPLY+=("$path")
	done < <("$bin" names --next "${run[@]}" -- "$parent" 2>/dev/null)
}
complete -F _gatehouse gatehouse
`

func completion(_ context.Context, c *invocation) error {
	if len(c.args) != 1 || c.args[0] != "bash" {
		return usageError("bash is the one shell that is known")
	}
	var words []string
	var flags strings.Builder
	for _, cmd := range commands() {
		words = append(words, cmd.name)
		inv := &invocation{}
		all := cmd.flagSet(inv)
		var names []string
		all.VisitAll(func(f *flag.Flag) {
			if cmd.shows(f.Name) {
				names = append(names, "--"+f.Name)
			}
		})
		fmt.Fprintf(&flags, "\t\t%s) flags='%s' ;;\n", cmd.name, strings.Join(names, " "))
	}
	_, err := fmt.Fprintf(c.out.out, bashCompletion, strings.Join(words, " "), flags.String())
	return err
}
