package statuspage

import "qrgate/internal/redact"

// MaxLabels is how many sessions one page names at most.
const MaxLabels = 20

// limitLabels leaves MaxLabels different labels in a snapshot: those of current causes before those of the past,
// the newest first.
func (s Snapshot) limitLabels() Snapshot {
	shown := map[string]bool{}
	allow := func(l string) string {
		l = redact.Name(l)
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
