package probes

import (
	"fmt"

	"qrgate/internal/diagnosis"
)

// orphans is how many sessions at one target should be gone and are not.
type orphans struct {
	n   int
	why *failure // of the last deletion that failed; nil: none was tried, or its note could not be crossed out
}

// with is b and one more session.
func (b orphans) with(why *failure) orphans {
	b.n++
	if why != nil {
		b.why = why
	}
	return b
}

// outage is the failure that keeps the sessions alive, if it is that nobody answers at all.
func (b orphans) outage() *failure {
	if b.why != nil && (b.why.code == diagnosis.EngineUnreachable || b.why.code == diagnosis.EngineTimeout) {
		return b.why
	}
	return nil
}

// words say what is left, where it is noted and what helps.
func (b orphans) words(target, place string) string {
	text := fmt.Sprintf("%d sessions of earlier runs at %s could not be deleted yet, so none was made. They are noted in %s. ", b.n, target, place)
	if b.why != nil {
		text += fmt.Sprintf("The last try: %s. ", b.why.words())
	}
	return text + "Once that target deletes sessions again, the next run tidies up; or delete them there by hand, and then their notes."
}

// setOrphans notes what a sweep could not delete, by target.
func (l *results) setOrphans(left map[string]orphans) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = left
}

// orphansAt is what should be gone at one target. What others leave undone is none of its business.
func (l *results) orphansAt(target string) orphans {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left[target]
}

// orphans are all of them.
func (l *results) orphans() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.left {
		n += b.n
	}
	return n
}
