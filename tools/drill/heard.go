package main

import (
	"slices"
	"strings"
)

// firedAlerts are the alerts that a receiver was told of as firing, each once, in order.
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

// open are the alerts that somebody was told of and that nobody was told the end of. Alertmanager repeats
// all alerts of a group in every message, so the last word counts.
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

// still are those alerts of a list whose end a receiver was not told of.
func still(opened []string, receiver string, list []string) []string {
	var out []string
	for _, title := range list {
		if slices.Contains(opened, receiver+": "+title) {
			out = append(out, title)
		}
	}
	return out
}

// said reports whether a word stands in what a receiver was told.
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

// about reports whether an alert, by its title, is one that must be told.
func (b fault) about(title string) bool { return begins(title, b.alerts) }

// symptom reports whether an alert must be silent beside its cause.
func (b fault) symptom(title string) bool { return begins(title, b.silences) }

// cause reports whether an alert is told and is no mere symptom.
func (b fault) cause(title string) bool { return b.about(title) && !b.symptom(title) }

func begins(title string, names []string) bool {
	name, _, _ := strings.Cut(title, " ")
	return slices.Contains(names, name)
}

func orNobody(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
