package deploytest_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write deploy/kubernetes/prometheusrule.yaml anew")

func clusterRules(drain time.Duration) map[string]clusterRule {
	return map[string]clusterRule{
		"every manifest is taken up":       complete,
		"pods are restricted":              restricted,
		"replicas come and go in order":    available(drain),
		"probes request configured paths":  probed,
		"settings exist, secrets are kept": configured,
		"names match":                      joined,
		"the network is closed":            fenced,
	}
}

func asWritten(_, text string) string { return text }

func TestKubernetes(t *testing.T) {
	t.Parallel()
	c := manifests(t, asWritten)
	c.settings = settings(t)
	for name, check := range clusterRules(drainTimeout(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, what := range check(c) {
				t.Error(what)
			}
		})
	}
}

// ruleText is all that Prometheus is given of dashboards/prometheus.
func ruleText(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "dashboards", "prometheus", "qrgate.*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no rules: %v", err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		all.WriteString("\n---\n")
	}
	return all.String()
}

// groups are the groups of all rules, in the order of the files' names.
func groups(t *testing.T) []any {
	t.Helper()
	var out []any
	for _, o := range decode(t, "the rules", ruleText(t)) {
		list, _ := o.get("groups").at.([]any)
		out = append(out, list...)
	}
	return out
}

// The rules of the cluster are those of dashboards/prometheus, to the letter.
func TestPrometheusRule_MatchesRules(t *testing.T) {
	t.Parallel()
	if *update {
		writeRule(t)
	}
	rule := manifests(t, asWritten).one("PrometheusRule", gate)
	var got []any
	for _, g := range rule.get("spec", "groups").items() {
		got = append(got, g.at)
	}
	if !cmp.Equal(groups(t), got) {
		t.Error("the rules have changed since the manifest was made of them; make it anew:\n" +
			"go test ./internal/test/deploytest -run TestPrometheusRule -update")
	}
}

