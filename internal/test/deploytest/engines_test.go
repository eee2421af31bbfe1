package deploytest_test

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"qrgate/internal/app"
)

// Each engine of another API has an example that adds it to the stack: qrgate speaks its API, finds it, and lets no
// other host reach it.
func TestCompose_EngineExamples(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range app.Dialects() {
		file := path.Join("examples/engines", d.Kind+".yml")
		text := read(t, file)
		env := map[string]string{}
		for _, m := range regexp.MustCompile(`\$\{([A-Z_]+):\?`).FindAllStringSubmatch(text, -1) {
			env[m[1]] = "1.2.3"
		}
		project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
			WorkingDir: dir, Environment: env,
			ConfigFiles: []types.ConfigFile{
				{Filename: filepath.Join(dir, "docker-compose.yml"), Content: []byte(read(t, "docker-compose.yml"))},
				{Filename: filepath.Join(dir, file), Content: []byte(text)},
			},
		})
		if err != nil {
			t.Fatalf("%s: docker compose would not take it: %v", file, err)
		}
		s := stack{Project: project, settings: settings(t)}
		if err := yaml.Unmarshal([]byte(text), &s.raw); err != nil {
			t.Fatal(err)
		}
		for _, check := range []rule{imagesPinned, portsClosed, settingsExist, nothingSecret, adminApart, storeApart} {
			for _, what := range check(s) {
				t.Errorf("%s: %s", file, what)
			}
		}
		qrgate := environment(s.Services[gate])
		at, err := url.Parse(qrgate["QRGATE_ENGINE_URL"])
		if err != nil || qrgate["QRGATE_ENGINE_KIND"] != d.Kind || qrgate["QRGATE_FRONT"] != "native" {
			t.Errorf("%s: qrgate has %v", file, qrgate)
		}
		if engine, ok := s.Services[at.Hostname()]; !ok || !s.meet(gate, at.Hostname()) || !hasPort(engine, at.Port()) {
			t.Errorf("%s: %s leads nowhere", file, at)
		}
		if !strings.Contains(text, "-f "+file) {
			t.Errorf("%s does not name its command", file)
		}
	}
	files, err := os.ReadDir(filepath.Join(root, "examples/engines"))
	if err != nil || len(files) != len(app.Dialects()) {
		t.Errorf("%d examples, %v", len(files), err)
	}
}

// hasPort reports whether a service is configured to listen on a port.
func hasPort(s types.ServiceConfig, port string) bool {
	for name, value := range environment(s) {
		if strings.HasSuffix(name, "PORT") && value == port {
			return true
		}
	}
	return false
}
