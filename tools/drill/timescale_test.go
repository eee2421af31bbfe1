package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTimeScale_Shortens(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"        for: 2m\n":                                "        for: 12000ms\n",
		"    interval: 30s":                                "    interval: 3000ms",
		"  group_wait: 0s\n":                               "  group_wait: 0ms\n",
		"      - interval: 1m":                             "      - interval: 6000ms",
		"rate(x_total{a=\"b\"}[5m]) > 3":                   "rate(x_total{a=\"b\"}[30000ms]) > 3",
		"max_over_time(x[1h])":                             "max_over_time(x[360000ms])",
		"increase(x[30d])":                                 "increase(x[259200000ms])",
		"3600 * (\nrate(x[1h]))":                           "360 * (\nrate(x[360000ms]))",
		"36000 * (":                                        "36000 * (",
		"summary: Nobody for: 5m":                          "summary: Nobody for: 5m",
		"time() - x > 2.5 * qrgate_probe_interval_seconds": "time() - x > 2.5 * qrgate_probe_interval_seconds",
	} {
		if got := timeScale(10).shorten(in); got != want {
			t.Errorf("ten times shorter, %q is %q, not %q", in, got, want)
		}
		if got := timeScale(1).shorten(in); got != in {
			t.Errorf("in earnest, %q became %q", in, got)
		}
	}
	if p := timeScale(10); p.of(time.Minute) != 6*time.Second || p.realTime(6*time.Second) != time.Minute {
		t.Error("a minute is not six seconds at ten times the pace")
	}
}

// Nothing of the committed files is left at its own pace, and nothing but time is changed.
func TestTimeScale_FindsEveryDurationOfRules(t *testing.T) {
	t.Parallel()
	left := regexp.MustCompile(`\[\d+[smhdwy]\]|(?m)^\s*(- )?(for|keep_firing_for|\w*interval|\w*wait|\w*timeout): [1-9]\d*[smhdwy]\b`)
	for _, file := range []string{settingsFor(t).Rules, settingsFor(t).Routes} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		short := timeScale(10).shorten(string(text))
		if found := left.FindString(short); found != "" {
			t.Errorf("%s still says %q", file, found)
		}
		if strings.Count(short, "\n") != strings.Count(string(text), "\n") || short == string(text) {
			t.Errorf("%s is not the same file at another pace", file)
		}
	}
}

func TestReroute(t *testing.T) {
	t.Parallel()
	const routes = "- url: http://pager.example/alerts\n- url: https://chat.example/a/b?c=d\n- url: http://10.0.0.1/x\n"
	want := "- url: http://127.0.0.1:9/pager\n- url: http://127.0.0.1:9/chat\n- url: http://10.0.0.1/x\n"
	if got := reroute(routes, "127.0.0.1:9"); got != want {
		t.Errorf("routes lead to %q", got)
	}
}
