package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// view is the state of all alerts at one moment, by title.
type view map[string]standing

// standing is one alert's state.
type standing struct {
	state    string   // pending or firing
	silenced []string // by which alerts
}

// look returns the alerts of Prometheus and Alertmanager.
func (env *environment) look(ctx context.Context) (view, error) {
	var rules struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	if err := ask(ctx, env.prometheus+"/api/v1/alerts", &rules); err != nil {
		return nil, err
	}
	var told []struct {
		Fingerprint string
		Labels      map[string]string
		Status      struct{ InhibitedBy []string }
	}
	if err := ask(ctx, env.alertmanager+"/api/v2/alerts", &told); err != nil {
		return nil, err
	}
	names := map[string]string{} // :: fingerprint → alert
	silenced := map[string][]string{}
	for _, a := range told {
		names[a.Fingerprint] = a.Labels["alertname"]
	}
	for _, a := range told {
		for _, by := range a.Status.InhibitedBy {
			silenced[title(a.Labels)] = append(silenced[title(a.Labels)], names[by])
		}
	}
	out := view{}
	for _, a := range rules.Data.Alerts {
		if a.Labels["alertname"] != "Watchdog" {
			out[title(a.Labels)] = standing{a.State, silenced[title(a.Labels)]}
		}
	}
	return out, nil
}

// title returns an alert's name and the labels that distinguish it from others of the name.
func title(labels map[string]string) string {
	parts := []string{labels["alertname"]}
	for _, name := range []string{"probe", "slo", "long", "diagnosis"} {
		if v := labels[name]; v != "" {
			parts = append(parts, v)
		}
	}
	if s := labels["severity"]; s != "critical" && s != "" {
		parts = append(parts, "("+s+")")
	}
	return strings.Join(parts, " ")
}

// change is the change of an alert between two views.
type change struct{ what, alert, detail string }

// changes compares two views; an alert that disappeared was resolved, or never fired.
func changes(before, now view) []change {
	var out []change
	for name, s := range now {
		was := before[name]
		if s.state != was.state {
			out = append(out, change{s.state, name, ""})
		}
		if len(s.silenced) > 0 && len(was.silenced) == 0 {
			by := slices.Compact(slices.Sorted(slices.Values(s.silenced)))
			out = append(out, change{"silenced", name, "by " + strings.Join(by, ", ")})
		}
		if len(s.silenced) == 0 && len(was.silenced) > 0 {
			out = append(out, change{"unsilenced", name, ""})
		}
	}
	for name, s := range before {
		if _, still := now[name]; still {
			continue
		}
		what := "resolved"
		if s.state != "firing" {
			what = "passed"
		}
		out = append(out, change{what, name, ""})
	}
	slices.SortFunc(out, func(a, b change) int { return strings.Compare(a.alert+a.what, b.alert+b.what) })
	return out
}

// cause returns the most frequent diagnosis of failed probes, acquisitions and waits, from Prometheus.
func (env *environment) cause(ctx context.Context) (string, error) {
	minutes := env.timeScale().span("5", "m")
	query := fmt.Sprintf(`topk(1, sum by (diagnosis) (increase({__name__=~"qrgate_(probe_runs|qr_waits|qr_acquisitions)_total",outcome="failure"}[%s])) > 0)`, minutes)
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := ask(ctx, env.prometheus+"/api/v1/query?query="+url.QueryEscape(query), &answer); err != nil {
		return "", err
	}
	if len(answer.Data.Result) == 0 {
		return "", nil
	}
	return answer.Data.Result[0].Metric["diagnosis"], nil
}

// ask requests a URL and decodes its JSON.
func ask(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s returned %s", url, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}
