package metrics

import "strings"

// sessionsPath begins every documented session route.
const sessionsPath = "/api/sessions"

// templateOf finds the documented route that path is on, whatever its method, and the session id in it.
// A base path may stand before it, as an engine's URL may have one. It returns "" for every other path.
func templateOf(path string) (template, id string) {
	at := strings.Index(path, sessionsPath)
	if at < 0 {
		return "", ""
	}
	for _, p := range documented() {
		if id, ok := matches(p.route, path[at:]); ok {
			return p.route, id
		}
	}
	return "", ""
}

// matches compares segment by segment.
func matches(template, path string) (id string, ok bool) {
	for {
		want, wantRest, wantMore := strings.Cut(template, "/")
		have, haveRest, haveMore := strings.Cut(path, "/")
		switch {
		case want == "{id}" && have != "":
			id = have
		case want != have:
			return "", false
		}
		if !wantMore || !haveMore {
			return id, wantMore == haveMore
		}
		template, path = wantRest, haveRest
	}
}
