package dashboards_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qrgate/dashboards"
)

// The committed files equal newly generated ones, and no other file is in their directories.
func TestFiles_MatchCommittedFiles(t *testing.T) {
	t.Parallel()
	files, err := dashboards.Files(dashboards.DefaultLinks())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is outdated; run go generate ./dashboards (%v)", name, err)
		}
	}
	for _, pattern := range []string{"grafana/dashboards/*", "prometheus/*.rules.yml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			if _, ok := files[filepath.ToSlash(name)]; !ok {
				t.Errorf("%s is no longer generated; delete it. Generated: %v", name, slices.Sorted(maps.Keys(files)))
			}
		}
	}
}

func TestFiles_LinksUseGivenAddresses(t *testing.T) {
	t.Parallel()
	files, err := dashboards.Files(dashboards.Links{Runbooks: "https://wiki.example/qr/", Grafana: "https://g.example/"})
	if err != nil {
		t.Fatal(err)
	}
	text := files[ruleFile]
	if n := bytes.Count(text, []byte("runbook_url: https://wiki.example/qr/QRGate")); n < 20 {
		t.Errorf("only %d links to runbooks", n)
	}
	for _, placeholder := range []string{"qrgate.example", "grafana.example", "example//"} {
		if bytes.Contains(text, []byte(placeholder)) {
			t.Errorf("the rules still contain %s", placeholder)
		}
	}
}
