package main

import (
	"cmp"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// helpTexts has a text for qrgate and for some commands, and flags.txt with a text for every flag.
//
//go:embed help
var helpTexts embed.FS

// flagText matches one entry of flags.txt: a flag, or a command and its flag. Its continuation lines are indented.
var flagText = regexp.MustCompile(`(?m)^([a-z-]+(?: [a-z-]+)?): (.+(?:\n  .+)*)`)

// addHelp sets the texts of all commands and flags.
func addHelp(k *kong.Kong) error {
	text, err := helpTexts.ReadFile("help/flags.txt")
	if err != nil {
		return err
	}
	texts := map[string]string{"help": "Show context-sensitive help."}
	for _, match := range flagText.FindAllStringSubmatch(string(text), -1) {
		texts[match[1]] = strings.ReplaceAll(match[2], "\n ", "")
	}
	k.Model.Help = readHelp("qrgate")
	for _, node := range append([]*kong.Node{k.Model.Node}, k.Model.Children...) {
		if node.Type == kong.CommandNode {
			node.Detail = readHelp(node.Name)
		}
		for _, f := range node.Flags {
			text := cmp.Or(texts[node.Name+" "+f.Name], texts[f.Name])
			if f.Help = strings.ReplaceAll(text, "${default}", f.Default); f.Help == "" {
				return fmt.Errorf("help/flags.txt lacks %s", f.Name)
			}
		}
	}
	return nil
}

// readHelp returns the text of a command; "" if it has none.
func readHelp(command string) string {
	text, _ := helpTexts.ReadFile("help/" + command + ".txt")
	return strings.TrimSpace(string(text))
}

// rewriteHelp turns "help probe" into "probe --help".
func rewriteHelp(args []string) []string {
	if len(args) > 0 && args[0] == "help" {
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// sharedFlags are the settings that each check uses; its help shows no others.
var sharedFlags = map[string][]string{
	"probe":   {"data-dir", "engines"},
	"doctor":  {"data-dir", "engine-url", "engine-kind", "engines"},
	"pair":    {"data-dir", "api-keys"},
	"health":  {"admin-listen"},
	"notify":  {"notify-urls"},
	"version": {}, "completion": {},
}

// checkFlags refuses flags that the command does not use. Variables are for all commands of a host.
func checkFlags(ctx *kong.Context, command string) error {
	used, isLimited := sharedFlags[command]
	for _, element := range ctx.Path {
		if f := element.Flag; isLimited && f != nil && !element.Resolved && !slices.Contains(used, f.Name) &&
			len(f.Envs) > 0 && slices.Contains(ctx.Model.Flags, f) {
			return fmt.Errorf("%s does not use --%s", command, f.Name)
		}
	}
	return nil
}

// printHelp hides the settings that the selected command does not use.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if command := ctx.Selected(); command != nil {
		if used, isCheck := sharedFlags[command.Name]; isCheck {
			for _, f := range ctx.Model.Flags {
				f.Hidden = len(f.Envs) > 0 && !slices.Contains(used, f.Name)
			}
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}
