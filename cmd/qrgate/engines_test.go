package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/whatsappsim"
)

func TestEngines_Parsed(t *testing.T) {
	t.Parallel()
	cfg, err := readSettings(t, []string{
		"QRGATE_ENGINES=default=inboxhub:http://engine-a:8084,b=waha:https://waha.example/base;weight=0",
	}).config()
	if err != nil || len(cfg.Engines) != 2 || cfg.EngineURL != nil {
		t.Fatalf("%+v, %v", cfg.Engines, err)
	}
	for i, want := range []string{"default http://engine-a:8084 false 1", "b https://waha.example/base true 0"} {
		e := cfg.Engines[i]
		if got := fmt.Sprint(e.Name, " ", e.Base, " ", e.Dialect != nil, " ", e.Weight); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestEngines_ErrorsAreSentences(t *testing.T) {
	t.Parallel()
	const a = "a=inboxhub:http://engine-a:8084"
	for text, want := range map[string]string{
		"b=embedded," + a:                            "name it default",
		"default=embedded," + a:                      "QRGATE_API_KEYS is not set",
		"default=embedded:" + "http://engine-a:8084": "write name=kind:url",
		"http://engine-a:8084":                       "write name=kind:url",
		"a=http://engine-a:8084":                     "write name=kind:url",
		"http://user:pass=word@engine-a:8084":        "write name=kind:url",
		"A=inboxhub:http://engine-a:8084":            `has the name "A"`,
		"a=other:http://engine-a:8084":               `has the kind "other" for a`,
		"a=inboxhub:engine-a":                        "has a URL for a that must be like",
		a + ";weight=-1":                             "an option for a that is not ;weight=N",
		a + ";limit=1":                               "an option for a that is not ;weight=N",
		a + ";weight=0":                              "has weight 0 for every engine",
		a + "," + a:                                  "names a twice",
		a + ",b=inboxhub:http://ENGINE-A:8084/":      "has the same URL for a and b",
		"a=inboxhub:http://localhost:9000":           "listens on",
		a + ",b=inboxhub:":                           "write name=kind:url",
		"a=inboxhub:http://engine-a:8084/api,b=b":    "must end before /api",
	} {
		err := settingsError("QRGATE_ENGINES="+text, "QRGATE_LISTEN=9000")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "QRGATE_ENGINES") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	const embedded = "QRGATE_ENGINES=default=embedded;weight=2," + a
	if err := settingsError(embedded, "QRGATE_API_KEYS=shop:a-key-of-sixteen-characters"); err != nil {
		t.Error(err)
	}
	const evolution = "QRGATE_ENGINES=a=evolution:http://engine-a:8080"
	for text, want := range map[string]string{
		evolution + ",b=waha:http://waha:3000":     "a of the kind evolution and b of the kind waha",
		evolution + "," + "c=inboxhub:http://c:80": "c in QRGATE_ENGINES has the documented API already",
		evolution + ",b=evolution:http://b:8080":   "",
	} {
		if err := settingsError(text, "QRGATE_FRONT=native"); want == "" && err != nil ||
			want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("native, %s: %v, want %q", text, err, want)
		}
	}
	for _, other := range []string{"QRGATE_ENGINE_URL=http://engine-b:8084", "QRGATE_ENGINE_KIND=waha", "QRGATE_FRONT=native"} {
		err := settingsError("QRGATE_ENGINES="+a, other)
		if name, _, _ := strings.Cut(other, "="); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("with %s: %v", other, err)
		}
	}
}

func settingsError(env ...string) error {
	_, _, err := cli{env: env, out: io.Discard, err: io.Discard}.readSettings()
	return err
}

// Doctor checks every engine, or the one with a name; probe runs at the one with a name.
func TestEngines_DoctorAndProbe(t *testing.T) {
	good, bad := &enginesim.Engine{}, &enginesim.Engine{Keys: map[string]string{"another-key": "a"}}
	client := startWhatsApp(t, whatsappsim.Fault{})
	t.Setenv("QRGATE_ENGINES", "good=inboxhub:"+startEngine(t, good)+",bad=inboxhub:"+startEngine(t, bad))
	code, out, errs := runDoctor(t, client, "--api-key", "key-a")
	if code != exitKey || !strings.Contains(out, "Engine good at ") || !strings.Contains(out, "Engine bad at ") {
		t.Errorf("all: exit %d\n%s%s", code, out, errs)
	}
	if code, out, errs = runDoctor(t, client, "--api-key", "key-a", "--engine", "good"); code != exitOK {
		t.Errorf("good: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs = runDoctor(t, client, "--engine", "none"); code != exitUsage || !strings.Contains(errs, "--engine none") {
		t.Errorf("none: exit %d, %s", code, errs)
	}
	before := len(good.Calls())
	var o, e strings.Builder
	args := []string{"probe", "--data-dir", t.TempDir(), "--api-key", "key-a", "--engine", "good"}
	if code := run(t.Context(), cli{args: args, out: &o, err: &e}); code != exitOK || len(good.Calls()) == before {
		t.Errorf("probe: exit %d\n%s%s", code, o.String(), e.String())
	}
}
