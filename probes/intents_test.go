package probes_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/probes"
)

func jsonBody(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

func readAll(r *http.Request) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

func TestIntents_Location(t *testing.T) {
	t.Parallel()
	if got := probes.NewFileIntents("a/b").Location(); got != "a/b" {
		t.Errorf("files are kept in %q", got)
	}
	if got := probes.NewTableIntents(newShared()).Location(); got == "" {
		t.Error("rows are kept nowhere")
	}
}

func TestIntents_RecordOpenDone(t *testing.T) {
	t.Parallel()
	dir, table := filepath.Join(t.TempDir(), "made", "when needed"), newShared()
	for name, open := range map[string]func() probes.Intents{
		"files": func() probes.Intents { return probes.NewFileIntents(dir) },
		"rows":  func() probes.Intents { return probes.NewTableIntents(table) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if got, err := open().Open(ctx); err != nil || len(got) != 0 {
				t.Fatalf("an empty place has %v, %v", got, err)
			}
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			a := probes.Intent{Session: "syn-a", Target: "gate", Owner: "me", At: at, Until: at.Add(time.Minute)}
			b := probes.Intent{Session: "syn-b", Target: "gate", Owner: "me", At: at, Until: at.Add(time.Minute)}
			for _, i := range []probes.Intent{a, b, a} {
				if err := open().Record(ctx, i); err != nil {
					t.Fatal(err)
				}
			}
			got, err := open().Open(ctx)
			slices.SortFunc(got, func(x, y probes.Intent) int { return strings.Compare(x.Session, y.Session) })
			if diff := cmp.Diff([]probes.Intent{a, b}, got); err != nil || diff != "" {
				t.Fatal(err, diff)
			}
			for range 2 {
				if err := open().Done(ctx, "syn-a"); err != nil {
					t.Fatal(err)
				}
			}
			if got, _ = open().Open(ctx); len(got) != 1 || got[0].Session != "syn-b" {
				t.Errorf("left are %v", got)
			}
		})
	}
}

func TestFileIntents_PermissionsAndForeignFiles(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "d")
	files := probes.NewFileIntents(dir)
	if err := files.Record(ctx, probes.Intent{Session: "syn-a"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "syn-a.intent"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%v, %v", info, err)
		}
	}
	for _, name := range []string{"", "../x", "a/b", "a b"} {
		if files.Record(ctx, probes.Intent{Session: name}) == nil || files.Done(ctx, name) == nil {
			t.Errorf("%q passes for the name of a session", name)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("draft-1", "half an in")
	write("README", "not ours")
	if open, err := files.Open(ctx); err != nil || len(open) != 1 {
		t.Errorf("drafts and strangers disturb: %v %v", open, err)
	}
	for name, text := range map[string]string{"garbage": "{", "another's name": `{"session":"ventas"}`, "too large": `{"session":"syn-b"}` + strings.Repeat(" ", 5000)} {
		write("syn-b.intent", text)
		if open, err := files.Open(ctx); err == nil || !strings.Contains(err.Error(), "syn-b") {
			t.Errorf("%s: %v %v, want an error that names the file", name, open, err)
		}
	}
}

func TestTableIntents_ForeignRowIsError(t *testing.T) {
	t.Parallel()
	table := newShared()
	if err := table.Put(t.Context(), "ventas", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if open, err := probes.NewTableIntents(table).Open(t.Context()); err == nil {
		t.Errorf("a row that is no intent is read as %v", open)
	}
}
