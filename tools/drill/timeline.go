package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// timeline prints events as they happen.
type timeline struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func newTimeline(out io.Writer) *timeline { return &timeline{out: out, began: time.Now()} }

// act prints the title of a step.
func (t *timeline) act(title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\n %s\n", title)
}

// line prints an event; more is printed below it.
func (t *timeline) line(what, text string, more ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Since(t.began).Round(100 * time.Millisecond)
	fmt.Fprintf(t.out, "   %2d:%04.1f  %-10s %s\n", int(at.Minutes()), (at % time.Minute).Seconds(), what, text)
	for _, m := range more {
		if m != "" {
			fmt.Fprintf(t.out, "            %-10s %s\n", "", m)
		}
	}
}

// changed prints the changes of alerts.
func (t *timeline) changed(list []change) {
	for _, c := range list {
		t.line(c.what, strings.TrimRight(c.alert+"  "+c.detail, " "))
	}
}

// told prints a message to a receiver.
func (t *timeline) told(m message) {
	for _, line := range wording(m) {
		t.line(line.what, line.text, line.more...)
	}
}

// worded is the text of one alert in a message.
type worded struct {
	what, text string
	more       []string
}

// wording returns the text of a message; that of the dead man's switch is empty.
func wording(m message) []worded {
	what := map[string]string{"pager": "PAGE", "chat": "chat"}[m.Receiver]
	if what == "" {
		return nil
	}
	var out []worded
	for _, a := range m.Alerts {
		w := worded{what: what, text: title(a.Labels) + ": " + a.Annotations["summary"]}
		if a.Status == "resolved" {
			w.text = "resolved: " + title(a.Labels)
		} else {
			w.more = []string{a.Annotations["description"], a.Annotations["runbook_url"]}
		}
		out = append(out, w)
	}
	return out
}

// verdict prints the checks, and reports whether all passed.
func (t *timeline) verdict(checks []check) bool {
	t.act("Checks")
	return t.list(checks)
}

// interrupted prints the checks of an interrupted drill. They are no verdict.
func (t *timeline) interrupted(checks []check) {
	t.line("stopped", "the drill was interrupted")
	t.act("Checks so far")
	if t.list(checks); len(checks) == 0 {
		fmt.Fprintln(t.out, "   nothing yet")
	}
}

// list prints checks, and reports whether there are some and all passed.
func (t *timeline) list(checks []check) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ok := len(checks) > 0
	for _, c := range checks {
		mark := "✓"
		if !c.ok {
			mark, ok = "✗", false
		}
		fmt.Fprintf(t.out, "   %s %s: %s\n", mark, c.want, c.got)
	}
	return ok
}
