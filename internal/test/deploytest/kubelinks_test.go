package deploytest_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// imageVersion matches images with an exact version.
var imageVersion = regexp.MustCompile(`:v?\d+\.\d+\.\d+$`)

// labels are a map of texts.
func (o tree) labels() map[string]string {
	m, _ := o.at.(map[string]any)
	out := map[string]string{}
	for k, v := range m {
		out[k] = tree{v}.text()
	}
	return out
}

// covers reports whether a selector finds something with these labels.
func covers(selector, labels map[string]string) bool {
	if len(selector) == 0 {
		return false
	}
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// joined: every selector finds the pods, and every port name exists.
func joined(c cluster) []string {
	pods := c.deployment().get("spec", "template", "metadata", "labels").labels()
	operators := c.one("Service", "qrgate-operators")
	monitor := c.one("ServiceMonitor", gate).get("spec")
	var out []string
	for who, selector := range map[string]tree{
		"the deployment":         c.deployment().get("spec", "selector", "matchLabels"),
		"the clients' service":   c.one("Service", gate).get("spec", "selector"),
		"the operators' service": operators.get("spec", "selector"),
		"the disruption budget":  c.one("PodDisruptionBudget", gate).get("spec", "selector", "matchLabels"),
		"the network policy":     c.one("NetworkPolicy", gate).get("spec", "podSelector", "matchLabels"),
		"the spread":             c.pod().get("topologySpreadConstraints", "labelSelector", "matchLabels"),
	} {
		if !covers(selector.labels(), pods) {
			out = append(out, who+" does not find the pods")
		}
	}
	own := c.container().get("ports").text()
	for who, port := range map[string]string{
		"the clients' service":   c.one("Service", gate).get("spec", "ports", "targetPort").text(),
		"the operators' service": operators.get("spec", "ports", "targetPort").text(),
	} {
		if port == "" || !strings.Contains(own, "name: "+port) {
			out = append(out, who+" leads to no port of the pods")
		}
	}
	out = append(out, expect(map[string]bool{
		"the clients' service leads to the operators' port": c.one("Service", gate).get("spec", "ports", "targetPort").text() == "http" && len(c.one("Service", gate).get("spec", "ports").items()) == 1,
		"the monitor does not find the operators' service":  covers(monitor.get("selector", "matchLabels").labels(), operators.get("metadata", "labels").labels()),
		"the monitor finds the clients' service too":        !covers(monitor.get("selector", "matchLabels").labels(), c.one("Service", gate).get("metadata", "labels").labels()),
		"the monitor asks for a port that is not there":     monitor.get("endpoints", "port").text() == operators.get("spec", "ports", "name").text(),
		"the job would not be called qrgate":                operators.get("metadata", "labels").labels()[monitor.get("jobLabel").text()] == "qrgate",
	})...)
	slices.Sort(out)
	return out
}

// fenced: the operators' port is open to Prometheus alone, and both directions are closed but for what is named.
func fenced(c cluster) []string {
	spec := c.one("NetworkPolicy", gate).get("spec")
	var out []string
	types := spec.get("policyTypes").text()
	if !strings.Contains(types, "Ingress") || !strings.Contains(types, "Egress") {
		out = append(out, "a direction is open by default")
	}
	open := map[string]string{} // :: port → from
	for _, rule := range spec.get("ingress").items() {
		if len(rule.get("ports").items()) == 0 {
			out = append(out, "a rule opens every port")
		}
		for _, p := range rule.get("ports").items() {
			open[p.get("port").text()] = rule.get("from", "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name").text()
		}
	}
	if want := map[string]string{"http": "", "operators": "monitoring"}; !maps.Equal(open, want) {
		out = append(out, "ports are open to others than they should be")
	}
	egress := spec.get("egress").text()
	for _, port := range []string{"53", "6379", "8084", "4318", "443"} {
		if !strings.Contains(egress, "port: "+port+"\n") && !strings.HasSuffix(egress, "port: "+port) {
			out = append(out, "qrgate cannot reach port "+port)
		}
	}
	return out
}
