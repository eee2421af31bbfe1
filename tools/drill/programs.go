package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// program is a required program, with its possible names.
type program struct {
	names  []string
	debian string // the package that has it
}

func needed() []program {
	return []program{
		{[]string{"prometheus"}, "prometheus"},
		{[]string{"prometheus-alertmanager", "alertmanager"}, "prometheus-alertmanager"},
		{[]string{"redis-server"}, "redis-server"},
		{[]string{"promtool"}, "prometheus"},
	}
}

// programs are the paths of the required programs, in the order of needed.
type programs struct{ prometheus, alertmanager, redis, promtool string }

// find looks the programs up with look, which is exec.LookPath; the error says how to install the missing ones.
func find(look func(string) (string, error)) (programs, error) {
	var found, missing []string
	for _, p := range needed() {
		path := ""
		for _, name := range p.names {
			if at, err := look(name); err == nil && path == "" {
				path = at
			}
		}
		if path == "" {
			missing = append(missing, p.debian)
		}
		found = append(found, path)
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		missing = slices.Compact(missing)
		return programs{}, fmt.Errorf("programs are missing: apt-get install -y --no-install-recommends %s", strings.Join(missing, " "))
	}
	return programs{found[0], found[1], found[2], found[3]}, nil
}

// installed are the programs of this machine.
func installed() (programs, error) { return find(exec.LookPath) }
