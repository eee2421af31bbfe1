package deploytest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// root is the repository, from here.
const root = "../../.."

// stack is docker-compose.yml as Compose understands it, with every profile on.
type stack struct {
	*types.Project
	raw      map[string]any // as it is written, before variables are filled in
	settings []string       // the QRGATE_* variables that qrgate understands
}

// read is a file of the repository, by its path with slashes.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// parse reads a compose file as docker compose does.
func parse(t *testing.T, text string, env map[string]string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "docker-compose.yml"), Content: []byte(text)}},
	}, loader.WithProfiles([]string{"*"}))
}

// load reads a compose file that must be understood.
func load(t *testing.T, text string) stack {
	t.Helper()
	project, err := parse(t, text, nil)
	if err != nil {
		t.Fatalf("docker compose would not take it: %v", err)
	}
	s := stack{Project: project}
	if err := yaml.Unmarshal([]byte(text), &s.raw); err != nil {
		t.Fatal(err)
	}
	return s
}

// gate returns the service qrgate.
const gate = "qrgate"

// environment is what a service is started with.
func environment(s types.ServiceConfig) map[string]string {
	out := map[string]string{}
	for name, value := range s.Environment {
		if value != nil {
			out[name] = *value
		}
	}
	return out
}

// members are the services of a network.
func (s stack) members(network string) []string {
	var out []string
	for _, name := range s.ServiceNames() {
		if _, in := s.Services[name].Networks[network]; in {
			out = append(out, name)
		}
	}
	return out
}

// meet reports whether two services can call each other.
func (s stack) meet(a, b string) bool {
	for network := range s.Services[a].Networks {
		if _, both := s.Services[b].Networks[network]; both {
			return true
		}
	}
	return false
}

// serves reports whether a service is known to listen on a port: it publishes it, checks its own health
// there, or is told to.
func serves(s types.ServiceConfig, port string) bool {
	for _, p := range s.Ports {
		if p.Target != 0 && port == itoa(p.Target) {
			return true
		}
	}
	said := strings.Join(s.HealthCheck.Test, " ")
	for name, value := range environment(s) {
		if strings.HasSuffix(name, "LISTEN") || strings.HasSuffix(name, "PORT") {
			said += " " + value
		}
	}
	return strings.Contains(said+" ", ":"+port+"/") || strings.Contains(said+" ", ":"+port+" ") || wellKnown[s.Name] == port
}

// wellKnown are ports that services listen on by default.
var wellKnown = map[string]string{"redis": "6379", "jaeger": "4318"}
