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

// What is committed is what would be generated now, file by file, and nothing generated is left over.
func TestCommittedIsGenerated(t *testing.T) {
	t.Parallel()
	files, err := dashboards.Files(dashboards.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what would be generated; run go generate ./dashboards (%v)", name, err)
		}
	}
	for _, pattern := range []string{"grafana/dashboards/*", "prometheus/*.rules.yml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			if _, ok := files[filepath.ToSlash(name)]; !ok {
				t.Errorf("%s is generated no more, and should be deleted; there are %v", name, slices.Sorted(maps.Keys(files)))
			}
		}
	}
}

// Whoever installs the rules gives them addresses of their own, and every alert has them then.
func TestLinksAreTheInstallersOwn(t *testing.T) {
	t.Parallel()
	files, err := dashboards.Files(dashboards.Links{Runbooks: "https://wiki.example/qr/", Grafana: "https://g.example/"})
	if err != nil {
		t.Fatal(err)
	}
	text := files[ruleFile]
	if n := bytes.Count(text, []byte("runbook_url: https://wiki.example/qr/QRGate")); n < 20 {
		t.Errorf("only %d links to runbooks", n)
	}
	for _, stranger := range []string{"qrgate.example", "grafana.example", "example//"} {
		if bytes.Contains(text, []byte(stranger)) {
			t.Errorf("the rules still speak of %s", stranger)
		}
	}
}
