package main

import (
	"net/url"
	"path/filepath"
	"strings"

	"qrgate/probes"
)

// intentStore are where the sessions that a command makes are written down, so that a later one deletes what is left.
// Their place is absolute: it is shown to people.
func intentStore(dataDir string) *probes.FileIntents {
	dir := filepath.Join(dataDir, "probe-intents")
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	return probes.NewFileIntents(dir)
}

// canonicalURL is a target's URL in the one form by which it is noted, however it was written: what doctor or probe
// left there is found by the next probe.
func canonicalURL(u *url.URL) *url.URL {
	p := *u
	p.Host = strings.ToLower(p.Host)
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
		if p.Scheme == scheme {
			p.Host = strings.TrimSuffix(p.Host, port)
		}
	}
	for _, path := range []*string{&p.Path, &p.RawPath} {
		*path = strings.TrimSuffix(strings.TrimRight(*path, "/"), "/api")
	}
	return &p
}
