package main

import (
	"net/url"
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIsOwnAddress(t *testing.T) {
	for _, c := range []struct {
		listen, engine string
		want           bool
	}{
		{":8080", "http://localhost:8080", true},
		{":8080", "http://127.0.0.1:8080", true},
		{":8080", "http://[::1]:8080/x", true},
		{"0.0.0.0:8080", "http://127.0.0.1:8080", true},
		{"[::]:8080", "http://0.0.0.0:8080", true},
		{"127.0.0.1:8080", "http://localhost:8080", true},
		{"localhost:8080", "http://127.0.0.1:8080", true},
		{"10.0.0.1:8080", "http://10.0.0.1:8080", true},
		{":80", "http://localhost", true},
		{":8080", "http://localhost:8084", false},
		{":8080", "http://engine:8080", false},
		{":8080", "http://10.0.0.1:8080", false},
		{"127.0.0.2:8080", "http://127.0.0.1:8080", false},
		{"10.0.0.1:8080", "http://localhost:8080", false},
		{":80", "https://localhost", false},
		{"invalid", "http://invalid", false},
	} {
		u, err := url.Parse(c.engine)
		if err != nil {
			t.Fatal(err)
		}
		if got := isOwnAddress(c.listen, u); got != c.want {
			t.Errorf("listening on %s, engine %s: %t", c.listen, c.engine, got)
		}
	}
}

// settingRow matches a row of the settings table: the variable and its default.
var settingRow = regexp.MustCompile("(?m)^\\| `(QRGATE_[A-Z_]+)` \\| (?:`([^`]*)`|[a-z]*)? ?\\|")

// Both READMEs list every setting of the gateway with its default, and no other.
func TestReadme_ListsEverySettingWithDefault(t *testing.T) {
	want := map[string]string{}
	fields := reflect.TypeFor[settings]()
	for i := range fields.NumField() {
		tag, kind := fields.Field(i).Tag, fields.Field(i).Type.Kind()
		value := tag.Get("default")
		if kind == reflect.Bool && value == "" {
			value = "false"
		}
		want[tag.Get("env")] = value
	}
	for _, name := range []string{"../../README.md", "../../README.es.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, row := range settingRow.FindAllStringSubmatch(string(text), -1) {
			got[row[1]] = row[2]
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) < 20 {
			t.Errorf("%s: %d settings, -want +got:\n%s", name, len(want), diff)
		}
	}
}
