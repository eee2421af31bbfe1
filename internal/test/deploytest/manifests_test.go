package deploytest_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is one Kubernetes object; tree is a part of one.
type object struct {
	tree
	file string
}

type tree struct{ at any }

// get follows a path of keys; what is not there is an empty tree. A path through a list takes its first item.
func (o tree) get(path ...string) tree {
	for _, key := range path {
		if list, ok := o.at.([]any); ok && len(list) > 0 {
			o.at = list[0]
		}
		m, _ := o.at.(map[string]any)
		o.at = m[key]
	}
	return o
}

// items are the members of a list.
func (o tree) items() []tree {
	list, _ := o.at.([]any)
	out := make([]tree, len(list))
	for i, v := range list {
		out[i] = tree{v}
	}
	return out
}

// text is a leaf as a text, "" if there is none.
func (o tree) text() string {
	if o.at == nil {
		return ""
	}
	out, err := yaml.Marshal(o.at)
	if err != nil {
		return ""
	}
	s := strings.TrimSpace(string(out))
	var plain string
	if yaml.Unmarshal(out, &plain) == nil {
		s = plain
	}
	return s
}

// number is a leaf as a number, 0 if it is none.
func (o tree) number() int {
	n, _ := o.at.(int)
	return n
}

// is reports whether a leaf is the given truth value and is there.
func (o tree) is(want bool) bool {
	b, ok := o.at.(bool)
	return ok && b == want
}

// cluster is all that deploy/kubernetes makes.
type cluster struct {
	objects  []object
	files    []string // of the directory
	listed   []string // by the kustomization
	settings []string // of qrgate
}

// one is the only object of a kind and name.
func (c cluster) one(kind, name string) tree {
	for _, o := range c.objects {
		if o.get("kind").text() == kind && o.get("metadata", "name").text() == name {
			return o.tree
		}
	}
	return tree{}
}

// manifests reads deploy/kubernetes, with an edit for trials.
func manifests(t *testing.T, edit func(file, text string) string) cluster {
	t.Helper()
	dir := filepath.Join(root, "deploy", "kubernetes")
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	var c cluster
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		objects := decode(t, name, edit(name, string(text)))
		if name == "kustomization.yaml" {
			for _, r := range objects[0].get("resources").items() {
				c.listed = append(c.listed, r.text())
			}
			continue
		}
		c.files = append(c.files, name)
		c.objects = append(c.objects, objects...)
	}
	return c
}

func decode(t *testing.T, file, text string) []object {
	t.Helper()
	var out []object
	for dec := yaml.NewDecoder(bytes.NewReader([]byte(text))); ; {
		var v map[string]any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if v != nil {
			out = append(out, object{tree{v}, file})
		}
	}
}
