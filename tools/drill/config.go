package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// receiver matches the URLs of the committed routes and captures the receiver.
var receiver = regexp.MustCompile(`https?://([a-z]+)\.example[^\s"']*`)

// files are the configuration files of the two programs.
type files struct{ prometheus, alertmanager string }

// configure writes the configurations: the committed rules and routes in the drill's time scale, with the drill's own addresses.
func configure(dir string, s settings, at addresses) (files, error) {
	rules, err1 := os.ReadFile(s.Rules)
	routes, err2 := os.ReadFile(s.Routes)
	if err := errors.Join(err1, err2); err != nil {
		return files{}, fmt.Errorf("%w\nRun the drill in the directory tools, or name the files with --rules and --routes", err)
	}
	turn := s.timeScale().of(10 * time.Second).String()
	// JSON is YAML.
	prometheus, err := json.Marshal(map[string]any{
		"global":     map[string]any{"scrape_interval": turn, "scrape_timeout": turn, "evaluation_interval": turn},
		"rule_files": []string{"rules.yml"},
		"alerting":   map[string]any{"alertmanagers": []any{targets(at.alertmanager)}},
		"scrape_configs": []any{merge(targets(at.admin), map[string]any{
			"job_name": "qrgate", // the name in every rule
		})},
	})
	if err != nil {
		return files{}, err
	}
	out := files{filepath.Join(dir, "prometheus.yml"), filepath.Join(dir, "alertmanager.yml")}
	return out, errors.Join(
		os.WriteFile(filepath.Join(dir, "rules.yml"), []byte(s.timeScale().shorten(string(rules))), 0o600),
		os.WriteFile(out.prometheus, prometheus, 0o600),
		os.WriteFile(out.alertmanager, []byte(reroute(s.timeScale().shorten(string(routes)), at.pager)), 0o600),
	)
}

// reroute replaces the URLs of pager.example, chat.example … by paths of the drill's own receiver.
func reroute(routes, pager string) string {
	return receiver.ReplaceAllString(routes, "http://"+pager+"/$1")
}

func targets(addr string) map[string]any {
	return map[string]any{"static_configs": []any{map[string]any{"targets": []string{addr}}}}
}

func merge(a, b map[string]any) map[string]any {
	for k, v := range b {
		a[k] = v
	}
	return a
}
