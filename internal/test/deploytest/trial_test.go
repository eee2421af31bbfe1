package deploytest_test

import (
	"strings"
	"testing"
)

// Each rule fails for a file that violates it.
func TestComposeRules_DetectViolations(t *testing.T) {
	t.Parallel()
	text := read(t, "docker-compose.yml") + "configs: { unfiled: { content: x } }\n"
	for name, tt := range map[string]struct {
		rule    rule
		old     string
		broken  string
		finding string
	}{
		"a file that is not there":     {mountsExist, "./deploy/compose/redis.sh:", "./deploy/compose/gone.sh:", "redis mounts deploy/compose/gone.sh, which does not exist"},
		"a file of the machine":        {mountsExist, "./deploy/compose/redis.sh:", "/etc/passwd:", "from outside of the repository"},
		"the Docker socket":            {mountsExist, "./deploy/compose/redis.sh:", "/var/run/docker.sock:", "from outside of the repository"},
		"a file that may be changed":   {mountsExist, "redis.sh:ro", "redis.sh", "redis may write to deploy/compose/redis.sh"},
		"latest":                       {imagesPinned, "redis:7.2.11-bookworm", "redis:latest", "without an exact version"},
		"a minor version":              {imagesPinned, "redis:7.2.11-bookworm", "redis:7.2", "without an exact version"},
		"no version":                   {imagesPinned, "grafana/grafana:12.1.1", "grafana/grafana", "without an exact version"},
		"a build without Dockerfile":   {imagesPinned, "context: ./examples/baileys-engine", "context: ./docs", "a Dockerfile that does not exist"},
		"Prometheus beyond loopback":   {portsClosed, "127.0.0.1:9090:9090", "9090:9090", "prometheus publishes 9090 beyond loopback"},
		"the operators' port":          {portsClosed, `"${CLIENT_PORT:-8080}:8080"`, `"8080:8080", "8081:8081"`, "qrgate publishes 8081 beyond loopback"},
		"the host's network":           {portsClosed, "networks: [store]", "network_mode: host", "shares a network"},
		"no health check":              {healthChecked, `["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:14269/"]`, `["NONE"]`, "jaeger has no complete health check"},
		"a writable root":              {hardened, "read_only: true", "read_only: false", "redis has a writable root"},
		"capabilities":                 {hardened, "cap_drop: [ALL]", "cap_drop: [NET_RAW]", "redis keeps capabilities"},
		"privileges":                   {hardened, `["no-new-privileges:true"]`, "[]", "redis may gain privileges"},
		"a crash":                      {hardened, "restart: unless-stopped", `restart: "no"`, "redis stays down after a crash"},
		"no limit of memory":           {hardened, "memory: 640M, ", "", "redis has unbounded resources"},
		"no limit of logs":             {hardened, `max-size: 10m, `, "", "redis has unbounded logs"},
		"root":                         {hardened, `user: "999:999"`, `user: "0:0"`, "redis runs as root"},
		"privileged":                   {hardened, `user: "999:999"`, `privileged: true`, "redis is privileged"},
		"a config in a read-only root": {hardened, `user: "999:999"`, `configs: [unfiled]`, "redis writes a file into its own root"},
		"Redis beside Grafana":         {storeApart, "networks: [store]", "networks: [store, operators]", "Redis is in more networks than its own"},
		"Redis with the engine":        {storeApart, "networks: [engine]", "networks: [engine, store]", "in the network store are [engine qrgate redis]"},
		"a store that leads out":       {storeApart, "store: { internal: true }", "store:", "the network store leads out"},
		"the default network":          {storeApart, "    networks: [engine]\n", "", "the default network is used"},
		"an open operators' port":      {adminApart, "QRGATE_ADMIN_LISTEN: ${SCRAPE_NET:-172.29.250}.2:8081", `QRGATE_ADMIN_LISTEN: ":8081"`, "is no address"},
		"another address":              {adminApart, "QRGATE_ADMIN_LISTEN: ${SCRAPE_NET:-172.29.250}.2", "QRGATE_ADMIN_LISTEN: 172.29.250.3", "is not qrgate's address"},
		"an address of the pool":       {adminApart, "}.8/29", "}.0/29", "Docker may assign"},
		"a setting that is none":       {settingsExist, "QRGATE_LOG_LEVEL: $", "QRGATE_LOGLEVEL: $", "qrgate has QRGATE_LOGLEVEL, which is no setting"},
		"a default secret":             {nothingSecret, "QRGATE_SECRET_FILE: /run/secrets/secret", "QRGATE_SECRET: abc", "qrgate has a secret in QRGATE_SECRET"},
		"a secret that is not given":   {secretsMounted, "secrets: [secret, api_keys", "secrets: [secret", "qrgate has QRGATE_API_KEYS_FILE, which leads to no secret"},
		"a secret of the environment":  {hardened, "file: ./secrets/redis_password", "environment: REDIS_PASSWORD", "redis writes a file into its own root"},
		"a password in a URL":          {nothingSecret, "redis://qrgate@", "redis://qrgate:admin@", "qrgate has a password in QRGATE_REDIS_URL"},
		"a password in a command":      {nothingSecret, `command: ["sh", "/etc/qrgate/redis.sh"]`, `command: [redis-server, --requirepass, x, --masterauth, password]`, "redis has a password in its command"},
		"no such service":              {addressesExist, "http://jaeger:4318", "http://tempo:4318", "leads to tempo, which is no service"},
		"no such port":                 {addressesExist, "http://jaeger:4318", "http://jaeger:4317", "leads to port 4317 of jaeger, where no service listens"},
		"no common network":            {addressesExist, "networks: [store]", "networks: [operators]", "leads to redis, which is in no network with qrgate"},
		"a target out of reach":        {targetsExist, "networks: [scrape, operators]", "networks: [operators]", "job qrgate leads to qrgate, which is in no network with prometheus"},
		"a target on another port":     {targetsExist, "}.2:8081", "}.2:8082", "job qrgate leads to port 8081 of qrgate, where no service listens"},
		"rules that are not mounted":   {targetsExist, "./dashboards/prometheus:", "./internal/test/deploytest/testdata:", "the rules qrgate.rules.yml are not mounted"},
		"no configuration":             {targetsExist, "qrgate/prometheus.yml", "qrgate/gone.yml", "gone.yml"},
		"traces out of reach":          {sourcesExist, "networks: [traces, operators]", "networks: [traces]", "leads to jaeger, which is in no network with grafana"},
		"no dashboards":                {sourcesExist, "./dashboards/grafana/dashboards:", "./deploy/compose:", "Grafana is shown no dashboard"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(text, tt.old) == 0 {
				t.Fatalf("docker-compose.yml does not contain %q", tt.old)
			}
			s := load(t, strings.Replace(text, tt.old, tt.broken, 1))
			s.settings = []string{"QRGATE_LOG_LEVEL"}
			if found := strings.Join(tt.rule(s), "\n"); !strings.Contains(found, tt.finding) || found == "" {
				t.Errorf("found %q, not %q", found, tt.finding)
			}
		})
	}
}
