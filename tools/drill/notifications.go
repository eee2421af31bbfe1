package main

import (
	"slices"
	"strings"
)

// firedAlerts returns the firing alerts that a receiver got, each once, in order.
func firedAlerts(list []message, receiver string) []string {
	var out []string
	for _, m := range list {
		for _, a := range m.Alerts {
			if name := title(a.Labels); m.Receiver == receiver && a.Status == "firing" && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// open returns the alerts that were sent as firing and not as resolved. Alertmanager repeats all alerts of a group in
// every message, so the last message counts.
func open(list []message) []string {
	last := map[string]string{}
	for _, m := range list {
		for _, a := range m.Alerts {
			if m.Receiver != "deadmansswitch" {
				last[m.Receiver+": "+title(a.Labels)] = a.Status
			}
		}
	}
	var out []string
	for name, status := range last {
		if status == "firing" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// still returns the alerts of a list that a receiver did not get as resolved.
func still(opened []string, receiver string, list []string) []string {
	var out []string
	for _, title := range list {
		if slices.Contains(opened, receiver+": "+title) {
			out = append(out, title)
		}
	}
	return out
}

// said reports whether a message to a receiver contains a word.
func said(list []message, receiver, word string) bool {
	for _, m := range list {
		for _, a := range m.Alerts {
			for _, texts := range []map[string]string{a.Labels, a.Annotations} {
				for _, text := range texts {
					if m.Receiver == receiver && a.Status == "firing" && strings.Contains(text, word) {
						return true
					}
				}
			}
		}
	}
	return false
}

// about reports whether an alert, by its title, is an expected one.
func (b fault) about(title string) bool { return begins(title, b.alerts) }

// symptom reports whether an alert must be silenced by its cause.
func (b fault) symptom(title string) bool { return begins(title, b.silences) }

// cause reports whether an alert is expected and no symptom.
func (b fault) cause(title string) bool { return b.about(title) && !b.symptom(title) }

func begins(title string, names []string) bool {
	name, _, _ := strings.Cut(title, " ")
	return slices.Contains(names, name)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
