package deploytest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// clusterRule returns the violations of a cluster, in sentences.
type clusterRule func(cluster) []string

// expect is a list of conditions that must hold, by the sentence for when one does not.
func expect(conditions map[string]bool) []string {
	var out []string
	for what, ok := range conditions {
		if !ok {
			out = append(out, what)
		}
	}
	slices.Sort(out)
	return out
}

func (c cluster) deployment() tree { return c.one("Deployment", gate) }
func (c cluster) pod() tree        { return c.deployment().get("spec", "template", "spec") }
func (c cluster) container() tree  { return c.pod().get("containers") }

// complete: the kustomization lists every file, or names it as optional.
func complete(c cluster) []string {
	var out []string
	for _, file := range c.files {
		if !slices.Contains(c.listed, file) && file != "hpa.yaml" {
			out = append(out, file+" is in no kustomization")
		}
	}
	for _, file := range c.listed {
		if !slices.Contains(c.files, file) {
			out = append(out, "the kustomization names "+file+", which does not exist")
		}
	}
	for _, o := range c.objects {
		kind := o.get("kind").text()
		if o.get("apiVersion").text() == "" || kind == "" || kind != "Namespace" && o.get("metadata", "namespace").text() != gate {
			out = append(out, o.file+" has an object without version, kind or namespace")
		}
	}
	return out
}

// restricted: what the Pod Security Standard of that name asks for, and a root that cannot be written to.
func restricted(c cluster) []string {
	pod, own := c.pod(), c.container().get("securityContext")
	account := c.one("ServiceAccount", pod.get("serviceAccountName").text())
	return expect(map[string]bool{
		"the pod may run as root":            pod.get("securityContext", "runAsNonRoot").is(true) && pod.get("securityContext", "runAsUser").number() > 0,
		"system calls are not restricted":    pod.get("securityContext", "seccompProfile", "type").text() == "RuntimeDefault",
		"privileges may be gained":           own.get("allowPrivilegeEscalation").is(false),
		"capabilities are kept":              strings.Contains(own.get("capabilities", "drop").text(), "ALL") && own.get("capabilities", "add").at == nil,
		"the root can be written to":         own.get("readOnlyRootFilesystem").is(true),
		"the host is shared":                 pod.get("hostNetwork").at == nil && pod.get("hostPID").at == nil && !strings.Contains(pod.get("volumes").text(), "hostPath"),
		"the pod is given a token":           pod.get("automountServiceAccountToken").is(false) && account.get("automountServiceAccountToken").is(false),
		"the namespace admits anything":      c.one("Namespace", gate).get("metadata", "labels", "pod-security.kubernetes.io/enforce").text() == "restricted",
		"Kubernetes adds variables for fun":  pod.get("enableServiceLinks").is(false),
		"memory is unbounded":                c.container().get("resources", "limits", "memory").text() != "" && c.container().get("resources", "requests", "memory").text() != "",
		"what is written has no bound":       pod.get("volumes", "emptyDir", "sizeLimit").text() != "",
		"the image has no exact version":     imageVersion.MatchString(c.container().get("image").text()),
		"the user is not that of the image":  pod.get("securityContext", "runAsUser").number() == 65532,
		"the data directory is not writable": c.container().get("volumeMounts", "mountPath").text() == "/data" && pod.get("securityContext", "fsGroup").number() == 65532,
	})
}

// available: replicas stand apart, come before the old ones go, and leave in their own time.
func available(drain time.Duration) clusterRule {
	return func(c cluster) []string {
		spec := c.deployment().get("spec")
		grace := time.Duration(c.pod().get("terminationGracePeriodSeconds").number()) * time.Second
		pause := time.Duration(c.container().get("lifecycle", "preStop", "sleep", "seconds").number()) * time.Second
		spread := c.pod().get("topologySpreadConstraints").items()
		return expect(map[string]bool{
			"there is one replica":                          spec.get("replicas").number() >= 2,
			"a rollout takes a replica away first":          spec.get("strategy", "rollingUpdate", "maxUnavailable").at == 0 && spec.get("strategy", "rollingUpdate", "maxSurge").number() > 0,
			"proxies are not given the time to notice":      pause >= 3*time.Second,
			"replicas are killed while they drain":          grace >= pause+drain+10*time.Second,
			"replicas share a node and a zone":              len(spread) == 2 && spread[0].get("topologyKey").text() == "kubernetes.io/hostname" && spread[1].get("topologyKey").text() == "topology.kubernetes.io/zone",
			"maintenance may take all replicas":             c.one("PodDisruptionBudget", gate).get("spec", "maxUnavailable").number() == 1,
			"the autoscaler may leave a single replica":     c.one("HorizontalPodAutoscaler", gate).get("spec", "minReplicas").number() >= 2,
			"the autoscaler is about another deployment":    c.one("HorizontalPodAutoscaler", gate).get("spec", "scaleTargetRef", "name").text() == gate,
			"a busy replica is killed within half a minute": c.container().get("livenessProbe", "periodSeconds").number()*c.container().get("livenessProbe", "failureThreshold").number() >= 30,
		})
	}
}

// probed: the probes request health on the operators' port, where qrgate serves it.
func probed(c cluster) []string {
	var out []string
	for probe, path := range map[string]string{"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"} {
		get := c.container().get(probe, "httpGet")
		if get.get("path").text() != path || get.get("port").text() != "operators" || c.container().get(probe, "timeoutSeconds").number() < 1 {
			out = append(out, probe+" does not ask "+path+" on the operators' port")
		}
	}
	for name, port := range map[string]string{"http": ":8080", "operators": c.variable("QRGATE_ADMIN_LISTEN").get("value").text()} {
		if !slices.ContainsFunc(c.container().get("ports").items(), func(p tree) bool {
			return p.get("name").text() == name && fmt.Sprintf(":%d", p.get("containerPort").number()) == port
		}) {
			out = append(out, "the port "+name+" is not where qrgate listens")
		}
	}
	slices.Sort(out)
	return out
}

// variable is an entry of the container's environment.
func (c cluster) variable(name string) tree {
	for _, v := range c.container().get("env").items() {
		if v.get("name").text() == name {
			return v
		}
	}
	return tree{}
}

// configured: settings exist, secrets are references, and what two replicas need is there.
func configured(c cluster) []string {
	plain, _ := c.one("ConfigMap", c.container().get("envFrom", "configMapRef", "name").text()).get("data").at.(map[string]any)
	var out []string
	names := slices.Collect(maps.Keys(plain))
	for name := range plain {
		if secretName.MatchString(name) || strings.Contains(name, "REDIS") {
			out = append(out, name+" is in a ConfigMap, which is no place for a secret")
		}
	}
	for _, v := range c.container().get("env").items() {
		name := v.get("name").text()
		names = append(names, name)
		if (secretName.MatchString(name) || strings.Contains(name, "REDIS")) && v.get("valueFrom", "secretKeyRef", "name").text() != gate {
			out = append(out, name+" does not come from the Secret")
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "QRGATE_") && !slices.Contains(c.settings, name) {
			out = append(out, name+" is no setting")
		}
	}
	for _, name := range []string{"QRGATE_ENGINE_URL", "QRGATE_REDIS_URL", "QRGATE_SECRET", "QRGATE_ADMIN_LISTEN"} {
		if !slices.Contains(names, name) {
			out = append(out, "two replicas need "+name)
		}
	}
	slices.Sort(out)
	return out
}
