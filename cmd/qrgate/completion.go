package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints a script for a shell.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// run prints the script. To load it: source <(qrgate completion bash), or qrgate completion fish | source.
func (s completionCommand) run(out io.Writer, root *kong.Node) {
	if s.Shell == "fish" {
		completeFish(out, root)
		return
	}
	if s.Shell == "zsh" {
		fmt.Fprintln(out, "autoload -U +X bashcompinit && bashcompinit")
	}
	fmt.Fprint(out, "_qrgate() {\n  local words\n  case \"${COMP_WORDS[1]}\" in\n")
	names := flagNames(root, "")
	for _, command := range root.Children {
		fmt.Fprintf(out, "    %s) words=\"%s\" ;;\n", command.Name, strings.Join(commandFlags(root, command), " "))
		names = append(names, command.Name)
	}
	fmt.Fprintf(out, "    *) words=\"%s\" ;;\n  esac\n", strings.Join(names, " "))
	fmt.Fprint(out, "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"+
		"complete -o default -F _qrgate qrgate\n")
}

func completeFish(out io.Writer, root *kong.Node) {
	const line = "complete -c qrgate -n '%s' %s -d '%s'\n"
	quote := strings.NewReplacer("'", `\'`, "\n", " ")
	for _, command := range root.Children {
		fmt.Fprintf(out, line, "__fish_use_subcommand", "-f -a "+command.Name, quote.Replace(command.Help))
		condition := "__fish_seen_subcommand_from " + command.Name
		for _, flag := range slices.Concat(root.Flags, command.Flags) {
			if name := "--" + flag.Name; slices.Contains(commandFlags(root, command), name) {
				fmt.Fprintf(out, line, condition, "-l "+flag.Name, quote.Replace(flag.Help))
			}
		}
	}
}

// commandFlags are the flags that a command uses: its own, and those that it shares.
func commandFlags(root, command *kong.Node) []string {
	return append(flagNames(command, ""), flagNames(root, command.Name)...)
}

// flagNames are the flags of a node, without those that a command does not use.
func flagNames(n *kong.Node, command string) []string {
	var names []string
	used, isLimited := sharedFlags[command]
	for _, f := range n.Flags {
		if !isLimited || len(f.Envs) == 0 || slices.Contains(used, f.Name) {
			names = append(names, "--"+f.Name)
		}
	}
	return names
}
