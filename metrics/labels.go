package metrics

import (
	"log/slog"

	"qrgate/internal/session"
)

// The small closed lists. The larger ones are beside what they belong to: journey.go, engine.go, route.go,
// status.go, probe.go.

func origins() []session.TrafficClass {
	return []session.TrafficClass{session.UserTraffic, session.SyntheticTraffic}
}

// originOf keeps to the closed list: what is not plainly a probe's is a user's.
func originOf(o session.TrafficClass) session.TrafficClass {
	if o == session.SyntheticTraffic {
		return o
	}
	return session.UserTraffic
}

func codePositions() []label2 {
	var legal []label2
	for _, o := range origins() {
		legal = append(legal, label2{string(o), "first"}, label2{string(o), "later"})
	}
	return legal
}

// position tells the first code of a connect from its refreshes: the first lives 60 s, the others 20 s.
func position(sequence int) string {
	if sequence > 1 {
		return "later"
	}
	return "first"
}

func stateLabels() []label1 {
	var legal []label1
	for _, s := range session.States() {
		legal = append(legal, label1(s))
	}
	return legal
}

func storeOps() []label1 { return []label1{"get", "put", "acquire", "release"} }

func levels() []label1 { return []label1{"debug", "info", "warn", "error"} }

// levelLabel rounds a level down to one that has a name.
func levelLabel(l slog.Level) label1 {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warn"
	case l >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}
