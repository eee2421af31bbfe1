// Package deploytest checks the deployment files: it reads docker-compose.yml and the manifests below deploy/ with the
// libraries of Compose and Kubernetes, and applies rules to them. It has only tests.
//
// Each rule also has a file that violates it; see TestComposeRules_DetectViolations.
//
//go:generate go test . -run TestPrometheusRule_MatchesRules -update
package deploytest
