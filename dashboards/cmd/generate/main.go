// Command generate writes the rules and dashboards. It runs in dashboards/, as go generate does, or writes to the
// directory of -to.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qrgate/dashboards"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	links, to := dashboards.DefaultLinks(), "."
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&links.Runbooks, "runbooks", links.Runbooks, "address of docs/runbooks, for the links of alerts")
	flags.StringVar(&links.Grafana, "grafana", links.Grafana, "address of Grafana, for the links of alerts")
	flags.StringVar(&to, "to", to, "directory to write to")
	if flags.Parse(args) != nil {
		return 2
	}
	if err := write(links, to); err != nil {
		fmt.Fprintln(stderr, "generate:", err)
		return 1
	}
	return 0
}

func write(links dashboards.Links, to string) error {
	files, err := dashboards.Files(links)
	if err != nil {
		return err
	}
	for name, text := range files {
		name = filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