func writeRule(t *testing.T) {
	t.Helper()
	var text bytes.Buffer
	text.WriteString("# Generated from dashboards/prometheus by go test ./internal/test/deploytest -run TestPrometheusRule -update. DO NOT EDIT.\n")
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	err := enc.Encode(map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
		"metadata": map[string]any{"name": gate, "namespace": gate, "labels": map[string]string{"app.kubernetes.io/name": gate}},
		"spec":     map[string]any{"groups": groups(t)},
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "deploy", "kubernetes", "prometheusrule.yaml"), text.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Every rule on manifests that break it.
func TestKubernetesRules_DetectViolations(t *testing.T) {
	t.Parallel()
	late := available(12 * time.Second)
	for name, tt := range map[string]struct {
		rule                       clusterRule
		file, old, broken, finding string
	}{
		"a forgotten file":           {complete, "kustomization.yaml", "  - pdb.yaml\n", "", "pdb.yaml is in no kustomization"},
		"a file that is not there":   {complete, "kustomization.yaml", "pdb.yaml", "pdbs.yaml", "names pdbs.yaml, which does not exist"},
		"no namespace":               {complete, "pdb.yaml", "  namespace: qrgate\n", "", "pdb.yaml has an object without"},
		"root":                       {restricted, "deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "may run as root"},
		"a writable root":            {restricted, "deployment.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can be written to"},
		"more privileges":            {restricted, "deployment.yaml", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "may be gained"},
		"capabilities":               {restricted, "deployment.yaml", "drop: [ALL]", "drop: [NET_RAW]", "capabilities are kept"},
		"system calls":               {restricted, "deployment.yaml", "RuntimeDefault", "Unconfined", "system calls"},
		"a token":                    {restricted, "serviceaccount.yaml", "Token: false", "Token: true", "given a token"},
		"no limit":                   {restricted, "deployment.yaml", "limits: { memory: 512Mi }", "limits: {}", "memory is unbounded"},
		"latest":                     {restricted, "deployment.yaml", "qrgate:0.1.0", "qrgate:latest", "no exact version"},
		"the host's disk":            {restricted, "deployment.yaml", "emptyDir: { sizeLimit: 64Mi }", "hostPath: { path: /data }", "the host is shared"},
		"one replica":                {late, "deployment.yaml", "replicas: 2", "replicas: 1", "one replica"},
		"killed while draining":      {late, "deployment.yaml", "GracePeriodSeconds: 40", "GracePeriodSeconds: 15", "killed while they drain"},
		"no pause":                   {late, "deployment.yaml", "seconds: 5 }", "seconds: 0 }", "time to notice"},
		"downtime":                   {late, "deployment.yaml", "maxUnavailable: 0", "maxUnavailable: 1", "takes a replica away first"},
		"all on one node":            {late, "deployment.yaml", "kubernetes.io/hostname", "kubernetes.io/os", "share a node"},
		"all drained at once":        {late, "pdb.yaml", "maxUnavailable: 1", "maxUnavailable: 2", "take all replicas"},
		"scaled to one":              {late, "hpa.yaml", "minReplicas: 2", "minReplicas: 1", "a single replica"},
		"a nervous kubelet":          {late, "deployment.yaml", "failureThreshold: 6", "failureThreshold: 1", "killed within half a minute"},
		"health for clients":         {probed, "deployment.yaml", "path: /livez, port: operators", "path: /livez, port: http", "livenessProbe does not ask"},
		"a path that is none":        {probed, "deployment.yaml", "path: /livez", "path: /healthz", "livenessProbe does not ask"},
		"another port":               {probed, "deployment.yaml", "value: :8081", "value: :9091", "the port operators is not where"},
		"a misspelt setting":         {configured, "configmap.yaml", "QRGATE_LOG_LEVEL", "QRGATE_LOGLEVEL", "QRGATE_LOGLEVEL is no setting"},
		"a secret in the open":       {configured, "configmap.yaml", "QRGATE_LOG_LEVEL: info", "QRGATE_SECRET: info", "QRGATE_SECRET is in a ConfigMap"},
		"a secret in the deployment": {configured, "deployment.yaml", "valueFrom: { secretKeyRef: { name: qrgate, key: secret } }", "value: key-a", "QRGATE_SECRET does not come from the Secret"},
		"no engine":                  {configured, "configmap.yaml", "QRGATE_ENGINE_URL", "QRGATE_LISTEN", "two replicas need QRGATE_ENGINE_URL"},
		"a service without a match":  {joined, "service.yaml", "selector: { app.kubernetes.io/name: qrgate }", "selector: { app: qrgate }", "the clients' service does not find the pods"},
		"the wrong door":             {joined, "service.yaml", "targetPort: http", "targetPort: operators", "leads to the operators' port"},
		"a monitor without a match":  {joined, "servicemonitor.yaml", "component: operators", "component: metrics", "does not find the operators' service"},
		"another job":                {joined, "servicemonitor.yaml", "jobLabel: app.kubernetes.io/name", "jobLabel: app", "would not be called qrgate"},
		"an open operators' port":    {fenced, "networkpolicy.yaml", "port: http", "port: operators", "open to others"},
		"Prometheus elsewhere":       {fenced, "networkpolicy.yaml", ": monitoring", ": default", "open to others"},
		"open to the world":          {fenced, "networkpolicy.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", "is open by default"},
		"no way to Redis":            {fenced, "networkpolicy.yaml", "port: 6379", "port: 6378", "cannot reach port 6379"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := manifests(t, func(file, text string) string {
				if file == tt.file {
					if !strings.Contains(text, tt.old) {
						t.Errorf("%s no longer says %q", file, tt.old)
					}
					return strings.Replace(text, tt.old, tt.broken, 1)
				}
				return text
			})
			c.settings = []string{"QRGATE_LOG_LEVEL"}
			if found := strings.Join(tt.rule(c), "\n"); !strings.Contains(found, tt.finding) {
				t.Errorf("found %q, not %q", found, tt.finding)
			}
		})
	}
}
