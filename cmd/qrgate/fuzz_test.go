package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/app"
)

// QRGATE_ENGINES is refused with a text that has no password of a URL, or its engines are distinct, serve, and can
// be written and read again.
func FuzzParseEngines(f *testing.F) {
	const canary = "canary.Zq7"
	for _, parts := range [][2]string{
		{"a=inboxhub:http://engine-a:8084,b=waha:http://waha:3000;weight=0", ""}, {"a=inboxhub:http://u:", "@h"}, {"http://u:", "=x:y@h"},
		{"a=gowa:https://h/base/", ",a=gowa:https://h"}, {"a=evolution:http://[::1]:8080;weight=100", ","}, {"a=wuzapi:http://h;weight=-1", ";"},
		{"a=x:http://h", ""}, {"a=inboxhub:http://h?k=", ""}, {"a=inboxhub:http://h;", ""},
	} {
		f.Add(parts[0], parts[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		engines, err := parseEngines(before + after)
		if err == nil {
			checkEngines(t, engines)
		}
		_, err = parseEngines(before + "://user:" + canary + "@host" + after)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("the error has the password: %v", err)
		}
	})
}

func checkEngines(t *testing.T, engines []app.EngineConfig) {
	t.Helper()
	var parts []string
	names := map[string]bool{}
	total := 0
	for _, e := range engines {
		kind := documentedKind
		if e.Dialect != nil {
			kind = e.Dialect.Kind
		}
		parts = append(parts, fmt.Sprintf("%s=%s:%s;weight=%d", e.Name, kind, e.Base, e.Weight))
		isURL := e.Base.Host != "" && (e.Base.Scheme == "http" || e.Base.Scheme == "https") && e.Base.User == nil
		if names[e.Name] || !engineName.MatchString(e.Name) || !isURL || e.Weight < 0 || e.Weight > maxWeight {
			t.Errorf("%+v", e)
		}
		names[e.Name], total = true, total+e.Weight
	}
	if len(engines) > maxEngines || len(engines) > 0 && total == 0 {
		t.Errorf("%d engines of weight %d", len(engines), total)
	}
	again, err := parseEngines(strings.Join(parts, ","))
	if diff := cmp.Diff(describe(engines), describe(again)); err != nil || diff != "" {
		t.Errorf("read again: %v\n%s", err, diff)
	}
}

func describe(engines []app.EngineConfig) string {
	return describeEngines(app.Config{Engines: engines})
}
