package metrics

import (
	"strings"

	"qrgate/compat"
)

// templateOf finds the documented route that path is on, whatever its method, and the session id in it. A base path may
// precede it, as in an engine's URL. It returns "" for every other path.
func templateOf(path string) (template, id string) {
	if i := strings.Index(path, compat.SessionsPath); i >= 0 {
		template, id, _ = compat.MatchRoute(path[i:])
	}
	return template, id
}
