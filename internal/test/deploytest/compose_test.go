package deploytest_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// rules are the rules of a stack by their descriptions.
func rules() map[string]rule {
	return map[string]rule{
		"every mounted file exists and is read-only":          mountsExist,
		"images are pinned":                                   imagesPinned,
		"only qrgate is reached from outside":                 portsClosed,
		"health is checked everywhere":                        healthChecked,
		"no service has more rights or resources than needed": hardened,
		"networks keep apart what does not talk":              storeApart,
		"the operators' port is for Prometheus":               adminApart,
		"every QRGATE_ variable is a setting":                 settingsExist,
		"no secret has a default":                             nothingSecret,
		"every secret is a file that the service is given":    secretsMounted,
		"every address leads to a service on a port of its":   addressesExist,
		"every scrape target is a service on a port of its":   targetsExist,
		"Grafana's data sources are services that it can ask": sourcesExist,
	}
}

func TestCompose(t *testing.T) {
	t.Parallel()
	s := load(t, read(t, "docker-compose.yml"))
	s.settings = settings(t)
	for name, check := range rules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, what := range check(s) {
				t.Error(what)
			}
		})
	}
}

// binary is qrgate as it is built, once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "qrgate")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/qrgate")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return string(out), err
	}
	return path, nil
})

// built is the path of qrgate's binary.
func built(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("qrgate cannot be built: %v\n%s", err, path)
	}
	return path
}

// settings asks qrgate itself which variables it understands.
func settings(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, args := range [][]string{{"--help"}, {"probe", "--help"}} {
		help, err := exec.Command(built(t), args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\$(QRGATE_[A-Z_]+)`).FindAllStringSubmatch(string(help), -1) {
			all = append(all, m[1])
		}
	}
	if len(all) < 10 {
		t.Fatalf("qrgate --help names only the settings %v", all)
	}
	return all
}

// .env.example names exactly the variables that the file reads, and contains no secret.
func TestEnvExample(t *testing.T) {
	t.Parallel()
	example, err := dotenv.Parse(strings.NewReader(read(t, ".env.example")))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		used[m[1]] = true
	}
	for name, value := range example {
		if !used[name] {
			t.Errorf("docker-compose.yml does not read %s", name)
		}
		if secretName.MatchString(name) && value != "" {
			t.Errorf("%s has a value", name)
		}
	}
	for name := range used {
		if _, isSet := example[name]; !isSet {
			t.Errorf(".env.example does not name %s", name)
		}
	}
	if _, err := parse(t, read(t, "docker-compose.yml"), example); err != nil {
		t.Errorf("with .env.example as it is: %v", err)
	}
}

// drainTimeout is the maximum time that qrgate takes to stop, from its source.
func drainTimeout(t *testing.T) time.Duration {
	t.Helper()
	m := regexp.MustCompile(`drainTimeout = (\d+) \* time\.Second`).FindStringSubmatch(read(t, "internal/app/app.go"))
	if m == nil {
		t.Fatal("internal/app has no drainTimeout in seconds")
	}
	d, err := time.ParseDuration(m[1] + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCompose_GracePeriodCoversDrain(t *testing.T) {
	t.Parallel()
	s := load(t, read(t, "docker-compose.yml"))
	grace := s.Services[gate].StopGracePeriod
	if grace == nil || time.Duration(*grace) < drainTimeout(t)+5*time.Second {
		t.Errorf("Docker kills qrgate %v after the stop signal; qrgate needs up to %s", grace, drainTimeout(t))
	}
}

// Every setting in .env reaches qrgate, and every secret is a file. Another one would have no effect and no warning.
func TestCompose_PassesEverySetting(t *testing.T) {
	t.Parallel()
	text := read(t, "docker-compose.yml")
	image := []string{"QRGATE_LISTEN", "QRGATE_ADMIN_LISTEN", "QRGATE_DATA_DIR", "QRGATE_REDIS_URL"} // set by the stack
	for _, name := range settings(t) {
		if slices.Contains(image, name) {
			continue
		}
		project, err := parse(t, text, map[string]string{name: "said-in-env"})
		if err != nil {
			t.Fatal(err)
		}
		got := environment(project.Services[gate])
		isSecret := secretName.MatchString(name) || name == "QRGATE_DATABASE_URL" || name == "QRGATE_NOTIFY_URLS"
		if file := got[name+"_FILE"]; isSecret != strings.HasPrefix(file, secretsDir) || isSecret && got[name] != "" {
			t.Errorf("%s is a file: %q, and %q", name, file, got[name])
		}
		if !isSecret && got[name] != "said-in-env" {
			t.Errorf("%s in .env reaches qrgate as %q", name, got[name])
		}
	}
	unset := environment(load(t, text).Services[gate])
	if hold, set := unset["QRGATE_QR_WAIT"]; set {
		t.Errorf("without a word of it QRGATE_QR_WAIT is %q", hold)
	}
}
