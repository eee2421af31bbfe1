package statuspage

import (
	"regexp"
	"unicode"
)

// MaxLabels is how many sessions one page names at most.
const MaxLabels = 20

// longDigits may be a phone number: clients like to name sessions so.
var longDigits = regexp.MustCompile(`[0-9](?:[0-9 ._-]*[0-9]){6,}`)

// Lengths of what is shown of a session's name: enough to tell two apart, too little for a key.
const (
	maxLabel  = 28
	labelHead = 16
	labelTail = 6
)

// mask makes a name fit to be shown: no phone number, nothing long, nothing that does not print.
func mask(name string) string {
	name = longDigits.ReplaceAllStringFunc(name, func(n string) string { return "•••" + n[len(n)-2:] })
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '·'
		}
	}
	if len(runes) > maxLabel {
		return string(runes[:labelHead]) + "…" + string(runes[len(runes)-labelTail:])
	}
	return string(runes)
}

// limitLabels leaves MaxLabels different labels in a snapshot: those of current causes before those of the past,
// the newest first.
func (s Snapshot) limitLabels() Snapshot {
	shown := map[string]bool{}
	allow := func(l string) string {
		l = mask(l)
		if l == "" || !shown[l] && len(shown) >= MaxLabels {
			return ""
		}
		shown[l] = true
		return l
	}
	s.Causes, s.Journeys, s.Changes = copied(s.Causes), copied(s.Journeys), copied(s.Changes)
	for i, c := range s.Causes {
		labels := []string{}
		for _, l := range c.Labels {
			if l = allow(l); l != "" {
				labels = append(labels, l)
			}
		}
		s.Causes[i].Labels = labels
	}
	for i := range s.Journeys {
		s.Journeys[i].Label = allow(s.Journeys[i].Label)
	}
	for i := range s.Changes {
		s.Changes[i].Label = allow(s.Changes[i].Label)
	}
	return s
}

// copied is a slice that its owner does not see changed; never nil.
func copied[T any](in []T) []T { return append(make([]T, 0, len(in)), in...) }
