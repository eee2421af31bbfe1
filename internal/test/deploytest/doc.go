// Package deploytest checks how qrgate is deployed: docker-compose.yml and the manifests below deploy/ are
// read by what reads them in earnest, and by rules of the house. It has no code of its own, only tests.
//
// Every rule is also shown a file that breaks it; see TestComposeRules_DetectViolations.
package deploytest
