package deploytest_test

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// mounted is the file of the repository that a service sees under a name; "" if there is none.
func (s stack) mounted(service, name string) string {
	for _, v := range s.Services[service].Volumes {
		if v.Target == name {
			return v.Source
		}
		if below, ok := strings.CutPrefix(name, v.Target+"/"); ok && v.Type == "bind" {
			return filepath.Join(v.Source, below)
		}
	}
	return ""
}

// flagOf is the value of --NAME=value in a service's command.
func (s stack) flagOf(service, name string) string {
	for _, arg := range s.Services[service].Command {
		if value, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			return value
		}
	}
	return ""
}

// scraping is what of Prometheus' configuration names addresses and files.
type scraping struct {
	Rules    []string `yaml:"rule_files"`
	Alerting struct {
		Alertmanagers []job
	}
	Jobs []job `yaml:"scrape_configs"`
}

type job struct {
	Name   string                       `yaml:"job_name"`
	Static []struct{ Targets []string } `yaml:"static_configs"`
}

// targetsExist checks every address in Prometheus' configuration, and that its rule files exist.
func targetsExist(s stack) []string {
	var cfg scraping
	var out []string
	file := s.flagOf("prometheus", "config.file")
	unread(s.mounted("prometheus", file), &cfg, &out)
	if len(cfg.Jobs) == 0 || cfg.Jobs[0].Name != "qrgate" || len(cfg.Alerting.Alertmanagers) == 0 || len(cfg.Rules) == 0 {
		out = append(out, "qrgate is not scraped, there are no rules, or no Alertmanager")
	}
	for _, j := range append(cfg.Jobs, cfg.Alerting.Alertmanagers...) {
		for _, static := range j.Static {
			for _, target := range static.Targets {
				if why := s.unreachable("prometheus", target); why != "" {
					out = append(out, strings.TrimSpace("job "+j.Name)+" "+why)
				}
			}
		}
	}
	for _, name := range cfg.Rules {
		if !path.IsAbs(name) {
			name = path.Join(path.Dir(file), name)
		}
		if found, err := filepath.Glob(s.mounted("prometheus", name)); err != nil || len(found) == 0 {
			out = append(out, "the rules "+path.Base(name)+" are not mounted")
		}
	}
	return out
}

// sourcesExist follows the addresses of Grafana's data sources, and its dashboards to their files.
func sourcesExist(s stack) []string {
	var out []string
	uids, linked := map[string]bool{}, map[string]bool{}
	for _, file := range glob(s.mounted("grafana", "/etc/grafana/provisioning/datasources/x")) {
		var sources struct {
			Datasources []struct {
				UID, URL string
				JSONData struct {
					Traces []struct {
						UID string `yaml:"datasourceUid"`
					} `yaml:"exemplarTraceIdDestinations"`
				} `yaml:"jsonData"`
			}
		}
		unread(file, &sources, &out)
		for _, d := range sources.Datasources {
			uids[d.UID] = true
			for _, to := range d.JSONData.Traces {
				linked[to.UID] = true
			}
			u, err := url.Parse(d.URL)
			if err != nil || u.Host == "" || d.UID == "" {
				out = append(out, "a data source has no address or no uid: "+d.URL)
				continue
			}
			if why := s.unreachable("grafana", u.Host); why != "" {
				out = append(out, "the data source "+d.UID+" "+why)
			}
		}
	}
	if len(uids) < 2 {
		out = append(out, "Grafana lacks a data source for metrics or for traces")
	}
	if len(linked) == 0 {
		out = append(out, "no graph leads to its traces")
	}
	for uid := range linked {
		if !uids[uid] {
			out = append(out, "graphs lead to traces at "+uid+", which is no data source")
		}
	}
	boards := 0
	for _, file := range glob(s.mounted("grafana", "/etc/grafana/provisioning/dashboards/x")) {
		var providers struct {
			Providers []struct{ Options struct{ Path string } }
		}
		unread(file, &providers, &out)
		for _, p := range providers.Providers {
			found, _ := filepath.Glob(filepath.Join(s.mounted("grafana", path.Join(p.Options.Path, "x")), "..", "*.json"))
			boards += len(found)
		}
	}
	if boards == 0 {
		out = append(out, "Grafana is shown no dashboard")
	}
	slices.Sort(out)
	return out
}

// glob lists the YAML files beside a name.
func glob(beside string) []string {
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(beside), "*.y*ml"))
	return found
}

func unread(file string, into any, out *[]string) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		*out = append(*out, err.Error())
	}
}

// The windows of the rules fit into what Prometheus keeps, and exemplars are kept at all.
func TestPrometheus_Retention(t *testing.T) {
	t.Parallel()
	s := load(t, read(t, "docker-compose.yml"))
	if got := s.flagOf("prometheus", "storage.tsdb.retention.time"); got != "35d" || !strings.Contains(ruleText(t), "[30d]") {
		t.Errorf("Prometheus keeps %s, and the rules look back over 30d", got)
	}
	if got := s.flagOf("prometheus", "enable-feature"); got != "exemplar-storage" {
		t.Errorf("without exemplar-storage no graph leads to its traces; there is %q", got)
	}
}
